package session

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

// finish is the end of a run: nothing goes wrong any more, everybody comes back and hears everything, and all leave.
func (c *farCrowd) finish() {
	c.calm, c.calmed = true, c.now
	for _, h := range c.houses {
		h.link.comeBack()
		h.calls.unreachable = false
		for _, l := range h.loops {
			l.lags = false
		}
	}
	c.noticeCuts(1)
	for _, f := range c.fans {
		f.slow, f.back = false, min(f.back, c.now)
		for _, s := range f.subs {
			s.wanted = s.wanted || !s.server
		}
	}
	c.rest()
	c.checkResumed()
	for _, h := range c.houses {
		h.node.Settings.PositionCheckDelay = c.node.Settings.PositionCheckDelay
	}
	for range 5 {
		c.order()
	}
	for _, f := range c.fans {
		f.comeAndGo()
	}
	c.rest()
	for _, s := range c.streams {
		c.publish(s)
	}
	c.rest()
	c.checkAll()
	c.checkPresent(false)
	c.quiet(int(c.node.Settings.PresenceTTL/loop.TickPeriod) + 10)
	c.rest()
	c.checkAll()
	c.checkPresent(true)
	c.bustle()
	c.rest()
	c.checkAll()
	c.checkPresent(true)
	c.leaveAll()
}

// bustle has clients leave channels, come back and be cut in the middle of that. As nothing else goes wrong, presence is right without
// any time that would heal it.
func (c *farCrowd) bustle() {
	for _, f := range c.fans {
		f.comeAndGo()
	}
	for range 5 * len(c.fans) {
		h := c.anyHouse()
		switch c.rnd.IntN(4) {
		case 0:
			h.link.goOn()
		case 1:
			h.work.runOne()
		case 2:
			h.loops[c.rnd.IntN(len(h.loops))].turn()
		default:
			if f := c.fans[c.rnd.IntN(len(c.fans))]; f.pipe != nil && f.pipe.session.busy() && c.one(3) {
				f.cut()
			}
		}
	}
	c.noticeCuts(1)
}

// comeAndGo has a client leave channels and come back in one message, and want all it ever wanted.
func (f *farFan) comeAndGo() {
	for _, s := range f.subs {
		s.wanted = s.wanted || !s.server
		if s.on && !s.server && f.crowd.one(3) {
			f.pipe.send(s.unsubscribe(), s.subscribe(true))
		}
	}
}

// checkResumed: what a node has missed while its connection was lost is known there, without any publication after that.
func (c *farCrowd) checkResumed() {
	for _, f := range c.fans {
		for _, s := range f.subs {
			if e := s.stream.epoch(); s.on && s.placed() && s.at.Epoch == e.name {
				s.checkEnd()
			}
		}
	}
}

// quiet lets ticks go by in which nobody but the server does anything of its own.
func (c *farCrowd) quiet(ticks int) {
	const step = 10
	for ; ticks > 0; ticks -= step {
		c.pass(min(ticks, step))
		for range 2 {
			for _, h := range c.houses {
				h.settle()
			}
			c.readSome()
		}
	}
}

// rest lets time go by until nothing has moved for longer than a check of positions takes, and every fan has what it wants.
func (c *farCrowd) rest() {
	still := 0
	for range 600 {
		before := c.trace
		c.quiet(5)
		if still++; c.trace.Hash != before.Hash || !c.settled() {
			still = 0
		}
		if still == 9 {
			return
		}
	}
	for _, f := range c.fans {
		if !f.settled() {
			c.fault("%v does not come to rest: %+v", f, f.pipe)
		}
	}
	c.fault("the crowd does not come to rest")
}

func (c *farCrowd) settled() bool {
	return !slices.ContainsFunc(c.fans, func(f *farFan) bool { return !f.settled() })
}

func (f *farFan) settled() bool {
	if f.pipe == nil || !f.on || len(f.pipe.asked) > 0 {
		return false
	}
	return !slices.ContainsFunc(f.subs, func(s *farSub) bool { return s.wanted && !s.on })
}

// checkAll compares what the clients and the nodes have with what is true, when all is delivered.
func (c *farCrowd) checkAll() {
	for _, f := range c.fans {
		f.checkEnd()
	}
	for _, h := range c.houses {
		if n := h.node.held.Load(); n != 0 {
			c.fault("node %d holds %d bytes", h.number, n)
		}
		has := map[string]bool{}
		h.node.Table.Channels(func(name string, _ int) { has[name] = true })
		if asks := h.link.asks(); c.near != nearBroker && (!maps.Equal(has, asks) || !maps.Equal(has, h.link.effective)) {
			c.fault("node %d has %v, asks for %v and gets %v", h.number, has, asks, h.link.effective)
		}
		left := whatIsLeft(h.node.Table)
		h.node.Table.Count() // takes all locks: for the race detector, which does not know that Tend has slept meanwhile
		if left.collecting+left.waiting > 0 {
			c.fault("node %d: %+v", h.number, left)
		}
	}
}

func (f *farFan) checkEnd() {
	c, p := f.crowd, f.pipe
	if p.summoned || len(p.renewals) > 0 {
		c.fault("%v: has not heard of an order", f)
	}
	if p.session.busy() {
		c.fault("%v: still busy", f)
	}
	on := 0
	for _, s := range f.subs {
		s.checkEnd()
		if s.on {
			on++
		}
	}
	if n := p.session.count(); n != on {
		c.fault("%v: the server has %d subscriptions of it, want %d", f, n, on)
	}
}

// checkEnd: when all is delivered the subscription stands at the top of its stream.
func (s *farSub) checkEnd() {
	if !s.on {
		return
	}
	if s.summoned == s.life {
		s.fault("still there in spite of an order")
	}
	server := s.fan.pipe.session.find(s.stream.name)
	if server == nil {
		s.fault("the server does not know of it")
	}
	if !s.placed() {
		s.checkNone(len(s.stream.log))
		return
	}
	e := s.stream.epoch()
	if s.at.Epoch != e.name || server.Offset() != s.stream.top() {
		s.fault("the top is %d of %s, and the server says %d", s.stream.top(), e.name, server.Offset())
	}
	for _, x := range e.posts[s.at.Offset:] {
		if s.takes(x) {
			s.fault("publication %d is missing", x.offset)
		}
	}
}

// checkPresent compares presence with who is subscribed. Exactly, or while calls that have failed may still show: then only who came
// after that is sure to be there.
func (c *farCrowd) checkPresent(exactly bool) {
	for _, x := range c.streams {
		if !x.options.Presence {
			continue
		}
		present, err := c.store.who(context.Background(), x.name)
		if err != nil {
			c.fault("%s: %v", x.name, err)
		}
		n := 0
		for _, f := range c.fans {
			s := f.find(x.name)
			if s == nil || !s.on {
				continue
			}
			n++
			switch info := present[f.pipe.id]; {
			case info != nil && exactly:
				f.checkInfo(info)
			case info == nil && (exactly || s.since >= c.calmed):
				s.fault("it is not present")
			}
		}
		if exactly && n != len(present) {
			c.fault("%s: %d are present, want %d", x.name, len(present), n)
		}
	}
}

// checkInfo checks what is said of the client.
func (f *farFan) checkInfo(info *codec.ClientInfo) {
	want := f.pipe.info
	if want == "" && len(f.named()) > 0 {
		want = `{"fan":` + strconv.Itoa(f.index) + `}`
	}
	if info.User != f.user || string(info.ConnInfo) != want {
		f.crowd.fault("%v: it is said to be %+v, want %s", f, info, want)
	}
}

// leaveAll ends everything, and checks that nothing is left.
func (c *farCrowd) leaveAll() {
	for _, f := range c.fans {
		f.back = c.now + 1_000_000
		p := f.pipe
		p.drop()
		f.pipe, f.on = nil, false
	}
	c.noticeCuts(1)
	for range 8 {
		c.quiet(5)
	}
	for _, h := range c.houses {
		for _, l := range h.loops {
			if n := l.loop.Residents(); n != 0 {
				c.fault("%d residents are left on a loop", n)
			}
		}
		if n := h.node.held.Load(); n != 0 || h.node.Clients() != 0 || h.node.Users.Count() != 0 {
			c.fault("node %d holds %d bytes of %d clients and %d users", h.number, n, h.node.Clients(), h.node.Users.Count())
		}
		left, asks := whatIsLeft(h.node.Table), h.link.asks()
		if left != (farLeft{}) || lingering(h.node.Table) > 0 || len(asks)+len(h.link.effective) > 0 {
			c.fault("node %d: %+v is left, %v asked for", h.number, left, asks)
		}
		if len(h.check.again) > 0 {
			c.fault("node %d: the positions of %v are still to be read", h.number, h.check.again)
		}
	}
	for _, x := range c.streams {
		if present, _ := c.store.who(context.Background(), x.name); len(present) > 0 {
			c.fault("%s: %v are still present", x.name, present)
		}
	}
}

// farLeft is what a table has: channels, those that are waited for to be live, those that collect.
type farLeft struct{ channels, waiting, collecting int }

// whatIsLeft looks into a table, where nobody else needs to look.
func whatIsLeft(t *hub.Table) (left farLeft) {
	v := reflect.ValueOf(t).Elem()
	for i, stripes := 0, v.FieldByName("stripes"); i < stripes.Len(); i++ {
		left.channels += stripes.Index(i).FieldByName("channels").Len()
		left.waiting += stripes.Index(i).FieldByName("waiting").Len()
	}
	for i, locals := 0, v.FieldByName("locals"); i < locals.Len(); i++ {
		left.collecting += locals.Index(i).FieldByName("collecting").Len()
	}
	return left
}

// lingering is how many channels a table remembers that everybody has left.
func lingering(t *hub.Table) int {
	if up := reflect.ValueOf(t).Elem().FieldByName("up"); !up.IsNil() {
		return up.Elem().FieldByName("leaving").Len()
	}
	return 0
}
