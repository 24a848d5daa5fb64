package session

import (
	"sort"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
	"stentor/server/channel"
)

// stream is what the oracle knows of a channel. The witness tells it of each use of the engine.
type stream struct {
	crowd   *crowd
	name    string
	options *channel.Options
	log     []int // numbers of all that happened
	epoch   string
	top     uint64
	before  map[string]bool // epochs that are over
	seen    []string        // epochs in which positions were checked
	inside  map[string]bool // clients who have joined and not left

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
	return &stream{crowd: c, name: name, options: ch.Options, before: map[string]bool{}, inside: map[string]bool{}}
}

func (s *stream) publishOptions() engine.PublishOptions {
	o := s.options
	return engine.PublishOptions{HistorySize: o.HistorySize, HistoryTTL: o.HistoryTTL, HistoryMetaTTL: o.HistoryMetaTTL, Delta: o.DeltaPublish}
}

func (s *stream) now() time.Duration { return time.Duration(s.crowd.now) * loop.TickPeriod }

// at is what happened as number i of the stream.
func (s *stream) at(i int) *post { return &s.crowd.posts[s.log[i]] }

// happened puts x into the log.
func (s *stream) happened(x *post) {
	c := s.crowd
	if x.stream != nil {
		c.fault("%s: number %d happened twice", s.name, x.number)
	}
	x.stream, x.index, x.when = s, len(s.log), c.happens
	c.happens++
	s.log = append(s.log, x.number)
}

// published is a publication that took place and got a position.
func (s *stream) published(number int, o engine.PublishOptions, at codec.StreamPosition) {
	x := &s.crowd.posts[number]
	s.happened(x)
	if !o.HasHistory() {
		return
	}
	s.see(at.Epoch)
	s.top++
	if at.Offset != s.top {
		s.crowd.fault("%s: publication %d has offset %d, want %d", s.name, number, at.Offset, s.top)
	}
	x.offset, x.epoch, x.chains = at.Offset, at.Epoch, o.Delta && s.least > 0
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

// removed is the end of what history holds.
func (s *stream) removed() { s.least, s.most, s.clearAt = 0, 0, 0 }

// checked is a check of all positions.
func (s *stream) checked(epoch string) {
	if n := len(s.seen); n == 0 || s.seen[n-1] != epoch {
		s.seen = append(s.seen, epoch)
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

// moved is a client that joins or leaves, which must be one that does.
func (s *stream) moved(m move, info *codec.ClientInfo) *post {
	c := s.crowd
	p := c.clients[info.Client]
	if p == nil || !s.options.JoinLeave || s.inside[info.Client] == (m == joins) {
		c.fault("%s: move %d of client %s, and inside are %v", s.name, m, info.Client, s.inside)
	}
	p.fan.checkInfo(p, info)
	if m == joins {
		if p.session.find(s.name) == nil {
			c.fault("%s: %v joins, which is not subscribed", s.name, p.fan)
		}
		s.inside[info.Client] = true
	} else {
		delete(s.inside, info.Client)
	}
	c.posts = append(c.posts, post{number: len(c.posts), by: p, move: m})
	x := &c.posts[len(c.posts)-1]
	s.happened(x)
	return x
}

// newest finds the newest publication of history that a subscription takes, nil if there is none, and how deep in history it is.
func (s *stream) newest(f *features) (newest *post, depth int) {
	for i := len(s.log) - 1; i >= 0 && depth < s.most; i-- {
		x := s.at(i)
		if x.offset == 0 {
			continue
		}
		if x.epoch != s.epoch {
			break
		}
		if depth++; f.takes(x) {
			return x, depth
		}
	}
	return nil, 0
}

// since counts the publications after an offset that a subscription takes.
func (s *stream) since(offset uint64, f *features) (n int) {
	for i := len(s.log) - 1; i >= 0; i-- {
		x := s.at(i)
		if x.offset == 0 {
			continue
		}
		if x.epoch != s.epoch || x.offset <= offset {
			break
		}
		if f.takes(x) {
			n++
		}
	}
	return n
}

// until is how much of the log was there before number when of all of the run.
func (s *stream) until(when int) int {
	return sort.Search(len(s.log), func(i int) bool { return s.at(i).when >= when })
}
