package hub

import (
	"stentor/codec"
	"stentor/reactor/loop"
)

// pending is what waits in a channel and the walk that is open, if any. It is the channel's task on the run queue.
type pending struct {
	table   *Table
	channel *Channel
	queue   []item // from head on
	head    int

	batch   batch
	walking bool
	at, end int // of the open walk: members before at have the batch, those from end on do not want it
}

// sparePendingMax is how many emptied pendings a loop keeps, and pendingKeptMax how long a queue they may keep.
const (
	sparePendingMax = 256
	pendingKeptMax  = 256
)

func (o *local) pending(t *Table, c *Channel) *pending {
	if n := len(o.spare) - 1; n >= 0 {
		p := o.spare[n]
		o.spare[n] = nil
		o.spare = o.spare[:n]
		p.table, p.channel = t, c
		return p
	}
	return &pending{table: t, channel: c}
}

func (p *pending) push(x item) {
	if p.head > 0 && len(p.queue) == cap(p.queue) {
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	p.queue = append(p.queue, x)
}

// release takes p off its channel and keeps it for the next one that needs it.
func (p *pending) release() {
	c, o := p.channel, &p.table.locals[p.channel.loop]
	c.pending = nil
	clear(p.batch.events)
	p.batch.events, p.batch.joined = p.batch.events[:0], [codec.NumForms]*codec.Frame{}
	p.table, p.channel = nil, nil
	if p.queue, p.head = p.queue[:0], 0; cap(p.queue) > pendingKeptMax {
		p.queue = nil
	}
	if len(o.spare) < sparePendingMax {
		o.spare = append(o.spare, p)
	}
}

// Turn hands out what waits, until the budget ends.
func (p *pending) Turn(b *loop.Budget) (more bool) {
	for p.walking || p.open() {
		if !p.walk(b) {
			return true
		}
		p.close()
		if b.Spent() && p.head < len(p.queue) {
			return true
		}
	}
	p.release()
	return false
}

// open starts a walk for the next publications. It reports false when none wait. Markers on the way are reached.
func (p *pending) open() bool {
	l := p.table.loops[p.channel.loop]
	for p.head < len(p.queue) && p.queue[p.head].marker != nil {
		m := p.queue[p.head].marker
		p.queue[p.head] = item{}
		p.head++
		m.reached(l)
	}
	if p.head == len(p.queue) {
		return false
	}
	p.head += p.batch.take(p.queue[p.head:])
	p.walking, p.at, p.end = true, 0, 1
	if m := p.channel.list; m != nil {
		p.end = len(m.all)
	}
	return true
}

// walk gives the batch to members until all have it or the budget ends, in which case it reports false and keeps its place.
func (p *pending) walk(b *loop.Budget) bool {
	handed := 0
	for more := true; more && p.at < p.end; more = b.Spend(1) {
		if s := p.channel.member(p.at); s != nil {
			p.hand(s)
			handed++
		}
		p.at++
	}
	p.table.locals[p.channel.loop].stats.deliveries.Add(uint64(handed * len(p.batch.events)))
	return p.at >= p.end
}

func (p *pending) close() {
	p.walking = false
	c := p.channel
	if c.list != nil {
		if c.list.tombstones > 0 {
			c.list.compact()
		}
		c.shrink()
	}
}

// hand gives the batch to one member: nearly always all of it in one frame.
func (p *pending) hand(s *Subscription) {
	b := &p.batch
	switch {
	case s.flags&failed != 0:
	case s.flags&positioned == 0:
		s.send(b.frame(s.form))
	case b.contiguous && s.offset+1 == b.first && b.epoch == p.channel.epoch:
		s.offset = b.last
		s.send(b.frame(s.form))
	default:
		p.handEach(s)
	}
}

// handEach gives the publications one by one, as the position of s asks for it.
func (p *pending) handEach(s *Subscription) {
	for _, e := range p.batch.events {
		offset := e.pub.Offset
		if offset > 0 {
			if p.channel.epoch == 0 {
				p.channel.epoch = e.epoch
			}
			if e.epoch == p.channel.epoch && offset <= s.offset {
				continue // it came with the history that s has read
			}
			if e.epoch != p.channel.epoch || offset != s.offset+1 {
				s.fail(Lost)
				return
			}
			s.offset = offset
		}
		s.send(e.frame(s.form))
		if s.flags&failed != 0 {
			return
		}
	}
}

func (s *Subscription) send(f *codec.Frame) {
	if f == unencodable {
		s.fail(Unencodable)
		return
	}
	s.subscriber.Send(f)
}
