package hub

import (
	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
)

// StripesCount is how many parts Positioned divides the channels into.
const StripesCount = stripesCount

// Positioned appends the channels of one stripe, 0 to StripesCount-1, that have or had positioned members on this node.
func (t *Table) Positioned(dst []string, stripe int) []string {
	st := &t.stripes[stripe]
	st.mu.Lock()
	defer st.mu.Unlock()
	for name, r := range st.channels {
		if r.positioned() {
			dst = append(dst, name)
		}
	}
	return dst
}

// positioned reports that some members are, or were. The stripe is locked.
func (r *record) positioned() bool {
	for c := &r.home; c != nil; c = c.next {
		if c.marks&withPositions != 0 {
			return true
		}
	}
	return false
}

// Check looks for members of a channel that have not reached top, or stand in another epoch, although all that waited for them has
// been handed out: they missed something and fail as Lost. top must have been read from the broker before; what was published up
// to it is then in the mailboxes already. Any goroutine may call it.
func (t *Table) Check(channel string, top codec.StreamPosition) {
	t.Wake(t.postChecks(channel, top))
}

func (t *Table) postChecks(channel string, top codec.StreamPosition) engine.Wake {
	st := t.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.channels[channel]
	if r == nil {
		return 0
	}
	return t.post(r, withPositions, &check{t, top.Offset, t.epoch(top.Epoch)}, 0)
}

// check is the position that members must have reached.
type check struct {
	table         *Table
	offset, epoch uint64
}

// checking is a check of the members of one loop, a task of that loop. Members may come and go between its turns. It goes from the last
// to the first, because those who leave are replaced by the last: whoever is moved has been looked at or still will be. There may be no
// other check that would find who was left out. Whoever comes meanwhile has read the broker's position.
type checking struct {
	*check
	channel *Channel
	left    int           // members to look at
	only    *Subscription // nil, or the one to look at instead
}

// check starts k behind what waits.
func (c *Channel) check(l *loop.Loop, k *checking) {
	if c.pending == nil {
		l.Ready(k)
		return
	}
	c.wait(l, k.table, item{marker: &marker{check: k}})
}

// Turn looks at members until the budget ends.
func (k *checking) Turn(b *loop.Budget) (more bool) {
	c := k.channel
	if k.only != nil {
		k.look(k.only)
		return false
	}
	for k.left = min(k.left, c.places()); k.left > 0; k.left = min(k.left, c.places()) {
		k.left--
		if s := c.member(k.left); s != nil {
			k.look(s)
		}
		if !b.Spend(1) {
			return k.left > 0
		}
	}
	return false
}

func (k *checking) look(s *Subscription) {
	if k.missed(s) {
		s.fail(Lost)
	}
}

func (k *checking) missed(s *Subscription) bool {
	return s.flags&positioned != 0 && (s.era != k.channel.era || k.epoch != k.channel.epoch || s.offset < k.offset)
}

// places is how many members there are, tombstones included.
func (c *Channel) places() int {
	if c.list != nil {
		return len(c.list.all)
	}
	return c.len()
}
