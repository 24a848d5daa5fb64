package redisengine

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"stentor/codec"
)

// receive hands a message of a channel to the node. It runs on the reading goroutine of a line.
func (s *shard) receive(l *line, m rueidis.PubSubMessage) {
	n := s.names()
	channel, ok := n.channel(m.Channel)
	if !ok {
		if !strings.HasPrefix(m.Channel, n.prefix+probePart) {
			s.malformed(m.Channel, errFrame)
		}
		return
	}
	if s.interest(channel).line.Load() != l {
		return // the partition moved to another node, and so to another line
	}
	f, err := parseFrame(m.Message)
	if err == nil {
		err = s.handOver(l, channel, f)
	}
	if err != nil {
		s.malformed(m.Channel, err)
	}
}

// handOver decodes a frame and gives it to the receiver, if that has room. An error means that the payload is malformed.
func (s *shard) handOver(l *line, channel string, f frame) error {
	b := s.broker
	if f.kind != publicationKind {
		info := new(codec.ClientInfo)
		if err := codec.DecodeStoredClientInfo(bytesOf(f.payload), info); err != nil {
			return err
		}
		if !l.admitted(channel) {
			return nil
		}
		if f.kind == joinKind {
			b.node.Wake(b.node.Join(channel, info))
		} else {
			b.node.Wake(b.node.Leave(channel, info))
		}
		return nil
	}
	f.at.Epoch = l.epochs.keep(f.at.Epoch)
	p, err := f.publication()
	if err != nil {
		return err
	}
	prev, err := f.previousPublication()
	if err != nil {
		return err
	}
	if l.admitted(channel) {
		b.node.Wake(b.node.Publication(channel, p, prev, f.at))
	}
	return nil
}

// admitted waits until the receiver has room for something on channel. What it has no room for in time is dropped: whoever has a
// position notices.
func (l *line) admitted(channel string) bool {
	b := l.shard.broker
	if !b.node.Admit(channel) && !l.patience.wait(func() bool { return b.node.Admit(channel) }) {
		b.counters.dropped.Add(1)
		if b.droppedLog.due() {
			l.shard.log.Warn("publications are dropped, as this node does not deliver fast enough", "channel", channel,
				"dropped", b.counters.dropped.Load())
		}
		return false
	}
	b.counters.received.Add(1)
	return true
}

// admitPatienceMax is how long the reading goroutine waits for the receiver at most, in each time twice as long; less if the I/O time
// limit is short. While it waits, what Redis sends stays in the buffers of the connection, and Redis cuts one whose buffer is full.
const admitPatienceMax = time.Second

// admitPoll is how often the receiver is asked again.
const admitPoll = time.Millisecond / 2

// patience is how long a reading goroutine may still wait. It must read on in the end: behind what it waits with are the answers to pings,
// which come too late after the I/O time limit.
type patience struct {
	limit  time.Duration // in each window of twice this length
	since  time.Time     // when the window began
	waited time.Duration // in this window
}

// newPatience leaves time for other things: two windows may meet, and half of the I/O time limit is over then.
func newPatience(ioTimeout time.Duration) patience {
	return patience{limit: min(admitPatienceMax, ioTimeout/4)}
}

// wait polls until ready, or until there is no patience left.
func (p *patience) wait(ready func() bool) bool {
	start := time.Now()
	if start.Sub(p.since) > 2*p.limit {
		p.since, p.waited = start, 0
	}
	for {
		waited := time.Since(start)
		if p.waited+waited >= p.limit {
			p.waited += waited
			return false
		}
		time.Sleep(admitPoll)
		if ready() {
			p.waited += time.Since(start)
			return true
		}
	}
}

// malformed notes a message that nobody understands: another application publishes there.
func (s *shard) malformed(topic string, err error) {
	s.broker.counters.malformed.Add(1)
	if s.broker.malformedLog.due() {
		s.log.Warn("messages in Redis are not understood; does another application publish them?", "topic", topic, "error", err,
			"malformed", s.broker.counters.malformed.Load())
	}
}

// seldom lets one through every seldomInterval.
type seldom struct {
	next atomic.Int64 // Unix nanoseconds
}

// seldomInterval is how far messages of one kind are apart in the log.
const seldomInterval = 10 * time.Second

func (s *seldom) due() bool {
	now := time.Now().UnixNano()
	next := s.next.Load()
	return now >= next && s.next.CompareAndSwap(next, now+int64(seldomInterval))
}

// epochCache gives equal epochs the same memory. Those of frames alias them: whoever keeps a position would keep the last publication,
// too.
type epochCache [256]string

func (c *epochCache) keep(epoch string) string {
	if epoch == "" {
		return ""
	}
	hash := uint32(2166136261)
	for i := range len(epoch) {
		hash = (hash ^ uint32(epoch[i])) * 16777619
	}
	place := &c[hash%uint32(len(c))]
	if *place != epoch {
		*place = strings.Clone(epoch)
	}
	return *place
}
