package hub

import (
	"cmp"
	"slices"

	"stentor/codec"
)

// collected is what a channel of a loop has handed out while some of its members read history from far away. They are silent until
// they know their position; then they get what came after it from here. Each needs only what came after itself: where many come all
// the time there is always somebody silent, and what is older goes when the last one who needs it has been let in.
type collected struct {
	silent map[*Subscription]hush
	turns  int      // given out among them
	starts []start  // the numbers of the first events that each needs, in order; the first one is somebody's
	events []*event // publications with an offset, numbered as they come
	first  uint64   // the number of the oldest
	bytes  int

	// checked is the newest check that came meanwhile: those who were silent then, with turns up to checkedTurn, are held against it
	// when they are let in. What they read may be older than what the broker has failed to send. What others read, who came after it, is
	// newer, and of another epoch perhaps.
	checked     *check
	checkedTurn int
}

// hush is since when a member is silent: the number of the first event that it needs, and its turn.
type hush struct {
	number uint64
	turn   int
}

// start is how many members need the events from a number on.
type start struct {
	number  uint64
	members int
}

// Limits of what is collected for a channel, and for all channels of a loop. The oldest go first; who would have needed them has missed
// something and fails as Lost, for which the newest always stays.
const (
	collectedItemsMax      = 4096
	collectedBytesMax      = 4 << 20
	collectedTotalBytesMax = 64 << 20
)

// Silence keeps everything from s, which was subscribed a moment ago, until LetIn. With collect, publications with an offset are kept
// for it meanwhile.
func (t *Table) Silence(s *Subscription, collect bool) {
	s.flags |= failed
	if !collect {
		return
	}
	o := &t.locals[s.channel.loop]
	k := o.collecting[s.channel]
	if k == nil {
		k = &collected{silent: make(map[*Subscription]hush)}
		if o.collecting == nil {
			o.collecting = make(map[*Channel]*collected)
		}
		o.collecting[s.channel] = k
	}
	k.enter(s)
}

// LetIn ends the silence of s. If it has a Position by now, it gets what was collected beyond that, at once.
func (t *Table) LetIn(s *Subscription) {
	s.flags &^= failed
	c := s.channel
	k := t.locals[c.loop].collecting[c]
	if k == nil {
		return
	}
	p := c.pending
	if p == nil {
		p = &pending{table: t, channel: c}
	}
	for _, e := range k.of(s) {
		if s.flags&failed != 0 {
			break // it may have left, and the list with it
		}
		p.handOne(s, e)
	}
	if k.owesCheck(s) {
		if late := (&checking{check: k.checked, channel: c, only: s}); late.missed(s) {
			c.check(t.loops[c.loop], late)
		}
	}
	t.locals[c.loop].forgo(s)
}

func (k *collected) enter(s *Subscription) {
	next := k.first + uint64(len(k.events))
	k.turns++
	k.silent[s] = hush{next, k.turns}
	if n := len(k.starts); n > 0 && k.starts[n-1].number == next {
		k.starts[n-1].members++
	} else {
		k.starts = append(k.starts, start{next, 1})
	}
}

// of is what there is for s.
func (k *collected) of(s *Subscription) []*event {
	since, silent := k.silent[s]
	if !silent {
		return nil
	}
	return k.events[max(since.number, k.first)-k.first:]
}

// check keeps a check for those who are silent now.
func (k *collected) check(x *check) { k.checked, k.checkedTurn = x, k.turns }

// owesCheck reports that s was silent when the check that is kept came.
func (k *collected) owesCheck(s *Subscription) bool {
	since, silent := k.silent[s]
	return silent && k.checked != nil && since.turn <= k.checkedTurn
}

// forgo ends the collecting for s, if there is any.
func (o *local) forgo(s *Subscription) {
	k := o.collecting[s.channel]
	if k == nil {
		return
	}
	since, silent := k.silent[s]
	if !silent {
		return
	}
	delete(k.silent, s)
	before := k.bytes
	if len(k.silent) > 0 {
		k.leave(since.number)
		o.collected += k.bytes - before
		return
	}
	o.collected -= before
	delete(o.collecting, s.channel)
	if len(o.collecting) == 0 {
		o.collecting = nil // a map never gives memory back by itself
	}
}

// leave is a member that needed the events from number on; others are still there.
func (k *collected) leave(number uint64) {
	i, _ := slices.BinarySearchFunc(k.starts, number, func(x start, number uint64) int { return cmp.Compare(x.number, number) })
	k.starts[i].members--
	for k.starts[0].members == 0 {
		k.starts = k.starts[1:]
	}
	if oldest := k.starts[0].number; oldest > k.first {
		k.drop(int(oldest - k.first))
	}
}

// keep collects the publications of a batch that is being handed out.
func (o *local) keep(k *collected, events []*event) {
	others := o.collected - k.bytes
	for _, e := range events {
		if e.kind == codec.Publications && e.pub.Offset > 0 {
			k.events = append(k.events, e)
			k.bytes += e.cost()
		}
	}
	room := min(collectedBytesMax, collectedTotalBytesMax-others)
	n, bytes := 0, k.bytes
	for n < len(k.events)-1 && (len(k.events)-n > collectedItemsMax || bytes > room) {
		bytes -= k.events[n].cost()
		n++
	}
	k.drop(n)
	o.collected = others + k.bytes
}

// drop lets go the n oldest.
func (k *collected) drop(n int) {
	if n == 0 {
		return
	}
	for _, e := range k.events[:n] {
		k.bytes -= e.cost()
	}
	k.events = slices.Delete(k.events, 0, n)
	k.first += uint64(n)
}
