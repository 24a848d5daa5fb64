package hub

import (
	"stentor/codec"
	"stentor/reactor/loop"
)

// Channel is what one loop knows of a channel. Only that loop touches it, except for marks and next.
type Channel struct {
	record *record

	// members are all subscriptions of this loop. A channel with one plain member, such as a personal channel, needs no list.
	one     *Subscription
	list    *members
	pending *pending // nil while nothing waits
	epoch   uint64   // of the positions of the members of this era; 0 while none is known
	next    *Channel // of the record, guarded by the table's stripe

	// era counts the epochs that positions here have had. Members of an earlier one hear of it with the next publication. It
	// wraps, so somebody who sleeps through 65,536 epochs without any publication would not.
	era     uint16
	loop    uint8
	marks   marks  // guarded by the table's stripe
	joining uint32 // members who want joins and leaves
}

// marks are what the table has to know of the members.
type marks uint8

const (
	listening     marks = 1 << iota // there are some
	withPositions                   // some are positioned, or were
	withJoiners                     // some want joins and leaves

	// Of the home alone, and about the channel at a remote broker.
	upAsked   // the outcome of subscribing is not known yet
	upLive    // it is delivered
	upLeaving // it is on the list of those that everybody has left
	upBack    // and somebody was there since
	upMissed  // it is on the list of those that may have missed something

	upstreamMarks = upAsked | upLive | upLeaving | upBack | upMissed
)

// members is a dense list; nil entries are tombstones of members who left while a walk was open.
type members struct {
	all     []*Subscription
	special *special // nil without members who get deltas or filter
}

// item is one thing that waits in a channel: a publication, join or leave, or a marker.
type item struct {
	event  *event
	marker *marker
}

// marker comes back to its session, or starts its check, when everything that waited before it has been handed out. One that is a fence
// takes effect where it stands.
type marker struct {
	table  *Table
	handle loop.Handle
	order  any
	check  *checking
	fence  bool // see fences
}

// Name is the channel's name, one string for the whole node.
func (c *Channel) Name() string { return c.record.name }

// Subscribe makes s, which must be new, a member of the channel called name on loop l. From here on publications reach it. One
// that is to be positioned must get its Position before the loop turns again.
func (t *Table) Subscribe(s *Subscription, l *loop.Loop, name string, f codec.Form, who Subscriber, o Options) {
	s.subscriber, s.flags = who, o.flags(f)
	if t.up != nil {
		s.flags &^= wildcard // the broker looks for what matches
	}
	if s.flags&wildcard != 0 {
		t.wild.add(name) // before anybody can hear anything, see the package comment
	}
	c := t.listen(l.ID(), name, o)
	s.channel = c
	c.add(s)
	if s.flags&(deltas|filtered) != 0 {
		c.list.admit(&t.locals[c.loop], s, o.Filter)
	}
}

// Position makes s a positioned subscription that has everything up to sp. Publications that wait and are not above it are
// dropped for s; a gap after it is a Failure. An epoch that is not the channel's says that the stream was lost and made anew:
// nobody else's position means anything then.
func (t *Table) Position(s *Subscription, sp codec.StreamPosition) {
	c := s.channel
	if e := t.epoch(sp.Epoch); e != 0 && e != c.epoch {
		if c.epoch != 0 {
			c.era++
		}
		c.epoch = e
	}
	s.flags |= positioned
	s.offset, s.era = sp.Offset, c.era
}

// Recovered says that the last publication that the client of s got is the one at its Position: the subscribe reply ended with it.
// For a subscription with deltas the next one may then be a patch.
func (t *Table) Recovered(s *Subscription) { s.flags |= based }

// Unsubscribe removes s, once.
func (t *Table) Unsubscribe(s *Subscription) {
	c := s.channel
	s.flags |= failed
	t.locals[c.loop].forgo(s)
	if s.flags&(deltas|filtered) != 0 {
		c.list.dismiss(&t.locals[c.loop], s)
	}
	c.remove(s)
	t.leave(c, c.len() == 0, s.JoinLeave())
	if s.JoinLeave() && c.joining == 0 && c.len() > 0 {
		t.fenceOff(c)
	}
	if s.flags&wildcard != 0 {
		t.wild.remove(c.record.name)
	}
}

// CatchUp gives s, ahead of its turn, what its channel has in store for it. It must be unsubscribed right after: it would get the
// same again. Of more than catchUpMax publications the newest are left out.
func (t *Table) CatchUp(s *Subscription) {
	if p := s.channel.pending; p != nil {
		p.catchUp(s)
	}
}

// Behind gives order back to the resident h when everything that now waits on c, or on its way to it, has been handed out.
func (t *Table) Behind(c *Channel, h loop.Handle, order any) {
	l := t.loops[c.loop]
	if l.Post(c, &marker{table: t, handle: h, order: order}, 0) {
		l.Wake()
	}
}

// Take queues what the mailbox brought: an event or a marker.
func (c *Channel) Take(l *loop.Loop, what any) {
	switch w := what.(type) {
	case *event:
		if c.len() > 0 || c.pending != nil { // otherwise everyone has left
			c.wait(l, w.table, item{event: w})
		}
	case *check:
		if k := w.table.locals[c.loop].collecting[c]; k != nil {
			k.check(w)
		}
		c.check(l, &checking{check: w, channel: c, left: c.places()})
	case *marker:
		switch {
		case c.pending != nil:
			c.wait(l, w.table, item{marker: w})
		case w.fence:
			w.table.locals[c.loop].passed(c, 1)
		default:
			w.reached(l)
		}
	}
}

func (c *Channel) wait(l *loop.Loop, t *Table, x item) {
	if c.pending == nil {
		c.pending = t.locals[c.loop].pending(t, c)
		l.Ready(c.pending)
	}
	if x.event != nil {
		t.locals[c.loop].hold(1, x.event.cost())
	}
	c.pending.push(x)
}

func (m *marker) reached(l *loop.Loop) {
	if m.check != nil {
		l.Ready(m.check)
		return
	}
	if r := l.Find(m.handle); r != nil {
		r.Order(m.order)
	}
}

func (c *Channel) len() int {
	if c.list != nil {
		if c.pending != nil {
			return len(c.list.all) - c.pending.tombstones
		}
		return len(c.list.all)
	}
	if c.one != nil {
		return 1
	}
	return 0
}

// member is number i of the members, or nil if it has left.
func (c *Channel) member(i int) *Subscription {
	if c.list == nil {
		return c.one
	}
	return c.list.all[i]
}

func (c *Channel) add(s *Subscription) {
	switch {
	case c.list != nil:
		c.list.add(s)
	case c.one != nil:
		s.index = 1
		c.list = &members{all: []*Subscription{c.one, s}}
		c.one = nil
	case s.flags&(deltas|filtered) != 0:
		c.list = new(members)
		c.list.add(s)
	default:
		s.index = 0
		c.one = s
	}
}

func (m *members) add(s *Subscription) {
	s.index = uint32(len(m.all))
	if n := len(m.all); n == cap(m.all) && n >= tightMin {
		m.all = append(make([]*Subscription, 0, n+max(2, n/4)), m.all...)
	}
	m.all = append(m.all, s)
	if m.special != nil {
		m.special.grow(len(m.all))
	}
}

// tightMin is the length from which a list grows by a quarter at a time. There are as many lists as channels, and what they have to
// spare would be half of what they are.
const tightMin = 8

// remove takes s out. While a walk is open its place stays as a tombstone: a swap would make the walk skip or repeat a member.
func (c *Channel) remove(s *Subscription) {
	if c.list == nil {
		c.one = nil
		return
	}
	if c.pending != nil && c.pending.walking {
		c.list.all[s.index] = nil
		c.pending.tombstones++
		return
	}
	c.list.swapRemove(s.index)
	c.shrink()
}

func (m *members) swapRemove(i uint32) {
	last := len(m.all) - 1
	if int(i) != last {
		m.put(int(i), last)
	}
	m.cut(last)
}

// compact fills the places of tombstones with the last members: of a million it then touches few.
func (m *members) compact() {
	n := len(m.all)
	for i := 0; i < n; i++ {
		if m.all[i] != nil {
			continue
		}
		for n--; n > i && m.all[n] == nil; n-- {
		}
		if n > i {
			m.put(i, n)
		}
	}
	m.cut(n)
}

// cut leaves n members.
func (m *members) cut(n int) {
	clear(m.all[n:])
	m.all = m.all[:n]
	if m.special != nil {
		m.special.cut(n)
	}
}

// put moves the member at place from to the place to.
func (m *members) put(to, from int) {
	m.all[to] = m.all[from]
	m.all[to].index = uint32(to)
	if m.special != nil {
		m.special.move(to, from)
	}
}

// listShrinkMin is the capacity from which a list gives memory back when three quarters of it are unused.
const listShrinkMin = 64

func (c *Channel) shrink() {
	m := c.list
	switch {
	case len(m.all) == 0:
		c.list = nil
	case cap(m.all) >= listShrinkMin && len(m.all) < cap(m.all)/4:
		m.all = append(make([]*Subscription, 0, cap(m.all)/2), m.all...)
		if m.special != nil {
			m.special.shrink(cap(m.all))
		}
	}
}
