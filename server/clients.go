package server

import (
	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/api"
	"stentor/server/session"
)

// clients gives orders to the sessions of a user (api.Clients). The order goes to the mailboxes of the loops that the sessions
// live on, the same mailboxes that publications go to.
type clients struct {
	node *session.Node
}

// Disconnect ends sessions.
func (c clients) Disconnect(to api.Target, why codec.Disconnect) {
	c.order(to, session.Disconnect{Target: target(to), Disconnect: why})
}

// Unsubscribe removes channel, or every channel when it is empty, from sessions.
func (c clients) Unsubscribe(to api.Target, channel string, why codec.Unsubscribe) {
	c.order(to, session.Unsubscribe{Target: target(to), Channel: channel, Unsubscribe: why})
}

// Subscribe adds a channel to sessions.
func (c clients) Subscribe(to api.Target, order api.Subscribe) {
	c.order(to, session.Subscribe{
		Target:       target(to),
		Channel:      order.Channel,
		Info:         order.Info,
		Data:         order.Data,
		ExpireAt:     order.ExpireAt,
		RecoverSince: order.RecoverSince,
		Override:     order.Override,
	})
}

// Refresh lets sessions expire at another time, or now.
func (c clients) Refresh(to api.Target, order api.Refresh) {
	c.order(to, session.Refresh{Target: target(to), Expired: order.Expired, ExpireAt: order.ExpireAt, Info: order.Info})
}

func target(t api.Target) session.Target {
	return session.Target{User: t.User, Client: t.Client, Whitelist: t.Whitelist}
}

func (c clients) order(to api.Target, what any) {
	if to.Session != "" {
		return // only transports without a pipe of their own tell clients a session id, and none of them exists yet
	}
	if to.User == "" { // nobody keeps a list of anonymous sessions: every loop looks at all of its own
		for _, l := range c.node.Loops {
			if l.Post(new(sweep), what, 0) {
				l.Wake()
			}
		}
		return
	}
	for _, h := range c.node.Users.Sessions(nil, to.User) {
		c.node.Loops[h.Loop()].Order(h, what)
	}
}

// sweep is an order for every resident of a loop, carried out a turn at a time.
type sweep struct {
	loop  *loop.Loop
	order any
	at    uint32
}

// Take starts the sweep on its loop.
func (s *sweep) Take(l *loop.Loop, order any) {
	s.loop, s.order = l, order
	l.Ready(s)
}

// Turn gives the order to some more residents.
func (s *sweep) Turn(b *loop.Budget) (more bool) {
	s.at = s.loop.Visit(s.at, b, func(_ loop.Handle, r loop.Resident) { r.Order(s.order) })
	return s.at != 0
}
