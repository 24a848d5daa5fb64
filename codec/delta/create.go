package delta

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// SizeMax is the largest base or target, in bytes.
const SizeMax = 1 << 30

// blockSize is how many bytes have to agree before a copy is considered: a copy of fewer would seldom be shorter than the bytes.
const blockSize = 8

// probesMax is how many blocks of the same hash are looked at for one place: it bounds the work on bases that repeat themselves.
const probesMax = 8

// goodMatch is the length in bytes from which a match where it was expected is taken without looking for a better one.
const goodMatch = 32

// patience is after how many bytes without a match in the base two are passed at once instead of one, and so on: what has nothing in
// common is passed quickly, and a match that begins in between is still found by a later block of it.
const patience = 256

// Create appends the patch that turns base into target to dst. The same input gives the same patch. The work grows with the sum
// of both lengths, whatever they hold; the memory is 4 to 8 bytes for every 8 of base and is used again.
func Create(dst, base, target []byte) []byte {
	if len(base) > SizeMax || len(target) > SizeMax {
		panic("delta: base or target is longer than SizeMax")
	}
	dst = append(appendInt(dst, uint32(len(target))), '\n')
	x := indexes.Get().(*index)
	x.fill(base)
	dst = create(dst, x, base, target)
	x.release()
	return append(appendInt(dst, checksum(target)), ';')
}

func create(dst []byte, x *index, base, target []byte) []byte {
	shift := 0 // from a place in target to where the base is expected to agree with it
	done := 0  // what is before it stands in the patch
	for at := 0; at+blockSize <= len(target); {
		m := x.best(base, target, at, done, at+shift)
		m.trim(target)
		if !m.pays() {
			at += 1 + (at-done)/patience
			continue
		}
		dst = appendInsert(dst, target[done:m.start])
		dst = append(appendInt(dst, uint32(m.end-m.start)), '@')
		dst = append(appendInt(dst, uint32(m.from)), ',')
		at, done = m.end, m.end
		shift = m.from - m.start
	}
	return appendInsert(dst, target[done:])
}

func appendInsert(dst, literal []byte) []byte {
	if len(literal) == 0 {
		return dst
	}
	dst = append(appendInt(dst, uint32(len(literal))), ':')
	return append(dst, literal...)
}

// match is a run of the target that the base has at from.
type match struct{ start, end, from int }

func (m *match) size() int { return m.end - m.start }

// pays reports that a copy is shorter than what it stands for, also if it parts an insert in two.
func (m *match) pays() bool {
	return m.size() > len("@,:")+digits(m.size())+digits(m.from)+digits(m.start)
}

// trim takes off what would part a UTF-8 sequence of the target: at most three bytes at each end.
func (m *match) trim(target []byte) {
	for n := 0; n < 3 && m.start < m.end && continues(target, m.start); n++ {
		m.start++
		m.from++
	}
	for n := 0; n < 3 && m.start < m.end && continues(target, m.end); n++ {
		m.end--
	}
}

// continues reports that byte i belongs to the sequence of the one before it.
func continues(b []byte, i int) bool { return i < len(b) && b[i]&0xc0 == 0x80 }

// index finds the blocks of a base by their content.
type index struct {
	heads []int32 // by hash: 1 + number of the first block with it, 0 for none
	next  []int32 // by number: the one after it with that hash
	shift int
}

var indexes = sync.Pool{New: func() any { return new(index) }}

// indexKeptMax is the largest table that is kept for the next patch, in entries: that of a base of 128 KiB.
const indexKeptMax = 16 << 10

func (x *index) release() {
	if cap(x.next) <= indexKeptMax {
		indexes.Put(x)
	}
}

func (x *index) fill(base []byte) {
	blocks := len(base) / blockSize
	width := bits.Len(uint(blocks)) // at least as many places as blocks
	x.shift = 64 - width
	x.heads = resized(x.heads, 1<<width)
	clear(x.heads)
	x.next = resized(x.next, blocks)
	for n := blocks - 1; n >= 0; n-- { // from the end: where a base repeats itself, what begins first is longest
		h := x.hash(binary.LittleEndian.Uint64(base[n*blockSize:]))
		x.next[n], x.heads[h] = x.heads[h], int32(n+1)
	}
}

func resized(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

// hash spreads a block by its upper bits after a multiplication with 2^64 over the golden ratio.
func (x *index) hash(block uint64) uint64 { return block * 0x9e3779b97f4a7c15 >> x.shift }

// best is the longest match that covers the block at place at of the target. It may begin earlier, but not before done. expected
// is where the base would have it if nothing but single bytes had changed.
func (x *index) best(base, target []byte, at, done, expected int) (best match) {
	block := binary.LittleEndian.Uint64(target[at:])
	look := func(from int) {
		if from < 0 || from+blockSize > len(base) || binary.LittleEndian.Uint64(base[from:]) != block {
			return
		}
		if m := extended(base, target, at, done, from); m.size() > best.size() {
			best = m
		}
	}
	look(expected)
	if best.size() >= goodMatch {
		return best
	}
	n := x.heads[x.hash(block)]
	for probes := 0; n > 0 && probes < probesMax; probes++ {
		look(int(n-1) * blockSize)
		n = x.next[n-1]
	}
	return best
}

// extended makes the match of a block as long as it gets, in both directions.
func extended(base, target []byte, at, done, from int) match {
	m := match{start: at, end: at + blockSize, from: from}
	for m.start > done && m.from > 0 && target[m.start-1] == base[m.from-1] {
		m.start--
		m.from--
	}
	m.end += common(target[m.end:], base[from+blockSize:])
	return m
}

// common is how many bytes a and b have in common from their start.
func common(a, b []byte) (n int) {
	for len(a)-n >= 8 && len(b)-n >= 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
