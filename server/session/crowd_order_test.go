package session

import (
	"strconv"
	"time"

	"stentor/codec"
)

// summons is an order of the server API, given before number when of all that happens.
type summons struct {
	Target
	when    int
	channel string // of subscribe, and of unsubscribe if only one
	code    uint32

	// Of subscribe.
	takesIn  bool
	expireAt time.Time
	since    *codec.StreamPosition
}

func (o *summons) ends() bool { return o.code >= 3000 }

// isFor reports that a client must obey.
func (o *summons) isFor(f *fan) bool {
	return f.pipe != nil && f.online && f.user == o.User && (o.Client == "" || o.Client == f.pipe.client)
}

// order is what the server API does to a user.
func (c *crowd) order() {
	f := c.fans[c.rnd.IntN(len(c.fans))]
	to := Target{User: f.user}
	if f.pipe != nil && c.one(2) {
		to.Client = f.pipe.client
	}
	o := summons{Target: to, when: c.happens}
	if c.one(3) {
		c.give(to, o)
		return
	}
	reason := strconv.Itoa(len(c.orders))
	var what any
	if c.one(4) {
		o.code = []uint32{3011, 3503, 4000, 4501}[c.rnd.IntN(4)]
		what = Disconnect{Target: to, Disconnect: codec.Disconnect{Code: o.code, Reason: reason}}
	} else {
		o.code = uint32(2000 + 500*c.rnd.IntN(2))
		if !c.one(3) {
			o.channel = f.subs[c.rnd.IntN(len(f.subs))].stream.name
		}
		what = Unsubscribe{Target: to, Channel: o.channel, Unsubscribe: codec.Unsubscribe{Code: o.code, Reason: reason}}
	}
	c.orders = append(c.orders, o)
	for _, other := range c.fans {
		if o.isFor(other) {
			other.summon(&o)
		}
	}
	c.orderUser(f.user, what)
}

// orderOf is the order of that number, or nil.
func (c *crowd) orderOf(number string) *summons {
	if n, err := strconv.Atoi(number); err == nil && n < len(c.orders) {
		return &c.orders[n]
	}
	return nil
}

// summon remembers an order that must be obeyed.
func (f *fan) summon(o *summons) {
	f.pipe.summoned = f.pipe.summoned || o.ends()
	for _, s := range f.subs {
		if s.state == live && (o.channel == "" || o.channel == s.stream.name) {
			s.summoned, s.summonedAt = s.life, o.when
		}
	}
}

// obeyed checks what a connection has had that was ended with d.
func (f *fan) obeyed(d codec.Disconnect) {
	o := f.crowd.orderOf(d.Reason)
	if o == nil || o.code != d.Code || !o.isFor(f) {
		f.crowd.fault("%v: closed with %v, by order %+v", f, d, o)
	}
	for _, s := range f.subs {
		if s.state == live {
			s.obeyed(o)
		}
	}
}
