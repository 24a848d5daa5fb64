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

	batch      batch
	walking    bool
	at, end    int   // of the open walk: members before at have the batch, those from end on do not want it
	chain      flags // see chainOf
	late       bool  // the batch has been on its way for longer than maxLag
	tombstones int   // in the list of members, left by the open walk
	dropped    int   // publications that filters kept from members, since the last time they were counted
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
	n, passed := p.batch.take(p.queue[p.head:], p.local().fences[p.channel])
	if n == 0 {
		return false
	}
	p.head += n
	p.local().passed(p.channel, passed)
	p.walking, p.at, p.end, p.chain = true, 0, 0, p.chainOf()
	p.late = p.batch.opening != nil && p.table.lag.late(p.batch.opening)
	if k := p.local().collecting[p.channel]; k != nil {
		p.local().keep(k, p.batch.events)
	}
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
	for more := true; more && p.at < p.end; more = b.Spend(1 + p.batch.toll()) {
		p.at++
		if s := p.channel.member(p.at - 1); s != nil {
			p.hand(s)
			handed++
		}
	}
	p.local().stats.add(handed*p.batch.publications, p.dropped)
	p.table.filteredOut(p.channel, p.dropped)
	p.dropped = 0
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
	p.walking, p.late = false, false
	p.local().hold(-len(p.batch.events)-p.batch.dropped, -p.batch.bytes)
	c := p.channel
	if c.list != nil && c.list.special != nil {
		c.list.special.passed(p.batch.closing)
	}
	p.batch.reset()
	if c.list == nil {
		return
	}
	if p.tombstones > 0 {
		c.list.compact()
		p.tombstones = 0
	}
	c.shrink()
}

// hand gives the batch to one member: nearly always all of it in one frame.
func (p *pending) hand(s *Subscription) {
	if s.flags&failed != 0 {
		return
	}
	if s.flags&positioned != 0 && !p.suits(s) {
		p.handEach(s)
		return
	}
	if s.flags&(deltas|filtered) == 0 { // nearly everybody: nothing stands between them and their frame
		if f := p.batch.ready[s.flags&(formBits|joinLeave)]; f != nil {
			s.offset = max(s.offset, p.batch.last)
			s.subscriber.Send(f)
			return
		}
	}
	f := p.frame(s)
	if f == nil || f == unencodable {
		p.handEach(s)
		return
	}
	s.offset = max(s.offset, p.batch.last)
	if s.flags&deltas != 0 && p.batch.closing != nil {
		s.got(p.batch.closing)
	}
	if f != nothing {
		s.subscriber.Send(f)
	}
}

// frame is what s, whom the whole batch suits, gets of it; nil if it must be publication by publication.
func (p *pending) frame(s *Subscription) *codec.Frame {
	v := s.variant()
	if s.flags&filtered != 0 {
		c := p.channel.list.special.groups[s.index].choice
		if c == nil || c.frames[v] == nil {
			c = p.batch.choice(p.channel.list.special.groups[s.index], v)
		}
		if f := c.frames[v]; f != nil && f != unencodable {
			p.dropped += c.dropping
		}
		return c.frames[v]
	}
	if s.flags&deltas != 0 && s.flags&p.chain == p.chain {
		v += inPatches - inDeltas
	}
	return p.batch.frame(v)
}

// chainOf is what members with deltas, whom the whole batch suits, must be to have the base that its first publication may be a
// patch against.
func (p *pending) chainOf() flags {
	e := p.batch.opening
	switch {
	case e == nil || !e.patchable():
		return nobody
	case p.channel.list != nil && p.channel.list.special != nil && p.channel.list.special.isBaseOf(e):
		return based
	}
	return based | positioned // whoever has a position that the batch suits stands right before it
}

// suits reports whether s, which is positioned, takes the whole batch. Whoever is not takes any.
func (p *pending) suits(s *Subscription) bool {
	b, c := &p.batch, p.channel
	return b.contiguous && !p.late && (b.first == 0 || s.offset+1 == b.first && b.epoch == c.epoch && s.era == c.era)
}

// handEach gives the publications one by one, as the position of s asks for it and up to one that s cannot read.
func (p *pending) handEach(s *Subscription) {
	for _, e := range p.batch.events {
		p.handOne(s, e)
	}
}

func (p *pending) handOne(s *Subscription, e *event) {
	if s.flags&failed != 0 || e.pub == nil && s.flags&joinLeave == 0 {
		return
	}
	if s.flags&positioned != 0 && e.pub != nil && e.pub.Offset > 0 {
		wanted, lost := p.channel.advance(s, e)
		if wanted && p.late {
			wanted, lost = false, true
		}
		if lost {
			s.fail(Lost)
		}
		if !wanted {
			return
		}
	}
	x := encoding(s.form())
	if e.pub != nil && s.flags&(deltas|filtered) != 0 {
		if x = p.special(s, e); x == numEncodings {
			return
		}
	}
	f := e.frame(x)
	if f == unencodable {
		s.fail(Unencodable)
		return
	}
	s.subscriber.Send(f)
}

// special is how e, alone, is written for a member that gets deltas or filters; numEncodings if it is filtered out.
func (p *pending) special(s *Subscription, e *event) encoding {
	if s.flags&filtered != 0 {
		f := p.channel.list.special.groups[s.index].filter
		p.batch.due += 1 + f.Nodes()/nodesPerVisit
		if f.Match(e.pub.Tags) {
			return encoding(s.form())
		}
		p.dropped++
		return numEncodings
	}
	// A positioned member has come here step by step, so that it has what is before e. Of the others we do not know.
	x := e.inChain(s.form(), s.flags&(based|positioned) == based|positioned && e.patchable())
	s.got(e)
	return x
}

// catchUpMax is how many publications a catch-up hands out at most: nobody else has a turn meanwhile.
const catchUpMax = 1024

func (p *pending) catchUp(s *Subscription) {
	if p.walking && int(s.index) >= p.at && int(s.index) < p.end {
		p.hand(s)
	}
	queue := p.queue[p.head:]
	fences := p.local().fences[p.channel]
	for _, x := range queue[:min(len(queue), catchUpMax)] {
		switch {
		case x.event == nil && x.marker.fence:
			fences--
		case x.event != nil && (x.event.pub != nil || fences == 0):
			p.handOne(s, x.event)
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
