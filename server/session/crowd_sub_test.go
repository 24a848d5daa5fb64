package session

import (
	"fmt"
	"math"
	"time"

	"stentor/codec"
)

// sub is one subscription of a fan over its whole life, as the oracle follows it.
type sub struct {
	fan    *fan
	stream *stream
	wanted bool
	state  subState
	still  bool // what it had before is heard until unsubscribe has been answered
	tokens bool // subscribes with tokens that expire
	named  bool // by the fan's token for the connection
	server bool // made by the server: by a token or an order

	asksRecovery, asksDelta, asksJoins bool // where the channel lets it choose
	asksFilter                         *choosing

	// Where the client stands in the stream, if it knows.
	known bool
	at    codec.StreamPosition
	value int // the newest of the stream that it ever got, by its place in the log; -1 if none

	// The present subscription on the server, from its reply on.
	features
	life  int // counts them
	begin int // what had happened in the stream at its reply
	last  int // the newest that came since, by its place in the log; -1 if none
	base  int // number of the last publication that came, -1 if none: what a patch is against
	owed  int // publications that it missed and that will be pushed

	// The last life that an order ended, and when it was given.
	summoned, summonedAt int

	endAt     time.Time // by its token or order; zero is never
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

// follow takes a publication that was pushed.
func (s *sub) follow(in *content, p *codec.Publication) {
	if !s.on() {
		s.fault("a publication without a subscription: %s", p.Data)
	}
	x := s.identify(in, p)
	if s.owed > 0 {
		s.owed--
		s.catchUp(x)
		return
	}
	s.hear(x)
	if s.base = x.number; x.offset == 0 {
		return
	}
	s.value = x.index
	if s.positioned {
		if x.index < s.begin {
			s.fault("publication %d was there before the subscription", x.number)
		}
		s.advance(x)
	}
}

// hear takes what has happened in the stream: nothing is missing before it but what the subscription does not take. What was under
// way when the subscription was made may come too. A subscription with a position has it already, one without is promised nothing
// about what its client had before.
func (s *sub) hear(x *post) {
	if x.stream != s.stream || !s.takes(x) {
		s.fault("this is not for it: %+v", *x)
	}
	if x.index <= s.last {
		s.fault("number %d is number %d of the channel and comes after %d", x.number, x.index, s.last)
	}
	if next := s.next(); x.index > next {
		s.fault("number %d is number %d of the channel, and %d is missing", x.number, x.index, next)
	}
	if s.summoned == s.life && s.summonedAt <= x.when {
		s.fault("number %d came in spite of an order", x.number)
	}
	s.last = x.index
	s.fan.crowd.trace.Delivered++
	s.fan.crowd.trace.note(s.fan.index, x.number)
}

// next is what must come next, by its place in the log, which ends there if nothing must.
func (s *sub) next() int {
	i := max(s.last+1, s.begin)
	for i < len(s.stream.log) && !s.takes(s.stream.at(i)) {
		i++
	}
	return i
}

// identify finds out which publication p is, and checks that it is whole and in the right place.
func (s *sub) identify(in *content, p *codec.Publication) *post {
	c := s.fan.crowd
	var number int
	var err error
	switch {
	case s.delta:
		number, err = c.unfold(in, p, s.fan.form, s.base)
	case p.Delta:
		s.fault("a patch: %s", p.Data)
	default:
		number, err = c.whole(p.Data)
	}
	if err != nil {
		s.fault("%v", err)
	}
	x := &c.posts[number]
	if x.stream != s.stream || x.offset != p.Offset || !sameTags(tagSets[x.tags], p.Tags) {
		s.fault("publication %d came with offset %d and tags %v, but it is %+v", number, p.Offset, p.Tags, *x)
	}
	if first := p.Offset == 1; first && p.Epoch != x.epoch || !first && p.Epoch != "" {
		s.fault("publication %d came with epoch %q, but it is %+v", number, p.Epoch, *x)
	}
	switch {
	case x.by == nil && p.Info == nil:
	case x.by == nil || p.Info == nil:
		s.fault("publication %d is said to be by %+v", number, p.Info)
	default:
		x.by.fan.checkInfo(x.by, p.Info)
	}
	switch {
	case p.Delta && s.positioned:
		c.trace.Patches++
	case p.Delta:
		c.trace.Loose++
	case s.delta && s.positioned && s.base >= 0 && needsPatch(x, &c.posts[s.base]):
		s.fault("publication %d came in full, and it has number %d", number, s.base)
	}
	return x
}

// advance moves the position to a publication, which must be the next one that is wanted.
func (s *sub) advance(x *post) {
	if x.epoch != s.at.Epoch || x.offset <= s.at.Offset || s.whole() && x.offset != s.at.Offset+1 {
		s.fault("publication %d of epoch %s", x.offset, x.epoch)
	}
	s.fan.crowd.trace.Withheld += int(x.offset - s.at.Offset - 1)
	s.at.Offset = x.offset
}

// catchUp takes a publication that was missed.
func (s *sub) catchUp(x *post) {
	if x.index >= s.begin || !s.takes(x) {
		s.fault("publication %d was not missed", x.number)
	}
	s.fan.crowd.trace.note(s.fan.index, x.number)
	if s.base, s.value = x.number, x.index; !s.cache {
		s.advance(x)
	}
}

// enter begins a life; what is true was judged when the server made it.
func (s *sub) enter(a *ask) {
	if !a.judged {
		s.fault("subscribed, and nobody knows how")
	}
	s.state, s.features = live, a.features
	s.life++
	s.begin, s.last, s.base, s.owed = a.begin, -1, -1, a.owed
	s.endAt, s.refreshAt = a.end, time.Time{}
}

// subscribed takes the reply to subscribe, or what the one to connect says of the channel.
func (s *sub) subscribed(in *content, a *ask, r *codec.SubscribeResult) {
	if s.state != asked {
		s.fault("an answer to subscribe")
	}
	s.enter(a)
	if r.Expires == s.endAt.IsZero() {
		s.fault("expires: %t, by its token %v", r.Expires, s.endAt)
	}
	if r.Expires && !s.fan.forgetful {
		s.refreshAt = s.fan.in(r.TTL)
	}
	if !r.Positioned {
		return
	}
	s.at, s.known = codec.StreamPosition{Offset: r.Offset, Epoch: r.Epoch}, true
	for _, p := range r.Publications {
		s.catchUp(s.identify(in, p))
	}
	if s.cache && r.Recovered && a.newest >= 0 && s.value != a.newest {
		s.fault("it has number %d of the channel and not the newest, which was %d", s.value, a.newest)
	}
}

// wished are the features of a subscription that the client makes, or the server.
func (s *sub) wished() features {
	o := s.stream.options
	f := features{recoverable: o.ForceRecovery, cache: o.RecoverCache, joins: o.ForcePushJoinLeave}
	if !s.server {
		f.recoverable = f.recoverable || s.asksRecovery && o.AllowRecovery
		f.delta, f.filter = s.asksDelta && o.DeltaFossil, s.asksFilter
		f.joins = f.joins || s.asksJoins && o.JoinLeave
	}
	f.positioned = f.recoverable || o.ForcePositioning
	return f
}

// command is a subscribe command: from where the client stands, or anew. A few clients ask for nonsense.
func (s *sub) command(again bool) codec.Command {
	c := s.fan.crowd
	a := ask{method: codec.MethodSubscribe, sub: s, features: s.wished(), reject: !c.calm && c.one(10)}
	a.recover = again && s.known && a.recoverable
	if a.cache { // whoever has no value wants one
		a.recover = true
	}
	if a.recover && s.known {
		a.from = s.at
	}
	if a.positioned && !c.calm && c.one(25) {
		a.recover = true
		s.pretend(&a)
	}
	req := codec.SubscribeRequest{Channel: s.stream.name, Recover: a.recover, Recoverable: s.asksRecovery, JoinLeave: s.asksJoins}
	if a.recover {
		req.Offset, req.Epoch = a.from.Offset, a.from.Epoch
	}
	if a.reject {
		req.Flag = codec.SubscribeRejectUnrecoverable
	}
	if s.asksDelta {
		req.Delta = "fossil"
	}
	if s.asksFilter != nil {
		req.TF = s.asksFilter.node
	}
	if s.tokens {
		a.end = s.fan.nextEnd(s.fan.forgetful)
		req.Token = s.fan.mint(s.stream.name, a.end)
	}
	s.state = asked
	return codec.Command{ID: s.fan.pipe.await(a), Method: codec.MethodSubscribe, Subscribe: req}
}

// pretend asks to recover from somewhere else. Who pretends to have the newest value does not get it.
func (s *sub) pretend(a *ask) {
	c := s.fan.crowd
	ways := 5
	if a.cache {
		ways = 2
	}
	switch c.rnd.IntN(ways) {
	case 0:
		a.from.Epoch = ""
	case 1:
		a.from.Offset = math.MaxUint64 - uint64(c.rnd.IntN(2))
	case 2:
		a.from.Epoch = c.streams[c.rnd.IntN(len(c.streams))].epoch
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
		if s.server || !s.broken() {
			s.fault("the position is lost, in an epoch that goes on or of the server's subscription")
		}
	case *u == codec.UnsubscribeExpired:
		if s.server || s.endAt.IsZero() || c.wall.Before(s.endAt.Add(expiryGrace-expirySlack)) {
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
	if u.Code < 2500 || s.server {
		s.wanted = false // until the application, or the server, wants it again
	} else if s.fan.pipe != nil {
		s.fan.pipe.ask(s.command(true))
	}
}

// obeyed checks that everything before an order has come, and nothing that was after it.
func (s *sub) obeyed(order *summons) {
	end := s.stream.until(order.when)
	if s.last >= end {
		s.fault("number %d of the channel came in spite of an order that was given at %d", s.last, end)
	}
	if next := s.next(); next < end && !s.broken() {
		s.fault("number %d of the channel is missing, and the order to leave was given at %d", next, end)
	}
}

// broken reports that the subscription may have been ended, and the client has been told or is about to be: because its epoch is
// over, or of a panic in the middle of a frame.
func (s *sub) broken() bool {
	return s.fan.pipe.stumbled || s.positioned && (s.at.Epoch != s.stream.epoch || s.tripped())
}

// tripped reports that news of an epoch that was over at the subscription may have been under way on a loop that lagged: a check, or
// a publication that has come as the first. Epochs have no order: the server takes it for news of another one.
func (s *sub) tripped() bool {
	if seen := s.stream.seen; len(seen) > 0 && seen[0] != s.at.Epoch {
		return true
	}
	if s.last >= s.begin {
		return false
	}
	for i := range s.begin {
		if x := s.stream.at(i); x.offset > 0 && x.epoch != s.at.Epoch {
			return true
		}
	}
	return false
}

// checkEnd: when all is delivered the subscription stands at the top of its stream.
func (s *sub) checkEnd() {
	if s.server && !s.wanted && s.state == idle {
		return
	}
	if s.state != live {
		s.fault("not subscribed in the end")
	}
	if next := s.next(); next != len(s.stream.log) {
		s.fault("number %d of %d in the channel is missing in the end", next, len(s.stream.log))
	}
	server := s.fan.pipe.session.find(s.stream.name)
	if server == nil {
		s.fault("the server does not know of it in the end")
	}
	s.checkPosition(server.Offset())
	if !s.endAt.IsZero() && s.fan.crowd.wall.After(s.endAt.Add(expiryGrace+expirySlack)) {
		s.fault("still there, and its time was over at %v", s.endAt)
	}
}

// checkPosition is checkEnd for the position, the client's and the server's, and the value in cache mode.
func (s *sub) checkPosition(server uint64) {
	if !s.positioned {
		return
	}
	top := codec.StreamPosition{Offset: s.stream.top, Epoch: s.stream.epoch}
	if server != top.Offset || s.at.Epoch != top.Epoch || s.whole() && s.at != top {
		s.fault("in the end the top is %v, and the server says %d", top, server)
	}
	if x, depth := s.stream.newest(&s.features); s.cache && x != nil && depth <= s.stream.least && s.value != x.index {
		s.fault("in the end the value is number %d of the channel, and %d would be the newest", s.value, x.index)
	}
}
