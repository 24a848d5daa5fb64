package session

import (
	"context"
	"sort"
	"strconv"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
	"stentor/server/channel"
)

// stream is what the oracle knows of a channel. It hears of each use of the engine and compares the answers.
type stream struct {
	crowd   *crowd
	name    string
	options *channel.Options
	log     []int // numbers of all publications
	epoch   string
	top     uint64
	before  map[string]bool // epochs that are over

	// History holds the newest publications: at least and at most so many. The two differ for a second around expiry, as the
	// engine counts in seconds.
	least, most int
	clearAt     time.Duration // of history, 0 is never
	forgetAt    time.Duration // of the epoch
}

// expiryBlur is how late an engine may let go what has expired.
const expiryBlur = time.Second

func newStream(c *crowd, name string) *stream {
	ch, err := c.rules.Resolve(name)
	if err != nil {
		c.fault("%s: %v", name, err)
	}
	return &stream{crowd: c, name: name, options: ch.Options, before: map[string]bool{}}
}

func (s *stream) publishOptions() engine.PublishOptions {
	o := s.options
	return engine.PublishOptions{HistorySize: o.HistorySize, HistoryTTL: o.HistoryTTL, HistoryMetaTTL: o.HistoryMetaTTL}
}

func (s *stream) recoverable() bool { return s.options.ForceRecovery }
func (s *stream) positioned() bool  { return s.options.ForceRecovery || s.options.ForcePositioning }

func (s *stream) now() time.Duration { return time.Duration(s.crowd.now) * loop.TickPeriod }

// witness is the engine with the oracle beside it.
type witness struct {
	engine.Broker
	crowd *crowd
}

func (w *witness) Publish(ctx context.Context, name string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	number, _ := strconv.Atoi(string(p.Data))
	got, err := w.Broker.Publish(ctx, name, p, o)
	if err == nil {
		w.crowd.byName[name].published(number, o, got.StreamPosition)
	}
	return got, err
}

func (w *witness) History(ctx context.Context, name string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	missed, top, err := w.Broker.History(ctx, name, f)
	w.crowd.byName[name].read(f, top)
	return missed, top, err
}

func (w *witness) RemoveHistory(ctx context.Context, name string) error {
	s := w.crowd.byName[name]
	s.least, s.most, s.clearAt = 0, 0, 0
	return w.Broker.RemoveHistory(ctx, name)
}

// published is a publication that took place and got a position.
func (s *stream) published(number int, o engine.PublishOptions, at codec.StreamPosition) {
	c := s.crowd
	p := &c.posts[number]
	if p.stream != nil {
		c.fault("%s: publication %d took place twice", s.name, number)
	}
	p.stream, p.index, p.when = s, len(s.log), c.happens
	c.happens++
	s.log = append(s.log, number)
	if !o.HasHistory() {
		if at.Offset != 0 {
			c.fault("%s: an offset for a publication past history", s.name)
		}
		return
	}
	s.see(at.Epoch)
	s.top++
	if at.Offset != s.top {
		c.fault("%s: publication %d has offset %d, want %d", s.name, number, at.Offset, s.top)
	}
	p.offset, p.epoch = at.Offset, at.Epoch
	s.least, s.most = min(s.least+1, o.HistorySize), min(s.most+1, o.HistorySize)
	s.clearAt = s.now() + o.HistoryTTL
	s.forgetAt = s.now() + o.HistoryMetaTTL
}

// read is somebody looking at history, which keeps the epoch alive.
func (s *stream) read(f engine.HistoryFilter, top codec.StreamPosition) {
	s.see(top.Epoch)
	if top.Offset != s.top {
		s.crowd.fault("%s: the top is %d, want %d", s.name, top.Offset, s.top)
	}
	if f.MetaTTL > 0 {
		s.forgetAt = s.now() + f.MetaTTL
	}
}

// see lets time pass for what is kept, and checks that the engine is in the epoch that it must be in.
func (s *stream) see(epoch string) {
	c, now := s.crowd, s.now()
	if s.clearAt > 0 && now >= s.clearAt {
		s.least = 0
		if now >= s.clearAt+expiryBlur {
			s.most = 0
		}
	}
	may, must := now >= s.forgetAt, now >= s.forgetAt+expiryBlur
	switch {
	case epoch == s.epoch:
		if must {
			c.fault("%s: epoch %s should be over", s.name, epoch)
		}
		return
	case s.epoch != "" && !may || epoch == "" || s.before[epoch]:
		c.fault("%s: epoch %q after %q", s.name, epoch, s.epoch)
	}
	s.before[s.epoch] = true
	s.epoch, s.top, s.least, s.most, s.clearAt = epoch, 0, 0, 0, 0
}

// verdict is whether a recovery must succeed.
type verdict uint8

const (
	never verdict = iota
	maybe         // history expires in this second
	always
)

// recovers tells whether somebody at a position can have all that came after it. Modes other than the stream's will have judges
// of their own beside this one.
func (s *stream) recovers(from codec.StreamPosition) verdict {
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

// judge compares the answer to a subscribe command with what is true at this moment.
func (s *stream) judge(a *ask, r *codec.SubscribeResult) {
	c := s.crowd
	a.begin, a.judged = len(s.log), true
	if r.Positioned != s.positioned() || r.Recoverable != s.recoverable() {
		c.fault("%s: positioned %t, recoverable %t", s.name, r.Positioned, r.Recoverable)
	}
	if !s.positioned() {
		if r.Offset != 0 || r.Epoch != "" || len(r.Publications) > 0 || r.Recovered || r.WasRecovering {
			c.fault("%s: %+v in a channel without positions", s.name, r)
		}
		return
	}
	recovering := a.recover && s.recoverable()
	want := never
	if recovering {
		want = s.recovers(a.from)
	}
	if r.WasRecovering != recovering || want == always && !r.Recovered || want == never && r.Recovered {
		c.fault("%s: recovered %t (asked for: %t) from %v, which is %d of never, maybe, always; top %d, history %d to %d, epoch %s",
			s.name, r.Recovered, r.WasRecovering, a.from, want, s.top, s.least, s.most, s.epoch)
	}
	start := s.top
	if r.Recovered {
		start = a.from.Offset
	}
	if r.Epoch != s.epoch || r.Offset != start || r.Offset+uint64(len(r.Publications)) != s.top {
		c.fault("%s: %d publications from %d in epoch %s, want all from %d to %d in %s", s.name, len(r.Publications), r.Offset, r.Epoch, start, s.top, s.epoch)
	}
	if r.Recovered {
		c.trace.Recovered++
	} else if recovering {
		c.trace.Lost++
	}
}

// judgeRefusal is judge for a client that wants an error instead of a recovery that failed.
func (s *stream) judgeRefusal(a *ask) {
	if a.judged = true; !a.reject || !a.recover || s.recovers(a.from) == always {
		s.crowd.fault("%s: refused to recover from %v; top %d, history %d to %d, epoch %s", s.name, a.from, s.top, s.least, s.most, s.epoch)
	}
}

// until is how much of the log was there before publication number when of all.
func (s *stream) until(when int) int {
	return sort.Search(len(s.log), func(i int) bool { return s.crowd.posts[s.log[i]].when >= when })
}
