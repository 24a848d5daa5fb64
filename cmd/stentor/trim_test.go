package main

import "testing"

func TestTrimGain(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name   string
		before uint64 // allocated
		now    heapState
		want   uint64
	}{
		{"quiet, with garbage", 500 * mb, heapState{live: 100 * mb, occupied: 125 * mb, free: 2 * mb, allocated: 501 * mb}, 27 * mb},
		{"quiet, with free memory", 500 * mb, heapState{live: 100 * mb, occupied: 90 * mb, free: 50 * mb, allocated: 501 * mb}, 50 * mb},
		{"quiet, little to gain", 500 * mb, heapState{live: 100 * mb, occupied: 105 * mb, free: 4 * mb, allocated: 501 * mb}, 0},
		{"busy", 500 * mb, heapState{live: 100 * mb, occupied: 125 * mb, free: 50 * mb, allocated: 520 * mb}, 0},
		{"before the first collection", 0, heapState{occupied: 3 * mb, free: mb, allocated: 3 * mb}, 0},
	} {
		if got := tt.now.gain(heapState{allocated: tt.before}); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestHeapRead: the runtime knows all that is asked of it.
func TestHeapRead(t *testing.T) {
	h := readHeap()
	if h.occupied == 0 || h.allocated < h.occupied {
		t.Errorf("%+v", h)
	}
}
