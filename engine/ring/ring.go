// Package ring is one channel's stream: its epoch, the offset that was given last, and the newest publications up to a size.
//
//	Append ──► [ oldest … newest ] ──► Since (oldest first), Before (newest first) ──► Excerpt ──► Publications
//
// It has no lock and no clock; its owner, a record of an engine, has both and says when to Clear.
//
// A server holds a million of them, most with nothing or one publication in it, so the layout follows the common case. A
// publication that is nothing but its data, which is what an API publishes all day, is kept as that data: its offset follows
// from its place. Only one that carries more (who published, tags, a version) is kept as the struct. A single plain one lies in
// the Ring itself; a second, or a richer one, brings a block that grows on demand and goes with the next Clear.
//
// Reading is done in two steps. An Excerpt is a quick copy, taken while the owner holds its lock; Publications, which has to
// allocate for each of them, makes of it what was appended, without the lock.
package ring

import (
	"unsafe"

	"stentor/codec"
)

// EpochSize is the length of an epoch in bytes.
const EpochSize = 8

// Ring is one stream. Make it with New and leave it where it is: strings of Position point into it. 40 bytes.
type Ring struct {
	epoch [EpochSize]byte
	top   uint64

	// one is the only publication's data while more is nil; empty when there is none.
	one  string
	more *block
}

// New starts a stream: nothing in it, offset 0.
func New(epoch [EpochSize]byte) Ring { return Ring{epoch: epoch} }

// Position is the offset given last and the epoch. The string shares the ring's memory, which never changes, so that asking
// costs nothing; whoever holds it keeps the ring's owner from being collected.
func (r *Ring) Position() codec.StreamPosition {
	return codec.StreamPosition{Offset: r.top, Epoch: r.epochString()}
}

func (r *Ring) epochString() string { return unsafe.String(&r.epoch[0], EpochSize) }

// Len is the number of publications kept.
func (r *Ring) Len() int {
	switch {
	case r.more != nil:
		return r.more.count
	case r.one != "":
		return 1
	}
	return 0
}

// Append gives p the next offset, and the epoch if it is the stream's first, and keeps it as the newest of at most size
// publications (at least one). Neither p nor its data may change afterwards: both are kept, not copied.
func (r *Ring) Append(p *codec.Publication, size int) {
	r.top++
	p.Offset, p.Epoch = r.top, ""
	if r.top == 1 {
		p.Epoch = r.epochString()
	}
	size = max(size, 1)
	s := slotOf(p)
	if s.whole == nil && (size == 1 || r.Len() == 0) {
		r.one, r.more = s.data, nil
		return
	}
	if r.more == nil {
		r.more = new(block)
		if r.one != "" {
			r.more.push(slot{data: r.one}, size)
			r.one = ""
		}
	}
	r.more.push(s, size)
}

// Clear drops all publications and the memory they took. Epoch and offset stay.
func (r *Ring) Clear() { r.one, r.more = "", nil }

// Last is the newest publication, or nil.
func (r *Ring) Last() *codec.Publication {
	n := r.Len()
	if n == 0 {
		return nil
	}
	s := r.at(n - 1)
	if s.whole != nil {
		return s.whole
	}
	p := new(codec.Publication)
	s.restore(p, r.Position())
	return p
}

// Since selects publications with offsets above offset, oldest first: at most limit, or all if limit is negative.
func (r *Ring) Since(offset uint64, limit int) Excerpt {
	if offset >= r.top {
		return Excerpt{}
	}
	n := r.Len()
	first := 0
	if newer := r.top - offset; newer < uint64(n) {
		first = n - int(newer)
	}
	return r.excerpt(first, +1, clip(n-first, limit))
}

// Before selects publications with offsets below offset, newest first: at most limit, or all if limit is negative.
func (r *Ring) Before(offset uint64, limit int) Excerpt {
	n := r.Len()
	if offset <= r.top {
		newer := r.top - offset + 1 // publications that do not count
		if newer >= uint64(n) {
			return Excerpt{}
		}
		n -= int(newer)
	}
	return r.excerpt(n-1, -1, clip(n, limit))
}

// clip applies a limit of the caller's to n publications that there are.
func clip(n, limit int) int {
	if limit >= 0 && limit < n {
		return limit
	}
	return n
}

// excerpt copies n slots from place i on, in steps of +1 or -1.
func (r *Ring) excerpt(i, step, n int) Excerpt {
	if n == 0 {
		return Excerpt{}
	}
	slots := make([]slot, n)
	for k := range slots {
		slots[k] = r.at(i + k*step)
	}
	oldest := r.top - uint64(r.Len()) + 1
	return Excerpt{slots: slots, first: codec.StreamPosition{Offset: oldest + uint64(i), Epoch: r.epochString()}, reverse: step < 0}
}

// at is the slot at place i, 0 being the oldest.
func (r *Ring) at(i int) slot {
	if r.more == nil {
		return slot{data: r.one}
	}
	return r.more.slots[r.more.index(i)]
}
