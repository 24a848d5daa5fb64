package session

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"stentor/codec"
	"stentor/reactor/loop"
)

// farFan is one client, as a client SDK behaves, or somewhat hastier: it sends commands without waiting for the replies to others.
type farFan struct {
	crowd *farCrowd
	index int
	user  string
	form  codec.Form
	subs  []*farSub
	pipe  *farPipe // nil while it is offline
	on    bool     // connect was answered
	back  loop.Time
	slow  bool
}

func (f *farFan) String() string { return fmt.Sprintf("fan %d (%s, %v)", f.index, f.user, f.form) }

// want adds a subscription that the fan will have.
func (f *farFan) want(s *farStream) {
	if f.find(s.name) == nil {
		f.add(&farSub{stream: s, wanted: true})
	}
}

// admit is a subscription that the server makes, or may make.
func (f *farFan) admit(s *farStream) *farSub {
	if have := f.find(s.name); have != nil {
		return have
	}
	return f.add(&farSub{stream: s, server: true})
}

func (f *farFan) add(s *farSub) *farSub {
	c := f.crowd
	s.fan, s.delta = f, !s.server && s.stream.options.DeltaFossil && c.one(2)
	if s.stream.options.AllowTagsFilter && !s.server && !c.one(3) {
		s.filter = choosings[c.rnd.IntN(len(choosings))]
	}
	f.subs = append(f.subs, s)
	return s
}

func (f *farFan) find(channel string) *farSub {
	for _, s := range f.subs {
		if s.stream.name == channel {
			return s
		}
	}
	return nil
}

// named are the channels of the fan's tokens.
func (f *farFan) named() (names []string) {
	for _, s := range f.subs {
		if s.named {
			names = append(names, s.stream.name)
		}
	}
	return names
}

// headerUser is what a proxy in front says of a client without a token.
func (f *farFan) headerUser() string {
	if len(f.named()) > 0 {
		return ""
	}
	return f.user
}

// mint makes the fan's token for a connection.
func (f *farFan) mint(names []string) string {
	claims := fmt.Appendf(nil, `{"sub":"%s","info":{"fan":%d},"channels":["%s"]}`, f.user, f.index, strings.Join(names, `","`))
	token := base64.RawURLEncoding.AppendEncode([]byte(tokenHead), claims)
	mac := f.crowd.mac
	mac.Reset()
	mac.Write(token) // fails never
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), mac.Sum(nil)))
}

// wake does what time brings.
func (f *farFan) wake() {
	c := f.crowd
	if f.pipe == nil {
		if f.back <= c.now {
			f.connect()
		}
		return
	}
	if !f.on {
		return
	}
	for _, s := range f.subs {
		if s.wanted && !s.on && !s.server && s.pending == 0 && s.retry <= c.now {
			f.pipe.send(s.subscribe(true))
		}
	}
}

// connect goes to any node. What the client knows of subscriptions that the server made goes along, and some send other commands
// without waiting.
func (f *farFan) connect() {
	c := f.crowd
	f.pipe = c.openFarPipe(f)
	a := f.pipe.await(farAsk{method: codec.MethodConnect})
	var req codec.ConnectRequest
	if names := f.named(); len(names) > 0 {
		req.Token = f.mint(names)
	}
	for _, s := range f.subs {
		if s.server && (s.named || s.wanted) {
			a.parts = append(a.parts, s.bring(&req))
		}
	}
	commands := []codec.Command{{ID: a.id, Method: codec.MethodConnect, Connect: req}}
	if c.one(4) {
		for _, s := range f.subs {
			if s.wanted && !s.server {
				commands = append(commands, s.subscribe(true))
			}
		}
	}
	f.pipe.send(commands...)
}

// act is what the application does with its client.
func (f *farFan) act() {
	c := f.crowd
	p := f.pipe
	if p == nil || !f.on && !c.one(4) {
		return
	}
	s := f.subs[c.rnd.IntN(len(f.subs))]
	n := c.rnd.IntN(100)
	switch {
	case n < 10:
		f.cut()
		return
	case n < 13:
		f.slow = !f.slow
		return
	case !f.on:
		return
	}
	var commands []codec.Command
	for range 1 + c.rnd.IntN(3) {
		commands = append(commands, f.command(s)...)
	}
	if len(commands) > 0 {
		p.send(commands...)
	}
}

// command is something that may be asked about a channel.
func (f *farFan) command(s *farSub) []codec.Command {
	c := f.crowd
	switch n := c.rnd.IntN(10); {
	case n < 3:
		return []codec.Command{s.publish()}
	case n < 5 && (s.willBe || s.server && s.on):
		s.wanted = false
		leave := s.unsubscribe()
		if !s.server && c.one(2) {
			s.wanted = true
			return []codec.Command{leave, s.subscribe(c.one(2))}
		}
		return []codec.Command{leave}
	case n < 7 && !s.server && !s.willBe:
		s.wanted = true
		return []codec.Command{s.subscribe(!c.one(4))}
	case n < 9:
		return s.question()
	}
	return nil
}

// cut is the network failing, in the middle of whatever is under way: some frames may still get through.
func (f *farFan) cut() {
	p := f.pipe
	if p == nil {
		return
	}
	if len(p.down) > 0 && !f.crowd.calm {
		p.read(f.crowd.rnd.IntN(len(p.down)))
	}
	if f.pipe == p { // it has not read of its end
		p.drop()
		f.lost(f.crowd.rnd.IntN(1 + f.crowd.rnd.IntN(60)))
	}
}

// lost is the end of a connection, for whatever reason; the fan comes back after some ticks.
func (f *farFan) lost(ticks int) {
	if f.crowd.calm {
		ticks = min(ticks, 5)
	}
	f.pipe, f.on = nil, false
	f.back = f.crowd.now + loop.Time(ticks)
	for _, s := range f.subs {
		s.on, s.willBe, s.pending, s.retry = false, false, 0, 0
	}
}

// hear takes one message of the server.
func (f *farFan) hear(p *farPipe, r *codec.Reply) {
	c := f.crowd
	if r.ID == 0 && r.Push == nil {
		p.send(codec.Command{})
		return
	}
	c.trace.note(f.index, int(r.ID))
	switch {
	case r.Push != nil:
		f.pushed(p, r.Push)
	default:
		a := p.answered(r)
		if a.sub != nil && (a.method == codec.MethodSubscribe || a.method == codec.MethodUnsubscribe) {
			a.sub.pending--
		}
		f.answered(p, a, r)
	}
}

// answered takes the command that r answers: the next one, unless publications are waited for, which a local broker gives first.
func (p *farPipe) answered(r *codec.Reply) *farAsk {
	for i, a := range p.asked {
		if a.id == r.ID {
			p.asked = slices.Delete(p.asked, i, i+1)
			return a
		}
		if a.method != codec.MethodPublish || p.crowd.near != nearBroker {
			break
		}
	}
	p.crowd.fault("%v: an answer to command %d, which is not the next one: %+v", p.fan, r.ID, r)
	return nil
}

func (f *farFan) answered(p *farPipe, a *farAsk, r *codec.Reply) {
	s := a.sub
	switch {
	case r.Error != nil:
		f.refused(p, a, r.Error)
	case r.Connect != nil && a.method == codec.MethodConnect:
		f.connected(a, r.Connect)
	case r.Subscribe != nil && a.method == codec.MethodSubscribe:
		s.subscribed(a, r.Subscribe)
	case r.Unsubscribe != nil && a.method == codec.MethodUnsubscribe:
		s.on, s.wanted = false, s.wanted && !s.server
	case r.Publish != nil && a.method == codec.MethodPublish:
		if a.post.stream == nil {
			s.fault("publication %d was answered and did not take place", a.post.number)
		}
	case r.History != nil && a.method == codec.MethodHistory:
		s.listed(r.History)
	case r.Presence != nil && a.method == codec.MethodPresence, r.PresenceStats != nil && a.method == codec.MethodPresenceStats:
		f.crowd.trace.Asked++
	default:
		f.crowd.fault("%v: %+v answers %+v", f, r, a)
	}
}

func (f *farFan) connected(a *farAsk, r *codec.ConnectResult) {
	c := f.crowd
	if f.on = true; r.Client != f.pipe.id || len(r.Subs) != len(a.parts) {
		c.fault("%v: connected with %+v, want %d channels", f, r, len(a.parts))
	}
	c.trace.Connects++
	for _, part := range a.parts {
		one := r.Subs[part.sub.stream.name]
		if one == nil {
			part.sub.fault("it is missing in the answer to connect")
		}
		part.sub.subscribed(part, one)
		part.sub.wanted = true
	}
}

// refused takes an error, which must have a reason.
func (f *farFan) refused(p *farPipe, a *farAsk, e *codec.Error) {
	c := f.crowd
	c.trace.note(int(e.Code))
	switch {
	case e.Code == codec.ErrorInternal.Code && f.excused(p, a), e.Code == codec.ErrorTooManyRequests.Code && a.method == codec.MethodPublish && f.excused(p, a):
		c.trace.Errors++
	case e.Code == codec.ErrorUnrecoverablePosition.Code && a.stubborn():
		c.trace.Strict++
		for _, x := range append(a.parts, a) {
			if x.sub != nil && x.strict {
				x.sub.known = false
			}
		}
	default:
		c.fault("%v: %+v was answered with %+v", f, a, e)
	}
	if a.method == codec.MethodConnect { // nothing else will be answered
		p.drop()
		f.lost(1 + c.rnd.IntN(20))
		return
	}
	if s := a.sub; a.method == codec.MethodSubscribe {
		s.willBe, s.retry = s.pending > 0 && s.willBe, c.now+loop.Time(c.rnd.IntN(10))
	}
}

// excused reports that something has gone wrong since a command was sent, far away from where it was handled.
func (f *farFan) excused(p *farPipe, a *farAsk) bool {
	if p.house.work.blamed[p.handle] >= a.moment {
		return true
	}
	return slices.ContainsFunc(append(a.parts, a), func(x *farAsk) bool {
		return x.sub != nil && x.sub.stream.refused[p.house.number] >= a.moment
	})
}

// stubborn reports that a command wanted an error if it could not recover, and perhaps it could not.
func (a *farAsk) stubborn() bool {
	return slices.ContainsFunc(append(a.parts, a), func(x *farAsk) bool {
		return x.strict && x.recover && !x.sub.stream.mustRecover(x.from)
	})
}

func (f *farFan) pushed(p *farPipe, x *codec.Push) {
	c := f.crowd
	s := f.find(x.Channel)
	switch {
	case x.Refresh != nil && x.Channel == "":
		f.renewed(p)
	case x.Subscribe != nil && c.byName[x.Channel] != nil:
		f.given(p, x)
	case s == nil:
		c.fault("%v: a push in channel %q: %+v", f, x.Channel, x)
	case x.Pub != nil:
		s.follow(x.Pub)
	case x.Join != nil:
		s.meet(x.Join.Info)
	case x.Leave != nil:
		s.meet(x.Leave.Info)
	case x.Unsubscribe != nil:
		s.told(p, x.Unsubscribe)
	default:
		c.fault("%v: what push is this in %s? %+v", f, x.Channel, x)
	}
}

// farPongLate is how long, in ticks, a ping may wait for its pong, and the client for the news.
const farPongLate = 150

// ended is the server closing the connection, for a reason that must be one.
func (f *farFan) ended(p *farPipe, d codec.Disconnect) {
	c := f.crowd
	c.trace.Ends++
	c.trace.note(f.index, int(d.Code))
	switch o := c.orderOf(d.Reason); {
	case o != nil:
		if o.code != d.Code || !o.isFor(p) {
			c.fault("%v: closed with %v, by order %+v", f, d, o)
		}
	case d == codec.DisconnectSlow:
	case d == codec.DisconnectInsufficientState:
		if !slices.ContainsFunc(f.subs, func(s *farSub) bool { return s.server && s.broken(p) }) {
			c.fault("%v: closed as if a position were lost", f)
		}
		c.trace.Unplaced++
	case d == codec.DisconnectServerError && p.flooded:
		c.trace.Flooded++
	case d == codec.DisconnectNoPong && (!c.calm || c.now < c.calmed+farPongLate):
	case d == codec.DisconnectStale && !c.calm:
	default:
		c.fault("%v: closed with %v", f, d)
	}
	f.lost(c.rnd.IntN(20))
}
