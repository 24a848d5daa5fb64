package ring

import (
	"unsafe"

	"stentor/codec"
)

// slot is one kept publication: its data if it is plain, else the publication itself.
type slot struct {
	data  string
	whole *codec.Publication
}

// slotOf decides how p is kept. Empty data counts as not plain: an empty string means that there is no publication.
func slotOf(p *codec.Publication) slot {
	if plain(p) {
		return slot{data: unsafe.String(unsafe.SliceData(p.Data), len(p.Data))}
	}
	return slot{whole: p}
}

// plain reports that p is nothing but data and a position. It names every other field of a publication; a test counts them.
func plain(p *codec.Publication) bool {
	return len(p.Data) > 0 && p.Info == nil && p.Tags == nil && !p.Delta && p.Time == 0 && p.Channel == "" && p.Key == "" &&
		!p.Removed && p.Score == 0 && p.PrevData == nil && p.Version == 0
}

// block is a circle of slots.
type block struct {
	slots []slot
	first int // index of the oldest
	count int
}

// slotsMin is how many slots a block starts with, its size permitting.
const slotsMin = 2

// index is where the i-th oldest slot lies.
func (b *block) index(i int) int {
	i += b.first
	if i >= len(b.slots) {
		i -= len(b.slots)
	}
	return i
}

// push makes s the newest of at most size slots. What it drops does not stay alive: of a full circle of that size it is the one
// slot that s overwrites, and a larger circle is left behind.
func (b *block) push(s slot, size int) {
	for b.count >= size {
		b.first = b.index(1)
		b.count--
	}
	if b.count == len(b.slots) || len(b.slots) > size {
		b.resize(min(size, max(slotsMin, 2*b.count)))
	}
	b.slots[b.index(b.count)] = s
	b.count++
}

// resize moves the slots to a circle of n, which must hold them and one more.
func (b *block) resize(n int) {
	slots := make([]slot, n)
	for i := range b.count {
		slots[i] = b.slots[b.index(i)]
	}
	b.slots, b.first = slots, 0
}
