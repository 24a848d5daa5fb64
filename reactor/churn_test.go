package reactor

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// tagged is a receiver whose frames all name it, so that a client notices one that was meant for somebody else.
type tagged struct {
	pipe
	tag string
}

func (p *tagged) Order(what any) { p.c.Write(frame(what.(string))) }

// Conns come and go by resets, and descriptors are reused at once, while two broadcasters write to everyone who was ever
// there: one by handles from outside, one by conns on the loop, dead ones included. No frame reaches the wrong client.
func TestDescriptorReuse(t *testing.T) {
	const loops, clients, rounds = 2, 6, 150
	var made atomic.Int64
	var mu sync.Mutex
	handles := map[loop.Handle]string{}
	var onLoops [loops][]*tagged // each for its loop only
	r := start(t, Config{Loops: loops, SendBufferBytes: 8 << 10}, routes(func(h *Head) Verdict {
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			p := &tagged{tag: fmt.Sprint("tag ", made.Add(1))}
			p.c = c
			c.Write(frame(p.tag))
			mu.Lock()
			handles[c.Handle()] = p.tag
			mu.Unlock()
			id := c.Loop().ID()
			onLoops[id] = append(onLoops[id], p)
			return p
		}}
	}))
	stop := make(chan struct{})
	var broadcasters sync.WaitGroup
	broadcast := func(once func()) { broadcasters.Go(func() { until(stop, once) }) }
	broadcast(func() {
		mu.Lock()
		defer mu.Unlock()
		for h, tag := range handles {
			r.Loops()[h.Loop()].Order(h, tag)
		}
	})
	broadcast(func() {
		for id := range loops {
			onLoop(r, id, func() {
				for _, p := range onLoops[id] {
					p.c.Write(frame(p.tag))
				}
			})
		}
	})
	var churn sync.WaitGroup
	for range clients {
		churn.Go(func() {
			for range rounds {
				if !churnOnce(t, r) {
					return
				}
			}
		})
	}
	churn.Wait()
	close(stop)
	broadcasters.Wait()
	eventually(t, "all gone", func() bool { return r.Stats().Conns == 0 })
	for id := range loops {
		onLoop(r, id, func() {
			for _, p := range onLoops[id] {
				if n := p.closed.Load(); n != 1 {
					t.Errorf("%s was closed %d times", p.tag, n)
				}
			}
		})
	}
	if n := made.Load(); n != clients*rounds {
		t.Errorf("%d conns", n)
	}
}

// until does f again and again.
func until(stop <-chan struct{}, f func()) {
	for {
		select {
		case <-stop:
			return
		default:
			f()
		}
	}
}

// churnOnce connects, listens to a few frames that must all bear the same tag, and resets.
func churnOnce(t *testing.T, r *Reactor) bool {
	c := dialWS(t, r)
	defer c.Close()
	mine := ""
	for i := range 20 {
		op, payload, err := c.hear()
		if err != nil || op != ws.OpText {
			t.Errorf("heard %v %q: %v", op, payload, err)
			return false
		}
		if i == 0 {
			mine = payload
		}
		if payload != mine {
			t.Errorf("%s got a frame for %s", mine, payload)
			return false
		}
	}
	if err := tcpOf(c.Conn).SetLinger(0); err != nil {
		t.Error(err)
	}
	return true
}
