package session

import (
	"fmt"
	"strconv"

	"stentor/codec"
	"stentor/codec/delta"
	"stentor/engine"
	"stentor/reactor/loop"
	"stentor/server/channel"

	"encoding/json"
)

// farStream is what the oracle knows of a channel.
type farStream struct {
	crowd   *farCrowd
	name    string
	options *channel.Options
	log     []*farPost // all that was published
	epochs  []*farEpoch
	floor   uint64              // history of the present epoch holds nothing up to here
	changed loop.Time           // when the epoch was lost, the last time
	missed  [farNodes]loop.Time // when a node missed something, the last time
	refused [farNodes]int       // the moment in which a node was refused the channel, the last time
}

// farEpoch is one life of a stream.
type farEpoch struct {
	name  string
	posts []*farPost // by offset, from 1 on
}

// farPost is one publication.
type farPost struct {
	number int
	data   string
	tags   int // in tagSets

	// When it has taken place.
	stream *farStream
	index  int // in the log
	epoch  *farEpoch
	offset uint64
	lost   [farNodes]bool // on its way there
}

// newPost is the next publication.
func (c *farCrowd) newPost(s *farStream) *farPost {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &farPost{number: len(c.posts), data: strconv.Itoa(len(c.posts))}
	if s.options.DeltaPublish {
		x.data = patchable(x.number, c.rnd.IntN(6))
	}
	c.posts = append(c.posts, x)
	return x
}

// whole is the publication that data is the payload of, nil if there is none.
func (c *farCrowd) whole(data []byte) *farPost {
	if n := numberOf(data); n >= 0 && n < len(c.posts) && c.posts[n].data == string(data) {
		return c.posts[n]
	}
	return nil
}

// happened notes a publication.
func (c *farCrowd) happened(channel string, p *codec.Publication, at codec.StreamPosition) *farPost {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, x := c.byName[channel], c.whole(p.Data)
	if x == nil || x.stream != nil {
		c.fault("%s: %s was published, or twice", channel, p.Data)
	}
	x.stream, x.index = s, len(s.log)
	s.log = append(s.log, x)
	if at.Offset == 0 {
		return x
	}
	s.see(at.Epoch)
	x.epoch, x.offset = s.epoch(), at.Offset
	if x.epoch.posts = append(x.epoch.posts, x); x.offset != s.top() {
		c.fault("%s: publication %d has offset %d, want %d", s.name, x.number, x.offset, s.top())
	}
	return x
}

// read notes that somebody has looked at history.
func (c *farCrowd) read(channel string, top codec.StreamPosition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byName[channel]
	s.see(top.Epoch)
	if top.Offset != s.top() {
		c.fault("%s: the top is %d, want %d", channel, top.Offset, s.top())
	}
}

// see notes the epoch that the stream is in.
func (s *farStream) see(epoch string) {
	if e := s.epoch(); e != nil && e.name == epoch {
		return
	}
	s.epochs = append(s.epochs, &farEpoch{name: epoch})
	s.floor, s.changed = 0, s.crowd.now
}

// epoch is the present one, nil while nobody has used the stream.
func (s *farStream) epoch() *farEpoch {
	if len(s.epochs) == 0 {
		return nil
	}
	return s.epochs[len(s.epochs)-1]
}

func (s *farStream) top() uint64 {
	if e := s.epoch(); e != nil {
		return uint64(len(e.posts))
	}
	return 0
}

// removed is the end of what history holds.
func (s *farStream) removed() { s.floor = s.top() }

// life finds an epoch by its name, and how many there were before it; -1 if it is none.
func (s *farStream) life(epoch string) (e *farEpoch, before int) {
	for i := len(s.epochs) - 1; i >= 0; i-- {
		if s.epochs[i].name == epoch {
			return s.epochs[i], i
		}
	}
	return nil, -1
}

func (s *farStream) publishOptions() engine.PublishOptions {
	o := s.options
	return engine.PublishOptions{HistorySize: o.HistorySize, HistoryTTL: o.HistoryTTL, HistoryMetaTTL: o.HistoryMetaTTL, Delta: o.DeltaPublish}
}

// farMark is where a stream stood.
type farMark struct {
	epochs int
	top    uint64
}

func (s *farStream) mark() farMark { return farMark{len(s.epochs), s.top()} }

// mustRecover reports that whoever comes from a position gets what came after it, whenever since then history was read: history has
// not lost anything of it up to now.
func (s *farStream) mustRecover(from codec.StreamPosition) bool {
	e := s.epoch()
	if e == nil || from.Epoch != e.name || from.Offset < s.floor || s.options.HistoryTTL < farLongTTL || from.Offset > s.top() {
		return false
	}
	missing := s.top() - from.Offset
	return missing <= uint64(s.options.HistorySize) && missing <= uint64(s.crowd.node.Settings.RecoveryLimit)
}

// farLongTTL is longer than a run takes.
const farLongTTL = 3000_000_000_000 // nanoseconds

// unfold reads the payload of p as a subscriber with deltas does whose last publication was base, nil if it had none.
func unfoldFar(p *codec.Publication, f codec.Form, base *farPost) ([]byte, error) {
	data := p.Data
	if f == codec.JSON {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return nil, fmt.Errorf("%s is not text: %w", data, err)
		}
		data = []byte(text)
	}
	if !p.Delta {
		return data, nil
	}
	if base == nil {
		return nil, fmt.Errorf("a patch without a base: %s", data)
	}
	return delta.Apply(nil, []byte(base.data), data, 1<<20)
}
