package memengine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestTable compares a table with a map while it grows, shrinks and is emptied.
func TestTable(t *testing.T) {
	e := New(Config{Stripes: 1}, nobody{})
	tab := &e.stripes[0].table
	want := make(map[string]*record[stream])
	rnd := rand.New(rand.NewPCG(1, 2))
	for step := range 20_000 {
		name := fmt.Sprint(rnd.IntN(600))
		growing := step/2500%2 == 0
		switch rec := want[name]; {
		case rec == nil && (growing || rnd.IntN(8) == 0):
			want[name] = tab.add(e.seed, e.hash(name), name)
		case rec != nil && !growing:
			tab.remove(e.hash(name), rec)
			delete(want, name)
			if rec.next != nil {
				t.Fatal("a removed record still points to others")
			}
		}
		if rnd.IntN(100) == 0 {
			tab.shrink(e.seed)
		}
		if got := tab.find(e.hash(name), name); got != want[name] {
			t.Fatalf("step %d: found %v, want %v", step, got, want[name])
		}
		if tab.count != len(want) {
			t.Fatalf("step %d: count %d, want %d", step, tab.count, len(want))
		}
	}
	for name, rec := range want {
		if tab.find(e.hash(name), name) != rec {
			t.Errorf("%s is lost", name)
		}
		tab.remove(e.hash(name), rec)
	}
	tab.shrink(e.seed)
	if tab.buckets != nil {
		t.Errorf("an empty table keeps %d buckets", len(tab.buckets))
	}
}

// TestHashFlood: names with one polynomial hash spread over stripes and buckets like any others.
func TestHashFlood(t *testing.T) {
	e := New(Config{Stripes: 64}, nobody{})
	const n = 1 << 14
	for i := range n {
		name := make([]byte, 0, 28)
		for bit := range 14 {
			name = append(name, []string{"Aa", "BB"}[i>>bit&1]...)
		}
		publish(t, e, string(name), kept)
	}
	for i := range e.stripes {
		tab := &e.stripes[i].table
		if mean := n / len(e.stripes); tab.count > 2*mean {
			t.Errorf("stripe %d has %d channels, the mean is %d", i, tab.count, mean)
		}
		for _, rec := range tab.buckets {
			length := 0
			for ; rec != nil; rec = rec.next {
				length++
			}
			if length > 16 {
				t.Errorf("a bucket has %d records", length)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(record[stream]{}); got != 80 {
		t.Errorf("a record takes %d bytes, want 80", got)
	}
	if got := unsafe.Sizeof(stripe{}); got != 64 {
		t.Errorf("a stripe takes %d bytes, want a cache line", got)
	}
	if got := unsafe.Sizeof(record[crowd]{}); got != 48 {
		t.Errorf("a channel that somebody is in takes %d bytes, want 48", got)
	}
	if got := unsafe.Sizeof(member{}); got != 40 {
		t.Errorf("a member takes %d bytes, want 40", got)
	}
	if got := unsafe.Sizeof(about{}); got != 32 {
		t.Errorf("what a member says takes %d bytes, want 32", got)
	}
	if got := unsafe.Sizeof(hall{}); got != 64 {
		t.Errorf("a hall takes %d bytes, want a cache line", got)
	}
	if got := unsafe.Sizeof(keyResult{}); got > 64 {
		t.Errorf("a remembered key takes %d bytes, want at most 64", got)
	}
}
