package hub

import (
	"math/bits"

	"stentor/reactor/loop"
)

// handles is a map from hashes to handles: one slice of pairs with linear probing, four fifths full. A map of Go takes up to twice the
// memory for a million users, because its tables double.
type handles struct {
	slots []handleSlot
	count int
}

// handleSlot is free while its handle is 0, which names nobody.
type handleSlot struct {
	hash   uint64
	handle loop.Handle
}

// Slots are made more when seven eighths would be taken, by a quarter; and fewer when less than three eighths are.
const handleSlotsMin = 4

// home is where the search for a hash begins. It uses the higher bits: the lower ones chose the stripe.
func (m *handles) home(hash uint64) int {
	hi, _ := bits.Mul64(hash, uint64(len(m.slots)))
	return int(hi)
}

// after is the slot behind slot i.
func (m *handles) after(i int) int {
	if i++; i == len(m.slots) {
		return 0
	}
	return i
}

// find is the slot of a hash, or -1.
func (m *handles) find(hash uint64) int {
	if len(m.slots) == 0 {
		return -1
	}
	for i := m.home(hash); m.slots[i].handle != 0; i = m.after(i) {
		if m.slots[i].hash == hash {
			return i
		}
	}
	return -1
}

// get is the handle of a hash, 0 if there is none.
func (m *handles) get(hash uint64) loop.Handle {
	if i := m.find(hash); i >= 0 {
		return m.slots[i].handle
	}
	return 0
}

// set gives a hash a handle, which must not be 0.
func (m *handles) set(hash uint64, h loop.Handle) {
	if i := m.find(hash); i >= 0 {
		m.slots[i].handle = h
		return
	}
	if n := len(m.slots); m.count+1 > n*7/8 {
		m.resize(max(handleSlotsMin, n+n/4+1))
	}
	m.add(handleSlot{hash, h})
}

func (m *handles) add(s handleSlot) {
	i := m.home(s.hash)
	for m.slots[i].handle != 0 {
		i = m.after(i)
	}
	m.slots[i] = s
	m.count++
}

// remove forgets a hash. Those behind it that began their search before the gap move into it.
func (m *handles) remove(hash uint64) {
	gap := m.find(hash)
	if gap < 0 {
		return
	}
	for i := m.after(gap); m.slots[i].handle != 0; i = m.after(i) {
		if m.distance(m.home(m.slots[i].hash), i) >= m.distance(gap, i) {
			m.slots[gap] = m.slots[i]
			gap = i
		}
	}
	m.slots[gap] = handleSlot{}
	m.count--
	switch n := len(m.slots); {
	case m.count == 0:
		m.slots = nil
	case n > handleSlotsMin && m.count < n*3/8:
		m.resize(max(handleSlotsMin, m.count+m.count/2+1))
	}
}

// distance is how many slots lie from one to another, going forward.
func (m *handles) distance(from, to int) int {
	if to < from {
		to += len(m.slots)
	}
	return to - from
}

func (m *handles) resize(n int) {
	old := m.slots
	m.slots, m.count = make([]handleSlot, n), 0
	for _, s := range old {
		if s.handle != 0 {
			m.add(s)
		}
	}
}
