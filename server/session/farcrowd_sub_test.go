package session

import (
	"fmt"

	"stentor/codec"
	"stentor/reactor/loop"
)

// farSub is one subscription of a client over its whole life, as the oracle follows it.
type farSub struct {
	fan    *farFan
	stream *farStream
	server bool // made by the server: by a token or an order
	named  bool // by the fan's token
	wanted bool
	delta  bool
	filter *choosing

	willBe  bool      // when all commands are answered, if nothing comes between
	pending int       // commands that are not answered
	retry   loop.Time // after an error

	// Where the client stands in the stream, if it knows.
	known bool
	at    codec.StreamPosition

	// The present subscription, from its reply on.
	on    bool
	life  int       // counts them
	since loop.Time // when it was asked for
	begin int       // what had been published when the client heard of it
	last  int       // the newest that came since, by its place in the log; -1 if none
	base  *farPost  // the last one, which a patch is against; nil if none

	summoned int // the last life that an order ended
}

func (s *farSub) String() string {
	return fmt.Sprintf("%v on %s (on %t, life %d, at %v, begin %d, last %d)", s.fan, s.stream.name, s.on, s.life, s.at, s.begin, s.last)
}

func (s *farSub) fault(format string, args ...any) {
	s.fan.crowd.t.Helper()
	s.fan.crowd.fault("%v: %s", s, fmt.Sprintf(format, args...))
}

// placed reports that the subscription has a position, whole that all publications come.
func (s *farSub) placed() bool {
	return s.stream.options.ForceRecovery || s.stream.options.ForcePositioning
}
func (s *farSub) whole() bool { return s.filter == nil }

func (s *farSub) takes(x *farPost) bool { return s.whole() || s.filter.takes(tagSets[x.tags]) }

// ask notes a command that subscribes: from where the client stands, or anew.
func (s *farSub) ask(method codec.Method, again bool) farAsk {
	c := s.fan.crowd
	a := farAsk{method: method, sub: s, delta: s.delta, mark: s.stream.mark(), at: c.now}
	if again && s.known && s.stream.options.ForceRecovery {
		a.recover, a.from = true, s.at
		a.strict = c.mishap(12)
	}
	return a
}

// subscribe is a subscribe command.
func (s *farSub) subscribe(again bool) codec.Command {
	a := s.fan.pipe.await(s.ask(codec.MethodSubscribe, again))
	s.pending++
	s.willBe = true
	req := codec.SubscribeRequest{Channel: s.stream.name, Recover: a.recover, Offset: a.from.Offset, Epoch: a.from.Epoch}
	if a.strict {
		req.Flag = codec.SubscribeRejectUnrecoverable
	}
	if s.delta {
		req.Delta = "fossil"
	}
	if s.filter != nil {
		req.TF = s.filter.node
	}
	return codec.Command{ID: a.id, Method: codec.MethodSubscribe, Subscribe: req}
}

// bring puts into a connect what the client knows of a subscription that the server makes.
func (s *farSub) bring(req *codec.ConnectRequest) *farAsk {
	a := s.ask(codec.MethodConnect, true)
	if a.recover || !s.named {
		one := &codec.SubscribeRequest{Recover: a.recover, Offset: a.from.Offset, Epoch: a.from.Epoch}
		if a.strict {
			one.Flag = codec.SubscribeRejectUnrecoverable
		}
		if req.Subs == nil {
			req.Subs = map[string]*codec.SubscribeRequest{}
		}
		req.Subs[s.stream.name] = one
	}
	return &a
}

func (s *farSub) unsubscribe() codec.Command {
	a := s.fan.pipe.await(farAsk{method: codec.MethodUnsubscribe, sub: s})
	s.pending++
	s.willBe = false
	return codec.Command{ID: a.id, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: s.stream.name}}
}

func (s *farSub) publish() codec.Command {
	x := s.fan.crowd.newPost(s.stream)
	a := s.fan.pipe.await(farAsk{method: codec.MethodPublish, sub: s, post: x})
	return codec.Command{ID: a.id, Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: s.stream.name, Data: []byte(x.data)}}
}

// question is one about the channel, if it answers any.
func (s *farSub) question() []codec.Command {
	c, o := s.fan.crowd, s.stream.options
	x := codec.Command{}
	switch {
	case o.ReadHistory.Client && c.one(2):
		x.Method, x.History = codec.MethodHistory, codec.HistoryRequest{Channel: s.stream.name, Limit: 5}
	case !o.ReadPresence.Client:
		return nil
	case c.one(2):
		x.Method, x.Presence.Channel = codec.MethodPresence, s.stream.name
	default:
		x.Method, x.PresenceStats.Channel = codec.MethodPresenceStats, s.stream.name
	}
	x.ID = s.fan.pipe.await(farAsk{method: x.Method, sub: s}).id
	return []codec.Command{x}
}

// enter begins a life.
func (s *farSub) enter(since loop.Time, at codec.StreamPosition) {
	if s.on {
		s.fault("subscribed again")
	}
	s.on, s.willBe = true, true
	s.life++
	s.since, s.begin, s.last, s.base = since, len(s.stream.log), -1, nil
	if s.placed() {
		s.at, s.known = at, true
	}
}

// subscribed takes the reply to subscribe, or what the one to connect says of the channel.
func (s *farSub) subscribed(a *farAsk, r *codec.SubscribeResult) {
	c := s.fan.crowd
	s.enter(a.at, codec.StreamPosition{Offset: r.Offset, Epoch: r.Epoch})
	if r.Positioned != s.placed() || r.Recoverable != s.stream.options.ForceRecovery || r.Delta != a.delta || r.WasRecovering != a.recover {
		s.fault("subscribed with %+v", r)
	}
	if !s.placed() {
		if r.Offset != 0 || r.Epoch != "" || len(r.Publications) > 0 || r.Recovered {
			s.fault("%+v in a channel without positions", r)
		}
		return
	}
	switch {
	case r.Recovered:
		c.trace.Recovered++
		if a.from.Epoch != r.Epoch || len(r.Publications) > 0 && r.Offset != a.from.Offset || s.whole() && len(r.Publications) == 0 && r.Offset != a.from.Offset {
			s.fault("recovered from %v with %+v", a.from, r)
		}
		s.at.Offset = a.from.Offset
		if len(r.Publications) == 0 {
			s.skipTo(r.Offset)
		}
	case a.recover:
		c.trace.Lost++
		if s.stream.mustRecover(a.from) {
			s.fault("not recovered from %v, and the top is %d, all after %d is there", a.from, s.stream.top(), s.stream.floor)
		}
		fallthrough
	default:
		if len(r.Publications) > 0 {
			s.fault("not recovered, but %d publications", len(r.Publications))
		}
	}
	for _, p := range r.Publications {
		s.hear(p)
	}
	s.checkFresh(a.mark)
}

// skipTo moves the position over publications that the filter does not take.
func (s *farSub) skipTo(offset uint64) {
	e, _ := s.stream.life(s.at.Epoch)
	if e == nil || offset > uint64(len(e.posts)) || offset < s.at.Offset {
		s.fault("placed at %d", offset)
	}
	for _, x := range e.posts[s.at.Offset:offset] {
		if s.takes(x) {
			s.fault("recovered without publication %d", x.offset)
		}
	}
	s.at.Offset = offset
}

// checkFresh checks that a position is one that the stream has had since it was asked for.
func (s *farSub) checkFresh(asked farMark) {
	e, before := s.stream.life(s.at.Epoch)
	switch {
	case e == nil || s.at.Offset > uint64(len(e.posts)) || before+1 < asked.epochs:
		s.fault("this is no position of the stream, asked at %+v", asked)
	case before+1 == asked.epochs && s.at.Offset < asked.top:
		for _, x := range e.posts[s.at.Offset:asked.top] {
			if s.takes(x) {
				s.fault("a position of the past, asked at %+v", asked)
			}
		}
	}
}

// follow takes a publication that was pushed.
func (s *farSub) follow(p *codec.Publication) {
	if !s.on {
		s.fault("a publication without a subscription: %s", p.Data)
	}
	s.hear(p)
	s.fan.crowd.trace.Delivered++
}

// hear takes a publication, which must be the next one.
func (s *farSub) hear(p *codec.Publication) {
	c := s.fan.crowd
	data, base := p.Data, s.base
	if s.delta {
		var err error
		if data, err = unfoldFar(p, s.fan.form, base); err != nil {
			s.fault("%v", err)
		}
		if p.Delta {
			c.trace.Patches++
		}
	} else if p.Delta {
		s.fault("a patch: %s", p.Data)
	}
	x := c.whole(data)
	if x == nil || x.stream != s.stream || x.offset != p.Offset || !sameTags(tagSets[x.tags], p.Tags) || !s.takes(x) {
		s.fault("a publication with offset %d that is not for it: %s", p.Offset, data)
	}
	c.trace.note(s.fan.index, x.number)
	s.base = x
	if s.placed() {
		s.advance(x)
	} else {
		s.next(x)
	}
	s.last = x.index
}

// advance moves the position to a publication: none that it takes lies between.
func (s *farSub) advance(x *farPost) {
	e, _ := s.stream.life(s.at.Epoch)
	if x.epoch != e || x.offset <= s.at.Offset {
		s.fault("publication %d of another epoch, or had already", x.offset)
	}
	for _, skipped := range e.posts[s.at.Offset : x.offset-1] {
		if s.takes(skipped) {
			s.fault("publication %d, and %d is missing", x.offset, skipped.offset)
		}
		s.fan.crowd.trace.Withheld++
	}
	s.at.Offset = x.offset
}

// next is advance without positions: what was lost on its way is missing, nothing else.
func (s *farSub) next(x *farPost) {
	if x.index <= s.last {
		s.fault("number %d of the channel came after %d", x.index, s.last)
	}
	s.checkNone(x.index)
}

// checkNone checks that nothing is missing before number end of the channel.
func (s *farSub) checkNone(end int) {
	for i := max(s.last+1, s.begin); i < end; i++ {
		if x := s.stream.log[i]; !x.lost[s.fan.pipe.house.number] && s.takes(x) {
			s.fault("number %d of the channel is missing", i)
		}
	}
}

// broken reports that the server may have ended the subscription for its position: because the epoch was lost, or something on its
// way to the node. News of both may be under way for as long as a call may take and then its loop may lag. Or after a panic.
func (s *farSub) broken(p *farPipe) bool {
	const grace = 300 // ticks
	since := s.since - min(s.since, grace)
	return p.stumbled || s.placed() && (s.stream.changed > 0 && s.stream.changed >= since || s.stream.missed[p.house.number] > 0 && s.stream.missed[p.house.number] >= since)
}

// told takes an unsubscribe push, for a reason that must be one.
func (s *farSub) told(p *farPipe, u *codec.Unsubscribe) {
	c := s.fan.crowd
	if !s.on {
		s.fault("unsubscribed with %v", *u)
	}
	switch o := c.orderOf(u.Reason); {
	case o != nil:
		if o.code != u.Code || !o.isFor(p) || o.channel != "" && o.channel != s.stream.name {
			s.fault("unsubscribed with %v, by order %+v", *u, o)
		}
		c.trace.Obeyed++
	case *u == codec.UnsubscribeInsufficient && !s.server && s.broken(p):
		c.trace.Broken++
	default:
		s.fault("unsubscribed with %v; asked for at tick %d, the epoch was lost at %d, something missed at %v, top %d of %s", *u, s.since, s.stream.changed,
			s.stream.missed, s.stream.top(), s.stream.epoch().name)
	}
	s.on, s.willBe = false, s.pending > 0 && s.willBe
	if u.Code < 2500 || s.server {
		s.wanted = false // until the application, or the server, wants it again
	}
}

// meet takes a join or leave of somebody.
func (s *farSub) meet(info *codec.ClientInfo) {
	c := s.fan.crowd
	p := c.clients[info.Client]
	if !s.on || p == nil || p.fan.user != info.User || !s.stream.options.JoinLeave {
		s.fault("%+v moves", info)
	}
	c.trace.Moves++
}

// listed takes an answer to history: one publication after the other.
func (s *farSub) listed(r *codec.HistoryResult) {
	s.fan.crowd.trace.Asked++
	last := uint64(0)
	for _, p := range r.Publications {
		x := s.fan.crowd.whole(p.Data)
		if x == nil || x.stream != s.stream || x.epoch.name != r.Epoch || x.offset != p.Offset || last != 0 && x.offset != last+1 {
			s.fault("history: %s came as offset %d, after %d in epoch %s", p.Data, p.Offset, last, r.Epoch)
		}
		last = x.offset
	}
}
