package hub

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"stentor/reactor/loop"
)

// TestHandles compares random use with a map of Go, with hashes that are far apart and with ones that meet.
func TestHandles(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		spread := []uint64{1 << 63, 1 << 10, 1}[seed%3]
		var m handles
		model := map[uint64]loop.Handle{}
		for range 2000 {
			hash := rnd.Uint64N(200) * (spread / 100)
			if seed%3 == 2 {
				hash = rnd.Uint64N(200) // all have the same home
			}
			if rnd.IntN(5) < 2+int(seed%2) {
				h := loop.Handle(1 + rnd.Uint64N(1000))
				m.set(hash, h)
				model[hash] = h
			} else {
				m.remove(hash)
				delete(model, hash)
			}
			if m.count != len(model) {
				t.Fatalf("seed %d: %d handles, want %d", seed, m.count, len(model))
			}
		}
		for hash := range uint64(200) {
			for _, at := range []uint64{hash, hash * (spread / 100)} {
				if got := m.get(at); got != model[at] {
					t.Fatalf("seed %d: %d is %d, want %d", seed, at, got, model[at])
				}
			}
		}
		for hash := range model {
			m.remove(hash)
		}
		if m.slots != nil || m.count != 0 {
			t.Fatalf("seed %d: %d slots are left for %d handles", seed, len(m.slots), m.count)
		}
	}
}

// TestHandlesAreDense: memory follows the number of handles, up and down.
func TestHandlesAreDense(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var m handles
	var all []uint64
	check := func() {
		t.Helper()
		if bytes := len(m.slots) * int(unsafe.Sizeof(handleSlot{})); m.count > 16 && bytes > 44*m.count {
			t.Fatalf("%d bytes for %d handles", bytes, m.count)
		}
	}
	sum, samples := 0.0, 0
	for range 20_000 {
		hash := rnd.Uint64()
		m.set(hash, 1)
		all = append(all, hash)
		check()
		if m.count > 1000 {
			sum += float64(len(m.slots)*int(unsafe.Sizeof(handleSlot{}))) / float64(m.count)
			samples++
		}
	}
	if mean := sum / float64(samples); mean > 21 {
		t.Errorf("%.1f bytes per handle, on average, while they come", mean)
	}
	for _, hash := range all {
		m.remove(hash)
		check()
	}
}
