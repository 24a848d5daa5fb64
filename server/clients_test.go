package server

import (
	"testing"
	"testing/synctest"
	"time"

	"stentor/reactor/loop"
	"stentor/server/api"
	"stentor/server/hub"
	"stentor/server/session"
)

// witness counts the orders that it gets.
type witness struct{ orders int }

func (w *witness) Order(any)        { w.orders++ }
func (w *witness) Expire(loop.Time) {}

// TestSubscribeIsDone: an order to subscribe has been carried out when the call returns, on all loops, so that a publication that
// follows it meets the subscription. A loop that does not turn any more holds the call up for a second, no longer.
func TestSubscribeIsDone(t *testing.T) {
	const slow = 100 * time.Millisecond // until a loop has its turn
	for _, test := range []struct {
		name, user string
		stuck      bool
		want       int // orders
		takes      time.Duration
	}{
		{"a user", "42", false, 1, slow},
		{"anonymous", "", false, 2, slow}, // every resident looks whether it is meant
		{"nobody", "43", false, 0, 0},
		{"a loop that has stopped", "42", true, 0, subscribeWaitMax},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node := &session.Node{Users: hub.NewUsers()}
				all := make([]*witness, 2)
				for id := range all {
					rung := make(chan struct{}, 1)
					l := loop.New(id, loop.Config{Ring: func() { rung <- struct{}{} }})
					all[id] = new(witness)
					h := l.Add(all[id])
					if id == 1 {
						node.Users.Reserve("42", h, 0)
					}
					node.Loops = append(node.Loops, l)
					if test.stuck {
						continue
					}
					go func() {
						for range rung {
							time.Sleep(slow)
							l.Turn(1)
						}
					}()
					defer close(rung)
				}
				start := time.Now()
				clients{node}.Subscribe(api.Target{User: test.user}, api.Subscribe{Channel: "news"})
				if got, took := all[0].orders+all[1].orders, time.Since(start); got != test.want || took != test.takes {
					t.Errorf("after %s: %d orders; want %d after %s", took, got, test.want, test.takes)
				}
			})
		})
	}
}
