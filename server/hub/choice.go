package hub

import (
	"stentor/codec"
	"stentor/server/filter"
)

// asking is what the filters of members say of the events of a batch.
type asking struct {
	asked     []*group
	all, none choice
	choices   map[mask]*choice // that take some
	bytes     int              // that frames made for them hold
}

// choice is what filters take of a batch. Filters that take the same share one, and so its frames.
type choice struct {
	mask     mask
	dropping int // publications that they do not take
	frames   [plainVariants]*codec.Frame
}

// mask has a bit for each event of a batch.
type mask [batchItemsMax / 64]uint64

func (m *mask) set(i int)      { m[i/64] |= 1 << (i % 64) }
func (m *mask) has(i int) bool { return m[i/64]>>(i%64)&1 != 0 }

// choicesBytesMax is how much the frames made for choices of one batch may hold, in bytes. They stay until the walk ends, and there
// may be as many choices as filters; those behind it are handed out publication by publication, whose frames all share.
const choicesBytesMax = 1 << 20

// choice is that of the filter of g, with a frame of variant v unless there are too many.
func (b *batch) choice(g *group, v variant) *choice {
	if g.choice == nil {
		if b.asking == nil {
			b.asking = new(asking)
		}
		g.choice = b.choose(g.filter)
		b.asking.asked = append(b.asking.asked, g)
	}
	c := g.choice
	switch {
	case c == &b.asking.all:
		c.frames[v] = b.frame(v)
	case c.frames[v] == nil && b.asking.bytes < choicesBytesMax:
		c.frames[v] = b.join(v, &c.mask)
		b.charge(c.frames[v])
	}
	return c
}

// charge counts a frame in that was made for a choice, unless it is an event's own.
func (b *batch) charge(f *codec.Frame) {
	if f.Joined() > 1 {
		size := len(f.Messages())
		b.asking.bytes += size
		b.due += size / joinedPerVisit
	}
}

// choose asks a filter, once for the batch.
func (b *batch) choose(f *filter.Filter) *choice {
	var m mask
	passing := 0
	for i, e := range b.events {
		if e.pub != nil && f.Match(e.pub.Tags) {
			m.set(i)
			passing++
		}
	}
	b.due += b.publications * f.Nodes() / nodesPerVisit
	a := b.asking
	switch passing {
	case b.publications:
		return &a.all
	case 0:
		a.none.dropping = b.publications
		return &a.none
	}
	c := a.choices[m]
	if c == nil {
		if a.choices == nil {
			a.choices = make(map[mask]*choice)
		}
		c = &choice{mask: m, dropping: b.publications - passing}
		a.choices[m] = c
	}
	return c
}

// What takes about the time of a delivery: to ask so many nodes of a filter, and to join so many bytes, some of which are then
// compressed.
const (
	nodesPerVisit  = 4
	joinedPerVisit = 256
)

// toll is how many visits of the loop's turn the filters took since the last time.
func (b *batch) toll() int {
	n := b.due
	b.due = 0
	return n
}

// forget ends what filters said of this batch, and keeps nothing alive.
func (a *asking) forget() {
	for i, g := range a.asked {
		g.choice, a.asked[i] = nil, nil
	}
	asked, choices := a.asked[:0], a.choices
	if cap(asked) > choicesKeptMax {
		asked = nil
	}
	if len(choices) > choicesKeptMax {
		choices = nil
	}
	clear(choices)
	*a = asking{asked: asked, choices: choices}
}

// choicesKeptMax is the largest map of choices, and the longest list of groups, that is kept for the next batch.
const choicesKeptMax = 64
