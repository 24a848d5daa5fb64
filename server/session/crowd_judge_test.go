package session

import "stentor/codec"

// verdict is whether a recovery must succeed.
type verdict uint8

const (
	never verdict = iota
	maybe         // history expires in this second
	always
)

// recovers tells whether a subscription can have all that it missed.
func (s *stream) recovers(a *ask) verdict {
	from := a.from
	if a.cache {
		return s.recoversNewest(a)
	}
	if from.Epoch != "" && from.Epoch != s.epoch || from.Offset > s.top {
		return never
	}
	missing := s.top - from.Offset
	switch limit := uint64(s.crowd.node.Settings.RecoveryLimit); {
	case missing == 0:
		return always
	case missing > limit || missing > uint64(s.most):
		return never
	case missing > uint64(s.least):
		return maybe
	}
	return always
}

// recoversNewest is recovers where only the newest publication counts.
func (s *stream) recoversNewest(a *ask) verdict {
	x, depth := s.newest(&a.features)
	switch {
	case s.isTop(a.from):
		return always
	case x == nil:
		return never
	case depth > s.least:
		return maybe
	}
	return always
}

// isTop reports that somebody has the newest publication.
func (s *stream) isTop(p codec.StreamPosition) bool {
	return p.Offset > 0 && p == codec.StreamPosition{Offset: s.top, Epoch: s.epoch}
}

// judge compares the answer to a subscribe command, or what a connect says of a channel, with what is true at this moment.
func (s *stream) judge(a *ask, r *codec.SubscribeResult) {
	c := s.crowd
	s.begin(a)
	if r.Positioned != a.positioned || r.Recoverable != a.recoverable || r.Delta != a.delta {
		c.fault("%s: positioned %t, recoverable %t, delta %t, want %+v", s.name, r.Positioned, r.Recoverable, r.Delta, a.features)
	}
	if !a.positioned {
		if r.Offset != 0 || r.Epoch != "" || len(r.Publications) > 0 || r.Recovered || r.WasRecovering {
			c.fault("%s: %+v in a channel without positions", s.name, r)
		}
		return
	}
	recovering := a.recover && a.recoverable
	want := never
	if recovering {
		want = s.recovers(a)
	}
	if r.WasRecovering != recovering || want == always && !r.Recovered || want == never && r.Recovered {
		c.fault("%s: recovered %t (asked for: %t) from %v, which is %d of never, maybe, always; top %d, history %d to %d, epoch %s",
			s.name, r.Recovered, r.WasRecovering, a.from, want, s.top, s.least, s.most, s.epoch)
	}
	if recovering && !r.Recovered && a.reject {
		c.fault("%s: not recovered from %v, which should have been an error", s.name, a.from)
	}
	switch {
	case r.Recovered && a.cache:
		c.trace.Cached++
	case r.Recovered:
		c.trace.Recovered++
	case recovering:
		c.trace.Lost++
	}
	s.judgePlace(a, r)
}

// begin notes where in the log a subscription begins. The client's own join has happened already if the reply was sent after it,
// and is the last thing that has.
func (s *stream) begin(a *ask) {
	a.begin, a.judged, a.newest = len(s.log), true, -1
	if n := len(s.log) - 1; n >= 0 && s.at(n).move == joins && s.at(n).by == a.pipe {
		a.begin = n
	}
	if x, depth := s.newest(&a.features); x != nil && depth <= s.least {
		a.newest = x.index
	}
}

// judgePlace is judge for position and publications of a reply.
func (s *stream) judgePlace(a *ask, r *codec.SubscribeResult) {
	start, missed := s.top, 0
	switch {
	case !r.Recovered || a.cache && s.isTop(a.from):
	case a.cache:
		missed = 1
		if x, _ := s.newest(&a.features); len(r.Publications) == 1 && (x == nil || r.Publications[0].Offset != x.offset) {
			s.crowd.fault("%s: the newest is said to be %d, but it is %+v", s.name, r.Publications[0].Offset, x)
		}
	default:
		if missed = s.since(a.from.Offset, &a.features); missed > 0 {
			start = a.from.Offset
		}
	}
	if r.Epoch != s.epoch || r.Offset != start || len(r.Publications) != missed {
		s.crowd.fault("%s: %d publications from %d in epoch %s, want %d from %d to %d in %s", s.name, len(r.Publications), r.Offset, r.Epoch, missed, start, s.top, s.epoch)
	}
}

// judgeRefusal is judge for a client that wants an error instead of a recovery that failed.
func (s *stream) judgeRefusal(a *ask) {
	if a.judged = true; !s.refuses(a) {
		s.crowd.fault("%s: refused to recover from %v; top %d, history %d to %d, epoch %s", s.name, a.from, s.top, s.least, s.most, s.epoch)
	}
}

// refuses reports that an error may be the answer.
func (s *stream) refuses(a *ask) bool {
	return a.reject && a.recover && a.recoverable && s.recovers(a) != always
}

// judgeOrder is judge for a subscription that the server API has ordered. All that is missing follows, in pushes.
func (s *stream) judgeOrder(a *ask, r *codec.Subscribe) {
	s.begin(a)
	if r.Positioned != a.positioned || r.Recoverable != a.recoverable || r.Epoch != s.epoch {
		s.crowd.fault("%s: %+v, want %+v in epoch %s", s.name, r, a.features, s.epoch)
	}
	want := never
	if a.recover {
		want = s.recovers(a)
	}
	recovered, not := r.Offset == a.from.Offset && a.recover, r.Offset == s.top
	if want == always && !recovered || want == never && !not || !recovered && !not {
		s.crowd.fault("%s: subscribed at %d (recover %t from %v, which is %d of never, maybe, always); top %d, history %d to %d, epoch %s",
			s.name, r.Offset, a.recover, a.from, want, s.top, s.least, s.most, s.epoch)
	}
	a.owed = int(s.top - r.Offset)
}
