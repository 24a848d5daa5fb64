package hub

import "stentor/reactor/loop"

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
	if p.head > 0 && len(p.queue) == cap(p.queue) && p.head >= len(p.queue)/2 {
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	p.queue = append(p.queue, x)
}

// release takes p off its channel and keeps it for the next one that needs it.
func (p *pending) release() {
	c, o := p.channel, p.local()
	c.pending = nil
	p.batch.reset()
	p.table, p.channel = nil, nil
	if p.queue, p.head = p.queue[:0], 0; cap(p.queue) > pendingKeptMax {
		p.queue = nil
	}
	if len(o.spare) < sparePendingMax {
		o.spare = append(o.spare, p)
	}
}

func (p *pending) local() *local    { return &p.table.locals[p.channel.loop] }
func (p *pending) loop() *loop.Loop { return p.table.loops[p.channel.loop] }

// Turn hands out what waits, until the budget ends.
func (p *pending) Turn(b *loop.Budget) (more bool) {
	returns := false
	defer func() {
		if !returns {
			p.resume()
		}
	}()
	more = p.turn(b)
	returns = true
	return more
}

func (p *pending) turn(b *loop.Budget) (more bool) {
	for p.walking || p.open() {
		if !p.walk(b) {
			return true
		}
		p.answer(b)
		p.close()
		if b.Spent() && p.head < len(p.queue) {
			return true
		}
	}
	p.release()
	return false
}

// resume goes on after a panic, which the loop is about to log and after which it would forget the task: the member that it
// happened at may have missed something, all others still get what waits for them.
func (p *pending) resume() {
	p.loop().Ready(p)
	if p.walking && p.at > 0 && p.batch.answered == 0 {
		if s := p.channel.member(p.at - 1); s != nil {
			s.fail(Lost)
		}
	}
}

// open starts a walk for the next publications. It reports false when nothing waits.
func (p *pending) open() bool {
	n := p.batch.take(p.queue[p.head:])
	if n == 0 {
		return false
	}
	p.head += n
	p.walking, p.at, p.end = true, 0, 0
	switch c := p.channel; {
	case len(p.batch.events) == 0:
	case c.list != nil:
		p.end = len(c.list.all)
	case c.one != nil:
		p.end = 1
	}
	return true
}

// walk gives the batch to members until all have it or the budget ends, in which case it reports false and keeps its place.
func (p *pending) walk(b *loop.Budget) bool {
	handed := 0
	for more := true; more && p.at < p.end; more = b.Spend(1) {
		p.at++
		if s := p.channel.member(p.at - 1); s != nil {
			p.hand(s)
			handed++
		}
	}
	p.local().stats.deliveries.Add(uint64(handed * p.batch.publications))
	return p.at >= p.end
}

// answer brings back the markers of the batch.
func (p *pending) answer(b *loop.Budget) {
	l := p.loop()
	for p.batch.answered < len(p.batch.markers) {
		m := p.batch.markers[p.batch.answered]
		p.batch.answered++
		b.Spend(1)
		m.reached(l)
	}
}

func (p *pending) close() {
	p.walking = false
	p.local().hold(-len(p.batch.events), -p.batch.bytes)
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
	if s.flags&failed != 0 {
		return
	}
	if !p.suits(s) {
		p.handEach(s)
		return
	}
	switch f := p.batch.frame(s.variant()); f {
	case unencodable:
		p.handEach(s)
	case nothing:
		s.offset = max(s.offset, p.batch.last)
	default:
		s.offset = max(s.offset, p.batch.last)
		s.subscriber.Send(f)
	}
}

// suits reports whether s takes the whole batch.
func (p *pending) suits(s *Subscription) bool {
	b, c := &p.batch, p.channel
	if s.flags&positioned == 0 {
		return true
	}
	return b.contiguous && (b.first == 0 || s.offset+1 == b.first && b.epoch == c.epoch && s.era == c.era)
}

// handEach gives the publications one by one, as the position of s asks for it and up to one that s cannot read.
func (p *pending) handEach(s *Subscription) {
	for _, e := range p.batch.events {
		p.channel.handOne(s, e)
	}
}

func (c *Channel) handOne(s *Subscription, e *event) {
	if s.flags&failed != 0 || e.pub == nil && s.flags&joinLeave == 0 {
		return
	}
	if s.flags&positioned != 0 && e.pub != nil && e.pub.Offset > 0 {
		wanted, lost := c.advance(s, e)
		if lost {
			s.fail(Lost)
		}
		if !wanted {
			return
		}
	}
	f := e.frame(s.form())
	if f == unencodable {
		s.fail(Unencodable)
		return
	}
	s.subscriber.Send(f)
}

// catchUpMax is how many publications a catch-up hands out at most: nobody else has a turn meanwhile.
const catchUpMax = 1024

func (p *pending) catchUp(s *Subscription) {
	if p.walking && int(s.index) >= p.at && int(s.index) < p.end {
		p.hand(s)
	}
	queue := p.queue[p.head:]
	for _, x := range queue[:min(len(queue), catchUpMax)] {
		if x.event != nil {
			p.channel.handOne(s, x.event)
		}
	}
}

// advance moves a positioned member to the offset of e. It is not wanted when it came with the history that s has read, and
// lost when s cannot get there from where it is.
func (c *Channel) advance(s *Subscription, e *event) (wanted, lost bool) {
	if c.epoch == 0 {
		c.epoch = e.epoch
	}
	switch {
	case s.era != c.era || e.epoch != c.epoch:
		return false, true
	case e.pub.Offset <= s.offset:
		return false, false
	case e.pub.Offset != s.offset+1:
		return false, true
	}
	s.offset = e.pub.Offset
	return true, false
}
