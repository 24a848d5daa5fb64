package hub

import (
	"stentor/codec"
	"stentor/server/filter"
)

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

// choice is that of the filter of g, with a frame of variant v.
func (b *batch) choice(g *group, v variant) *choice {
	if g.choice == nil {
		g.choice = b.choose(g.filter)
		b.asked = append(b.asked, g)
	}
	c := g.choice
	if c == &b.all {
		c.frames[v] = b.frame(v)
	} else if c.frames[v] == nil {
		c.frames[v] = b.join(v, &c.mask)
	}
	return c
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
	switch passing {
	case b.publications:
		return &b.all
	case 0:
		b.none.dropping = b.publications
		return &b.none
	}
	c := b.choices[m]
	if c == nil {
		if b.choices == nil {
			b.choices = make(map[mask]*choice)
		}
		c = &choice{mask: m, dropping: b.publications - passing}
		b.choices[m] = c
	}
	return c
}

// nodesPerVisit is how many nodes of a filter are asked in about the time of a delivery.
const nodesPerVisit = 4

// toll is how many visits of the loop's turn the filters took that were asked since the last time.
func (b *batch) toll() int {
	n := b.due
	b.due = 0
	return n
}

// forgetChoices ends what filters said of this batch.
func (b *batch) forgetChoices() {
	for i, g := range b.asked {
		g.choice, b.asked[i] = nil, nil
	}
	b.asked = b.asked[:0]
	if len(b.choices) > choicesKeptMax {
		b.choices = nil
	}
	clear(b.choices)
}

// choicesKeptMax is the largest map of choices that is kept for the next batch.
const choicesKeptMax = 64
