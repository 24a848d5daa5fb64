package hub

import "stentor/server/filter"

// special is what a channel of a loop has besides its list when members get deltas or filter publications by their tags.
type special struct {
	count int // members with either
	base  place

	// groups has, by a member's index, who shares its filter; nil for a member without, and empty while nobody has one. Members
	// with equal filters share one, so that there are at most as many groups as members, and each filter is asked once for a
	// publication.
	groups  []*group
	filters map[string]*group // by key of the filter
}

// place is one publication of a stream.
type place struct{ offset, epoch uint64 }

// group is the members with one filter.
type group struct {
	filter  *filter.Filter
	members int
	choice  *choice // what the filter takes of the open batch; nil before it was asked
}

// admit takes in s, which is on the list.
func (m *members) admit(o *local, s *Subscription, f *filter.Filter) {
	if m.special == nil {
		m.special = new(special)
	}
	m.special.count++
	if s.flags&filtered != 0 {
		m.special.enter(o, s, f, len(m.all))
	}
}

// dismiss takes out s, which is still on the list.
func (m *members) dismiss(o *local, s *Subscription) {
	x := m.special
	if s.flags&filtered != 0 {
		x.exit(o, s)
	}
	if x.count--; x.count == 0 {
		m.special = nil
	}
}

func (x *special) enter(o *local, s *Subscription, f *filter.Filter, members int) {
	if x.filters == nil {
		x.filters = make(map[string]*group)
		x.groups = make([]*group, members)
	}
	g := x.filters[f.Key()]
	if g == nil {
		g = &group{filter: f}
		x.filters[f.Key()] = g
		o.stats.filterBytes.Add(int64(groupBytes + f.Bytes()))
	}
	g.members++
	x.groups[s.index] = g
}

func (x *special) exit(o *local, s *Subscription) {
	g := x.groups[s.index]
	x.groups[s.index] = nil
	if g.members--; g.members > 0 {
		return
	}
	delete(x.filters, g.filter.Key())
	o.stats.filterBytes.Add(-int64(groupBytes + g.filter.Bytes()))
	if len(x.filters) == 0 {
		x.groups, x.filters = nil, nil
	}
}

// groupBytes is what a group takes besides its filter: itself, its place in the map. In bytes.
const groupBytes = 32 + 40

// grow makes room for n members.
func (x *special) grow(n int) {
	if x.groups != nil {
		x.groups = append(x.groups, make([]*group, n-len(x.groups))...)
	}
}

// move brings the group of member from to the place to.
func (x *special) move(to, from int) {
	if x.groups != nil {
		x.groups[to] = x.groups[from]
	}
}

// cut leaves n members.
func (x *special) cut(n int) {
	if x.groups != nil {
		clear(x.groups[n:])
		x.groups = x.groups[:n]
	}
}

// shrink gives memory back, down to room for n members.
func (x *special) shrink(n int) {
	if x.groups != nil {
		x.groups = append(make([]*group, 0, n), x.groups...)
	}
}

// passed notes that all members who stay have e, the last publication of a batch, or nil if it had none.
func (x *special) passed(e *event) {
	if e != nil {
		x.base = place{e.pub.Offset, e.epoch}
	}
}

// isBaseOf reports that the last publication that went to all members is the base of a patch of e.
func (x *special) isBaseOf(e *event) bool {
	return x.base == place{e.prev.Offset, e.epoch}
}
