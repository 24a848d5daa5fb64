package session

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stentor/codec"
)

// farOrder is an order of the server API.
type farOrder struct {
	Target
	channel string // of subscribe, and of unsubscribe if only one
	code    uint32 // 0 is an order to subscribe

	// Of subscribe.
	since *codec.StreamPosition
	mark  farMark
}

// isFor reports that a connection must obey.
func (o *farOrder) isFor(p *farPipe) bool {
	return p.fan.user == o.User && (o.Client == "" || o.Client == p.id)
}

// orderOf is the order of that number, or nil.
func (c *farCrowd) orderOf(number string) *farOrder {
	if n, err := strconv.Atoi(number); err == nil && n < len(c.orders) {
		return c.orders[n]
	}
	return nil
}

// order is what the server API does to a user, on all nodes.
func (c *farCrowd) order() {
	f := c.fans[c.rnd.IntN(len(c.fans))]
	to := Target{User: f.user}
	if f.pipe != nil && c.one(2) {
		to.Client = f.pipe.id
	}
	switch n := c.rnd.IntN(100); {
	case n < 35:
		c.orderOut(f, to)
	case n < 50:
		c.orderEnd(to)
	case n < 75:
		c.orderIn(to)
	case n < 98:
		c.orderRenewal(to)
	default:
		c.flood(to)
	}
}

// give leaves an order with every session of its user, and returns those that it is for.
func (c *farCrowd) give(o *farOrder, what any) (all []*farPipe) {
	for _, h := range c.houses {
		for _, handle := range h.node.Users.Sessions(nil, o.User) {
			h.node.Loops[handle.Loop()].Order(handle, what)
		}
	}
	for _, f := range c.fans {
		p := f.pipe
		if p == nil || !o.isFor(p) || p.session.state != connected {
			continue
		}
		all = append(all, p)
		if p.session.busy() && p.session.extra.held.entering != nil {
			c.trace.Postponed++
		}
	}
	return all
}

func (c *farCrowd) add(o *farOrder) (number string) {
	c.orders = append(c.orders, o)
	return strconv.Itoa(len(c.orders) - 1)
}

// orderOut ends subscriptions.
func (c *farCrowd) orderOut(f *farFan, to Target) {
	o := &farOrder{Target: to, code: uint32(2000 + 500*c.rnd.IntN(2))}
	if !c.one(4) {
		o.channel = f.subs[c.rnd.IntN(len(f.subs))].stream.name
	}
	what := Unsubscribe{Target: to, Channel: o.channel, Unsubscribe: codec.Unsubscribe{Code: o.code, Reason: c.add(o)}}
	for _, p := range c.give(o, what) {
		for _, s := range p.fan.subs {
			if s.on && (o.channel == "" || o.channel == s.stream.name) {
				s.summoned = s.life
			}
		}
	}
}

// orderEnd ends connections.
func (c *farCrowd) orderEnd(to Target) {
	o := &farOrder{Target: to, code: []uint32{3011, 3503, 4000, 4501}[c.rnd.IntN(4)]}
	for _, p := range c.give(o, Disconnect{Target: to, Disconnect: codec.Disconnect{Code: o.code, Reason: c.add(o)}}) {
		p.summoned = true
	}
}

// orderRenewal changes what others learn of a client, and tells it something.
func (c *farCrowd) orderRenewal(to Target) {
	o := &farOrder{Target: to}
	info := `{"renewed":` + c.add(o) + `}`
	for _, p := range c.give(o, Refresh{Target: to, Info: []byte(info)}) {
		p.renewals = append(p.renewals, info)
	}
}

// renewed takes what an order to refresh tells.
func (f *farFan) renewed(p *farPipe) {
	if len(p.renewals) == 0 {
		f.crowd.fault("%v: refreshed without an order", f)
	}
	p.info, p.renewals = p.renewals[0], p.renewals[1:]
	f.crowd.trace.Renewed++
}

// flood gives more orders than may wait.
func (c *farCrowd) flood(to Target) {
	o := &farOrder{Target: to, code: 2000, channel: "plain:nobody"}
	what := Unsubscribe{Target: to, Channel: o.channel, Unsubscribe: codec.Unsubscribe{Code: o.code, Reason: c.add(o)}}
	for range OrdersMax + 20 {
		for _, p := range c.give(o, what) {
			p.flooded = true
		}
	}
}

// orderIn subscribes a user to a channel.
func (c *farCrowd) orderIn(to Target) {
	stream := c.gives[c.rnd.IntN(len(c.gives))]
	o := &farOrder{Target: to, channel: stream.name, mark: stream.mark()}
	if e := stream.epoch(); e != nil && c.one(2) {
		o.since = &codec.StreamPosition{Offset: stream.top() - min(stream.top(), uint64(c.rnd.IntN(4))), Epoch: e.name}
	}
	what := Subscribe{Target: to, Channel: o.channel, RecoverSince: o.since, Data: []byte(c.add(o))}
	for _, p := range c.give(o, what) {
		p.given = append(p.given, o)
	}
}

// given takes a subscription that an order has made.
func (f *farFan) given(p *farPipe, x *codec.Push) {
	c := f.crowd
	o := c.orderOf(string(x.Subscribe.Data))
	i := slices.Index(p.given, o)
	if o == nil || o.channel != x.Channel || i < 0 {
		c.fault("%v: the server subscribed it to %s by order %+v", f, x.Channel, o)
	}
	p.given = slices.Delete(p.given, i, i+1)
	s := f.admit(c.byName[x.Channel])
	at := codec.StreamPosition{Offset: x.Subscribe.Offset, Epoch: x.Subscribe.Epoch}
	s.enter(c.now, at)
	s.wanted = true
	if !s.placed() || x.Subscribe.Positioned != s.placed() {
		s.fault("%+v", x.Subscribe)
	}
	switch {
	case o.since == nil || at != *o.since:
		if o.since != nil && s.stream.mustRecover(*o.since) {
			s.fault("not recovered from %v", *o.since)
		}
		s.checkFresh(o.mark)
	default:
		if e, _ := s.stream.life(at.Epoch); e == nil || at.Offset > uint64(len(e.posts)) {
			s.fault("%+v", x.Subscribe)
		}
	}
	c.trace.Given++
}

// farTrace is what two runs of a seed have in common.
type farTrace struct {
	Connects, Recovered, Lost, Strict, Delivered, Ends, Patches, Withheld, Moves, Asked int
	Given, Obeyed, Broken, Unplaced, Renewed, Flooded, Postponed                        int
	Panics, Errors, Refused, Overloads, Losses, Vanished, Flushed, CutBusy, Forgotten   int
	Hash                                                                                uint64
}

// note folds numbers into the trace.
func (x *farTrace) note(numbers ...int) {
	for _, n := range numbers {
		x.Hash = (x.Hash ^ uint64(n)) * 1099511628211
	}
}

// counts are what must not be 0 in a crowd.
func (x *farTrace) counts() []*int {
	return []*int{&x.Connects, &x.Recovered, &x.Lost, &x.Strict, &x.Delivered, &x.Ends, &x.Patches, &x.Withheld, &x.Moves, &x.Asked,
		&x.Given, &x.Obeyed, &x.Broken, &x.Unplaced, &x.Renewed, &x.Flooded, &x.Postponed,
		&x.Panics, &x.Errors, &x.Refused, &x.Overloads, &x.Losses, &x.Vanished, &x.Flushed, &x.CutBusy, &x.Forgotten}
}

func (x *farTrace) add(y farTrace) {
	for i, n := range y.counts() {
		*x.counts()[i] += *n
	}
}

// checkBusy: a crowd where something never happens has tested nothing of it.
func (x *farTrace) checkBusy(t *testing.T) {
	for _, n := range x.counts() {
		if *n == 0 {
			t.Errorf("something that the crowd is about has not happened: %+v", *x)
			return
		}
	}
}

// farAlarm is a log that takes what goes wrong far away, and panics that were asked for.
type farAlarm struct {
	slog.Handler
	crowd *farCrowd
}

func (farAlarm) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (a farAlarm) Handle(_ context.Context, r slog.Record) error {
	known := strings.HasPrefix(r.Message, "the engine failed: ") || slices.Contains([]string{
		"a position could not be checked", "presence could not be entered", "presence could not be left", "a join or leave was not published",
	}, r.Message)
	r.Attrs(func(x slog.Attr) bool {
		known = known || x.Key == "panic" && x.Value.String() == errSim.Error()
		return true
	})
	if !known {
		a.crowd.fault("the log says: %s", r.Message)
	}
	return nil
}
