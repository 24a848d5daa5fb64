package session

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"stentor/codec"
)

// sub is one subscription of a fan over its whole life, as the oracle follows it. What a kind of subscription is promised beyond
// the order of its stream (joins, deltas, a filter, the cached value) belongs beside follow.
type sub struct {
	fan    *fan
	stream *stream
	wanted bool
	state  subState
	still  bool // what it had before is heard until unsubscribe has been answered
	tokens bool // subscribes with tokens that expire

	// Where the client stands in the stream, if it knows.
	known bool
	at    codec.StreamPosition

	// The present subscription on the server, from its reply on.
	life  int // counts them
	begin int // publications there were at its reply
	last  int // the newest that came since, by its place in the log; -1 if none

	// The last life that an order ended, and when it was given.
	summoned, summonedAt int

	endAt     time.Time // by its token; zero is never
	refreshAt time.Time // when the client will
}

type subState uint8

const (
	idle  subState = iota
	asked          // subscribe is under way
	live
	leaving // unsubscribe is under way
)

func (s *sub) String() string {
	return fmt.Sprintf("%v on %s (state %d, life %d, at %v, begin %d, last %d)", s.fan, s.stream.name, s.state, s.life, s.at, s.begin, s.last)
}

func (s *sub) fault(format string, args ...any) {
	s.fan.crowd.t.Helper()
	s.fan.crowd.fault("%v: %s", s, fmt.Sprintf(format, args...))
}

// on reports that the server has this subscription, as far as the client knows.
func (s *sub) on() bool { return s.state == live || s.still }

// follow takes a publication that was pushed. What was under way when the subscription was made may come too. A subscription with
// a position has it already, one without is promised nothing about what its client had before.
func (s *sub) follow(p *codec.Publication) {
	if !s.on() {
		s.fault("a publication without a subscription: %s", p.Data)
	}
	x := s.identify(p)
	if x.index <= s.last {
		s.fault("publication %s is number %d of the channel and comes after %d", p.Data, x.index, s.last)
	}
	if next := max(s.last+1, s.begin); x.index > next {
		s.fault("publication %s is number %d of the channel, and %d is missing", p.Data, x.index, next)
	}
	if s.summoned == s.life && s.summonedAt <= x.when {
		s.fault("publication %s came in spite of an order", p.Data)
	}
	s.last = x.index
	if s.stream.positioned() && x.offset > 0 {
		if x.index < s.begin {
			s.fault("publication %s was there before the subscription", p.Data)
		}
		s.advance(x)
	}
}

// identify finds out which publication p is, and checks that it is whole and in the right place.
func (s *sub) identify(p *codec.Publication) *post {
	c := s.fan.crowd
	number, err := strconv.Atoi(string(p.Data))
	if err != nil || number >= len(c.posts) {
		s.fault("nobody published %q", p.Data)
	}
	x := &c.posts[number]
	if x.stream != s.stream || x.offset != p.Offset {
		s.fault("publication %d came with offset %d, but it is %+v", number, p.Offset, *x)
	}
	if first := p.Offset == 1; first && p.Epoch != x.epoch || !first && p.Epoch != "" {
		s.fault("publication %d came with epoch %q, but it is %+v", number, p.Epoch, *x)
	}
	switch {
	case x.by == nil && p.Info == nil:
	case x.by == nil || p.Info == nil || p.Info.User != x.by.fan.user || p.Info.Client != x.by.client:
		s.fault("publication %d is said to be by %+v", number, p.Info)
	}
	c.trace.Delivered++
	c.trace.note(s.fan.index, number)
	return x
}

// advance moves the position to a publication, which must be the next one.
func (s *sub) advance(x *post) {
	if x.epoch != s.at.Epoch || x.offset != s.at.Offset+1 {
		s.fault("publication %d of epoch %s", x.offset, x.epoch)
	}
	s.at.Offset = x.offset
}

// subscribed takes the reply to subscribe; what is true was judged when it was made.
func (s *sub) subscribed(a *ask, r *codec.SubscribeResult) {
	if s.state != asked || !a.judged {
		s.fault("an answer to subscribe")
	}
	s.state = live
	s.life++
	s.begin, s.last = a.begin, -1
	s.endAt, s.refreshAt = a.end, time.Time{}
	if r.Expires == s.endAt.IsZero() {
		s.fault("expires: %t, by its token %v", r.Expires, s.endAt)
	}
	if r.Expires && !s.fan.forgetful {
		s.refreshAt = s.fan.crowd.wall.Add(time.Duration(r.TTL) * time.Second)
	}
	if !r.Positioned {
		return
	}
	s.at, s.known = codec.StreamPosition{Offset: r.Offset, Epoch: r.Epoch}, true
	for _, p := range r.Publications {
		s.advance(s.identify(p))
	}
}

// command is a subscribe command: from where the client stands, or anew. A few clients ask for nonsense.
func (s *sub) command(again bool) codec.Command {
	c := s.fan.crowd
	a := ask{method: codec.MethodSubscribe, sub: s, recover: again && s.known && s.stream.recoverable(), from: s.at, reject: !c.calm && c.one(10)}
	if s.stream.positioned() && !c.calm && c.one(25) {
		a.recover = true
		s.pretend(&a)
	}
	req := codec.SubscribeRequest{Channel: s.stream.name, Recover: a.recover}
	if a.recover {
		req.Offset, req.Epoch = a.from.Offset, a.from.Epoch
	}
	if a.reject {
		req.Flag = codec.SubscribeRejectUnrecoverable
	}
	if s.tokens {
		a.end = s.fan.nextEnd(s.fan.forgetful)
		req.Token = s.fan.mint(s.stream.name, a.end)
	}
	s.state = asked
	return codec.Command{ID: s.fan.pipe.await(a), Method: codec.MethodSubscribe, Subscribe: req}
}

// pretend asks to recover from somewhere else.
func (s *sub) pretend(a *ask) {
	c := s.fan.crowd
	switch c.rnd.IntN(5) {
	case 0:
		a.from.Epoch = ""
	case 1:
		a.from.Epoch = c.streams[c.rnd.IntN(len(c.streams))].epoch
	case 2:
		a.from.Offset = math.MaxUint64 - uint64(c.rnd.IntN(2))
	case 3:
		a.from.Offset += uint64(c.rnd.IntN(3))
	default:
		a.from.Offset = uint64(c.rnd.IntN(3))
	}
}

// told takes an unsubscribe push, for a reason that must be one.
func (s *sub) told(u *codec.Unsubscribe) {
	c := s.fan.crowd
	if !s.on() {
		s.fault("unsubscribed with %v", *u)
	}
	switch o := c.orderOf(u.Reason); {
	case o != nil:
		if o.code != u.Code || !o.isFor(s.fan) || o.channel != "" && o.channel != s.stream.name {
			s.fault("unsubscribed with %v, by order %+v", *u, o)
		}
		s.obeyed(o)
	case *u == codec.UnsubscribeInsufficient:
		if !s.broken() {
			s.fault("the position is lost, in an epoch that goes on")
		}
	case *u == codec.UnsubscribeExpired:
		if s.endAt.IsZero() || c.wall.Before(s.endAt.Add(expiryGrace-expirySlack)) {
			s.fault("expired at %v, which should be at %v", c.wall, s.endAt.Add(expiryGrace))
		}
	default:
		s.fault("unsubscribed with %v", *u)
	}
	c.trace.note(s.fan.index, int(u.Code))
	if s.still = false; s.state != live {
		return
	}
	s.state = idle
	if u.Code < 2500 {
		s.wanted = false // until the application wants it again
	} else if s.fan.pipe != nil {
		s.fan.pipe.ask(s.command(true))
	}
}

// obeyed checks that everything published before an order has come, and nothing that was published after it.
func (s *sub) obeyed(order *summons) {
	end := s.stream.until(order.when)
	if s.last >= end {
		s.fault("number %d of the channel came in spite of an order that was given at %d", s.last, end)
	}
	if next := max(s.last+1, s.begin); next < end && !s.broken() {
		s.fault("number %d of the channel is missing, and the order to leave was given at %d", next, end)
	}
}

// broken reports that the position may have been lost, because its epoch is over: the client has been told, or is about to be.
func (s *sub) broken() bool {
	return s.stream.positioned() && (s.at.Epoch != s.stream.epoch || s.tripped())
}

// tripped reports that a publication of an epoch that was over at the subscription may have been under way on a loop that lagged,
// and have come as the first. Epochs have no order: the server takes it for news of another one.
func (s *sub) tripped() bool {
	if s.last >= s.begin {
		return false
	}
	for _, number := range s.stream.log[:s.begin] {
		if x := &s.fan.crowd.posts[number]; x.offset > 0 && x.epoch != s.at.Epoch {
			return true
		}
	}
	return false
}

// checkEnd: when all is delivered the subscription stands at the top of its stream.
func (s *sub) checkEnd() {
	if s.state != live {
		s.fault("not subscribed in the end")
	}
	if next := max(s.last+1, s.begin); next != len(s.stream.log) {
		s.fault("number %d of %d in the channel is missing in the end", next, len(s.stream.log))
	}
	if top := (codec.StreamPosition{Offset: s.stream.top, Epoch: s.stream.epoch}); s.stream.positioned() && s.at != top {
		s.fault("in the end the top is %v", top)
	}
	if !s.endAt.IsZero() && s.fan.crowd.wall.After(s.endAt.Add(expiryGrace+expirySlack)) {
		s.fault("still there, and its token's time was over at %v", s.endAt)
	}
}
