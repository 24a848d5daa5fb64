package session

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"stentor/codec"
)

// admit is a subscription that the server makes, or may make.
func (f *fan) admit(s *stream) *sub {
	if have := f.find(s.name); have != nil {
		return have
	}
	return f.add(&sub{stream: s, server: true})
}

// bring puts into a connect what the client knows of subscriptions that the server made. a gets a part for each that it will have:
// those of the token, and others that it had until now and that it may have without a token, too.
func (f *fan) bring(a *ask, req *codec.ConnectRequest) {
	c := f.crowd
	for _, s := range f.subs {
		if !s.server || !s.named && !s.wanted {
			continue
		}
		part := &ask{sub: s, pipe: f.pipe, features: s.wished()}
		if part.recover = s.known || !s.named || part.cache; s.known {
			part.from = s.at
			part.reject = !c.calm && c.one(12)
		}
		if s.known || !s.named {
			part.delta = s.asksDelta && s.stream.options.DeltaFossil
			one := &codec.SubscribeRequest{Recover: part.recover, Offset: part.from.Offset, Epoch: part.from.Epoch}
			if part.reject {
				one.Flag = codec.SubscribeRejectUnrecoverable
			}
			if s.asksDelta {
				one.Delta = "fossil"
			}
			if req.Subs == nil {
				req.Subs = map[string]*codec.SubscribeRequest{}
			}
			req.Subs[s.stream.name] = one
		}
		s.state, s.wanted = asked, true
		a.parts = append(a.parts, part)
	}
}

// judgeConnect looks at what the answer to a connect says of channels.
func (p *pipe) judgeConnect(a *ask, r *codec.ConnectResult) {
	if len(r.Subs) != len(a.parts) {
		p.crowd.fault("%v: connected with %v, want %d channels", p.fan, slices.Sorted(maps.Keys(r.Subs)), len(a.parts))
	}
	for _, part := range a.parts {
		one := r.Subs[part.sub.stream.name]
		if one == nil {
			part.sub.fault("it is missing in the answer to connect")
		}
		part.sub.stream.judge(part, one)
	}
}

// refuses reports that the answer to connect may be an error.
func (a *ask) refuses() bool {
	return slices.ContainsFunc(a.parts, func(part *ask) bool { return part.sub.stream.refuses(part) })
}

// judgeGiven looks at a subscription that an order has made.
func (p *pipe) judgeGiven(x *codec.Push) {
	c := p.crowd
	o := c.orderOf(string(x.Subscribe.Data))
	if o == nil || !o.takesIn || o.channel != x.Channel || o.User != p.fan.user || o.Client != "" && o.Client != p.session.clientID() {
		c.fault("%v: the server subscribed it to %s by order %+v", p.fan, x.Channel, o)
	}
	s := p.fan.admit(c.byName[x.Channel])
	a := &ask{sub: s, pipe: p, features: s.wished(), end: o.expireAt, recover: o.since != nil}
	a.cache = false
	if a.recover {
		a.from = *o.since
	}
	s.stream.judgeOrder(a, x.Subscribe)
	p.given = append(p.given, a)
}

// given takes a subscription that an order has made.
func (f *fan) given(x *codec.Push) {
	a := f.pipe.given[0]
	f.pipe.given = f.pipe.given[1:]
	s := a.sub
	if s.stream.name != x.Channel || s.state != idle {
		s.fault("the server subscribes it to %s", x.Channel)
	}
	s.enter(a)
	s.wanted = true
	s.at, s.known = codec.StreamPosition{Offset: x.Subscribe.Offset, Epoch: x.Subscribe.Epoch}, true
	f.crowd.trace.Given++
}

// give is an order to subscribe a user to a channel.
func (c *crowd) give(to Target, o summons) {
	o.takesIn, o.channel = true, c.gifts[2*c.rnd.IntN(len(c.gifts)/2)].name
	stream := c.byName[o.channel]
	what := Subscribe{Target: to, Channel: o.channel, Data: strconv.AppendInt(nil, int64(len(c.orders)), 10)}
	if c.one(4) {
		o.expireAt = time.Unix(c.wall.Unix()+int64(3+c.rnd.IntN(20)), 0)
		what.ExpireAt = o.expireAt.Unix()
	}
	if c.one(2) {
		o.since = &codec.StreamPosition{Offset: stream.top - min(stream.top, uint64(c.rnd.IntN(4))), Epoch: stream.epoch}
		what.RecoverSince = o.since
	}
	c.orders = append(c.orders, o)
	for _, f := range c.fans {
		if s := f.find(o.channel); o.isFor(f) && o.expireAt.IsZero() && (s == nil || s.state == idle) {
			f.admit(stream).wanted = true
		}
	}
	c.orderUser(to.User, what)
}

// unplaced checks that the end of a connection for a lost position has a reason.
func (f *fan) unplaced() {
	if !slices.ContainsFunc(f.subs, func(s *sub) bool { return s.server && s.on() && s.broken() }) {
		f.crowd.fault("%v: closed as if a position were lost", f)
	}
	f.crowd.trace.Unplaced++
}

// overdue checks the same for a subscription of the server whose time is over.
func (f *fan) overdue() {
	late := func(s *sub) bool {
		return s.server && s.on() && !s.endAt.IsZero() && !f.crowd.wall.Before(s.endAt.Add(expiryGrace-expirySlack))
	}
	if !slices.ContainsFunc(f.subs, late) {
		f.crowd.fault("%v: closed as if a subscription had expired", f)
	}
}
