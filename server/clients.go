package server

import (
	"context"
	"math/bits"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/api"
	"stentor/server/session"
)

// clients gives orders to the sessions of a user on this node (api.Clients). The order goes to the mailboxes of the loops that the
// sessions live on, the same mailboxes that publications go to. It never fails.
type clients struct {
	node *session.Node
	// foreign orders come from other nodes, one after another: nobody waits for the loops after each, but for those that go through
	// all residents of a loop.
	foreign bool
}

// Disconnect ends sessions. They end by and by.
func (c clients) Disconnect(_ context.Context, to api.Target, why codec.Disconnect) error {
	what := session.Disconnect{Target: target(to), Disconnect: why}
	if c.foreign {
		c.carryOut(to, what)
	} else {
		c.order(to, what, nil)
	}
	return nil
}

// Unsubscribe removes channel, or every channel when it is empty, from sessions.
func (c clients) Unsubscribe(_ context.Context, to api.Target, channel string, why codec.Unsubscribe) error {
	c.carryOut(to, session.Unsubscribe{Target: target(to), Channel: channel, Unsubscribe: why})
	return nil
}

// Subscribe adds a channel to sessions. What the caller publishes next reaches them; mail for members that are not there yet would
// not even be posted.
func (c clients) Subscribe(_ context.Context, to api.Target, order api.Subscribe) error {
	c.carryOut(to, session.Subscribe{
		Target:       target(to),
		Channel:      order.Channel,
		Info:         order.Info,
		Data:         order.Data,
		ExpireAt:     order.ExpireAt,
		RecoverSince: order.RecoverSince,
		Override:     order.Override,
	})
	return nil
}

// Refresh lets sessions expire at another time, or now.
func (c clients) Refresh(_ context.Context, to api.Target, order api.Refresh) error {
	c.carryOut(to, session.Refresh{Target: target(to), Expired: order.Expired, ExpireAt: order.ExpireAt, Info: order.Info})
	return nil
}

// orderWaitMax bounds how long carryOut waits for the loops. One that is stopped never answers.
const orderWaitMax = time.Second

// carryOut gives an order and returns when the loops have done it, so that the caller sees its effects in what it asks next, and so
// do the clients in theirs.
func (c clients) carryOut(to api.Target, what any) {
	if c.foreign && to.User != "" {
		c.order(to, what, nil)
		return
	}
	done := make(receipts, loop.LoopsMax)
	done.await(c.order(to, what, done))
}

// Settle returns when the loops have done what was ordered so far (cluster.Sessions), or when orderWaitMax is over.
func (c clients) Settle() {
	done := make(receipts, loop.LoopsMax)
	for _, l := range c.node.Loops {
		if l.Post(done, nil, 0) {
			l.Wake()
		}
	}
	done.await(len(c.node.Loops))
}

func target(t api.Target) session.Target {
	return session.Target{User: t.User, Client: t.Client, Whitelist: t.Whitelist}
}

// order leaves what for the sessions of a user. With done it returns how many loops will send a receipt there.
func (c clients) order(to api.Target, what any, done receipts) (pending int) {
	if to.Session != "" {
		return c.orderOne(to.Session, what, done)
	}
	if to.User == "" { // nobody keeps a list of anonymous sessions: every loop looks at all of its own
		for _, l := range c.node.Loops {
			if l.Post(&sweep{done: done}, what, 0) {
				l.Wake()
			}
		}
		return len(c.node.Loops)
	}
	var loops uint64
	for _, h := range c.node.Users.Sessions(nil, to.User) {
		c.node.Loops[h.Loop()].Order(h, what)
		loops |= 1 << h.Loop()
	}
	return c.ask(loops, done)
}

// orderOne is order for the session that a secret names, which some transports tell their clients. It may be one of another node.
func (c clients) orderOne(secret string, what any, done receipts) (pending int) {
	h, ok := c.node.Emulated(secret)
	if !ok {
		return 0
	}
	c.node.Loops[h.Loop()].Order(h, what)
	return c.ask(1<<h.Loop(), done)
}

// ask has the loops in a set send receipts to done, if there is one, and returns how many will.
func (c clients) ask(loops uint64, done receipts) (pending int) {
	if done == nil {
		return 0
	}
	for ; loops != 0; loops &= loops - 1 {
		l := c.node.Loops[bits.TrailingZeros64(loops)]
		if l.Post(done, nil, 0) {
			l.Wake()
		}
		pending++
	}
	return pending
}

// receipts are sent by loops that have carried out an order. As mail it is a receipt for what was posted before.
type receipts chan struct{}

// await waits for n receipts, for orderWaitMax at most.
func (r receipts) await(n int) {
	timeout := time.NewTimer(orderWaitMax)
	defer timeout.Stop()
	for range n {
		select {
		case <-r:
		case <-timeout.C:
			return
		}
	}
}

// Take sends a receipt; there is room for one of each loop.
func (r receipts) Take(*loop.Loop, any) { r <- struct{}{} }

// sweep is an order for every resident of a loop, carried out a turn at a time.
type sweep struct {
	loop  *loop.Loop
	order any
	at    uint32
	done  receipts // nil if nobody waits
}

// Take starts the sweep on its loop.
func (s *sweep) Take(l *loop.Loop, order any) {
	s.loop, s.order = l, order
	l.Ready(s)
}

// Turn gives the order to some more residents.
func (s *sweep) Turn(b *loop.Budget) (more bool) {
	s.at = s.loop.Visit(s.at, b, func(_ loop.Handle, r loop.Resident) { r.Order(s.order) })
	if s.at == 0 && s.done != nil {
		s.done <- struct{}{}
	}
	return s.at != 0
}
