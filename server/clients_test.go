package server

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/api"
	"stentor/server/hub"
	"stentor/server/session"
)

// witness counts the orders that it gets.
type witness struct{ orders atomic.Int64 }

func (w *witness) Order(any)        { w.orders.Add(1) }
func (w *witness) Expire(loop.Time) {}

// TestOrdersAreDone: an order has been carried out when the call returns, on all loops, so that a publication that follows one to
// subscribe meets the subscription. A loop that does not turn any more holds the call up for a second, no longer. Nobody waits
// for the end of sessions. Orders of other nodes are waited for when all residents have to look at them, and by Settle.
func TestOrdersAreDone(t *testing.T) {
	const slow = 100 * time.Millisecond // until a loop has its turn
	ctx := context.Background()
	subscribe := func(c clients, to api.Target) error { return c.Subscribe(ctx, to, api.Subscribe{Channel: "news"}) }
	disconnect := func(c clients, to api.Target) error { return c.Disconnect(ctx, to, codec.DisconnectForceNoReconnect) }
	for _, test := range []struct {
		name, user string
		give       func(clients, api.Target) error
		stuck      bool
		want       int64 // orders
		takes      time.Duration
		foreign    bool
	}{
		{"subscribe a user", "42", subscribe, false, 1, slow, false},
		{"subscribe the anonymous", "", subscribe, false, 2, slow, false}, // every resident looks whether it is meant
		{"subscribe nobody", "43", subscribe, false, 0, 0, false},
		{"a loop that has stopped", "42", subscribe, true, 0, orderWaitMax, false},
		{"unsubscribe", "42", func(c clients, to api.Target) error { return c.Unsubscribe(ctx, to, "news", codec.UnsubscribeServer) }, false, 1, slow, false},
		{"refresh", "42", func(c clients, to api.Target) error { return c.Refresh(ctx, to, api.Refresh{}) }, false, 1, slow, false},
		{"disconnect", "42", disconnect, false, 0, 0, false},
		{"foreign", "42", subscribe, false, 0, 0, true},
		{"foreign, settled", "42", func(c clients, to api.Target) error { defer c.Settle(); return subscribe(c, to) }, false, 1, slow, true},
		{"foreign, a loop that has stopped", "42", func(c clients, to api.Target) error { defer c.Settle(); return subscribe(c, to) }, true, 0, orderWaitMax, true},
		{"foreign, subscribe the anonymous", "", subscribe, false, 2, slow, true},
		{"foreign, disconnect", "42", disconnect, false, 0, 0, true},
		{"foreign, disconnect the anonymous", "", disconnect, false, 2, slow, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var turning sync.WaitGroup
				defer turning.Wait()
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
					turning.Go(func() {
						for range rung {
							time.Sleep(slow)
							l.Turn(1)
						}
					})
					defer close(rung)
				}
				start := time.Now()
				if err := test.give(clients{node, test.foreign}, api.Target{User: test.user}); err != nil {
					t.Error(err)
				}
				if got, took := all[0].orders.Load()+all[1].orders.Load(), time.Since(start); got != test.want || took != test.takes {
					t.Errorf("after %s: %d orders; want %d after %s", took, got, test.want, test.takes)
				}
			})
		})
	}
}
