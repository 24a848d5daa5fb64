package hub

import (
	"slices"
	"strings"
	"testing"

	"stentor/codec"
)

// TestCheck: whoever is behind the broker's position after all that waited was handed out has missed something.
func TestCheck(t *testing.T) {
	r := newRig(t, 2)
	at := func(offset uint64) codec.StreamPosition { return codec.StreamPosition{Offset: offset, Epoch: "e"} }
	plain, here, there, behind := r.join(0, "news"), r.joinAt(0, "news", 2, "e"), r.joinAt(1, "news", 2, "e"), r.joinAt(1, "news", 1, "e")
	r.table.Check("news", at(2))
	r.settle()
	behind.expectFailed(Lost)

	// What is on its way counts.
	r.publishAt("news", 3, "e")
	r.table.Check("news", at(3))
	r.settle()
	// And whoever has got beyond since the position was read is well.
	r.publishAt("news", 4, "e")
	r.table.Check("news", at(3))
	r.settle()
	for _, x := range []*listener{plain, here, there} {
		x.expectFailed()
	}
	if here.sub.Offset() != 4 {
		t.Errorf("offset %d", here.sub.Offset())
	}

	// A publication that was lost on its way, and a stream that was made anew.
	r.table.Check("news", at(5))
	r.settle()
	here.expectFailed(Lost)
	there.expectFailed(Lost)
	plain.expectFailed()
	other := r.joinAt(0, "anew", 2, "e")
	r.table.Check("anew", codec.StreamPosition{Offset: 0, Epoch: "f"})
	r.table.Check("nobody", at(1))
	r.settle()
	other.expectFailed(Lost)
}

// TestCheckTakesTurns: a check of many members keeps its place.
func TestCheckTakesTurns(t *testing.T) {
	r := newRig(t, 1)
	var all []*listener
	for i := range 100 {
		all = append(all, r.joinAt(0, "news", uint64(i%2), "e"))
	}
	r.table.Check("news", codec.StreamPosition{Offset: 1, Epoch: "e"})
	for range 20 {
		r.turn(0, 10)
	}
	for i, x := range all {
		if want := i%2 == 0; (len(x.failed) == 1) != want {
			t.Errorf("member %d failed %v", i, x.failed)
		}
	}
}

// TestCheckWhileMembersLeave: nobody escapes a check by being moved to the place of one who leaves between two of its turns, whether at
// once or, in the middle of a walk, when that has ended.
func TestCheckWhileMembersLeave(t *testing.T) {
	const members, seen = 6, 3
	for behind := range members {
		for leaver := range members {
			for _, walking := range []bool{false, true} {
				r := newRig(t, 1)
				all := make([]*listener, members)
				for i := range all {
					all[i] = r.joinAt(0, "news", 1, "e")
				}
				r.table.Position(all[behind].sub, codec.StreamPosition{Offset: 0, Epoch: "e"})
				r.table.Check("news", codec.StreamPosition{Offset: 1, Epoch: "e"})
				r.turn(0, seen-1)
				if walking {
					all[0].onSend = all[leaver].leave
					r.publish("news", 1)
				}
				r.turn(0, 1)
				if !walking {
					all[leaver].leave()
				}
				r.settle()
				for i, x := range all {
					if failed := len(x.failed) == 1; i != leaver && failed != (i == behind) {
						t.Errorf("%d is behind, %d leaves, walking %t: member %d failed %v", behind, leaver, walking, i, x.failed)
					}
				}
			}
		}
	}
}

// TestCheckOfTheSilent: whoever is silent while the others are checked has read a position that may be older than what was lost, and is
// checked when it is let in. What is still on its way to it then counts.
func TestCheckOfTheSilent(t *testing.T) {
	tests := []struct {
		name   string
		read   uint64 // the position that the silent one has
		pushed bool   // publication 1 comes; otherwise it is lost
		visits int    // of the turns before it is let in
		got    string
		lost   bool
	}{
		{"behind", 0, false, 100, "", true},
		{"at the top", 1, false, 100, "", false},
		{"at the top, and had all", 1, true, 100, "", false},
		{"collected", 0, true, 100, "1@1", false},
		{"on its way", 0, true, 0, "1@1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := newFarRig(t, 1)
			x := r.joinWith(0, "news", codec.JSON, Options{Positioned: true})
			r.table.Silence(x.sub, true)
			if tt.pushed {
				r.publishAt("news", 1, "e")
			}
			r.table.Check("news", codec.StreamPosition{Offset: 1, Epoch: "e"})
			for range 3 {
				r.turn(0, tt.visits)
			}
			x.expectFailed()
			r.table.Position(x.sub, codec.StreamPosition{Offset: tt.read, Epoch: "e"})
			r.table.LetIn(x.sub)
			r.settle()
			if got := strings.Join(x.got, "+"); got != tt.got || (len(x.failed) == 1) != tt.lost {
				t.Errorf("got %q and failed %v, want %q and %t", got, x.failed, tt.got, tt.lost)
			}
		})
	}
}

// TestCheckBeforeASilence: who becomes silent after a check is not held against it, although others are silent all the time: what it
// reads is newer, and of another epoch if the stream was made anew.
func TestCheckBeforeASilence(t *testing.T) {
	r, _ := newFarRig(t, 1)
	join := func() *listener {
		x := r.joinWith(0, "news", codec.JSON, Options{Positioned: true})
		r.table.Silence(x.sub, true)
		return x
	}
	before := join()
	r.table.Check("news", codec.StreamPosition{Offset: 5, Epoch: "old"})
	r.settle()
	after := join()
	for _, tt := range []struct {
		x    *listener
		lost bool
	}{{after, false}, {before, true}} {
		r.table.Position(tt.x.sub, codec.StreamPosition{Offset: 1, Epoch: "new"})
		r.table.LetIn(tt.x.sub)
		r.settle()
		if (len(tt.x.failed) == 1) != tt.lost {
			t.Errorf("failed %v, want %t", tt.x.failed, tt.lost)
		}
	}
	r.table.Check("news", codec.StreamPosition{Offset: 1, Epoch: "new"})
	r.settle()
	after.expectFailed()
}

// TestPositioned: only channels with positions are listed, each in one stripe.
func TestPositioned(t *testing.T) {
	r := newRig(t, 1)
	r.join(0, "plain")
	x := r.joinAt(0, "news", 0, "e")
	r.joinAt(0, "sport", 0, "e")
	list := func() (names []string) {
		for i := range StripesCount {
			names = r.table.Positioned(names, i)
		}
		slices.Sort(names)
		return names
	}
	if got := list(); !slices.Equal(got, []string{"news", "sport"}) {
		t.Errorf("%q", got)
	}
	x.leave()
	if got := list(); !slices.Equal(got, []string{"sport"}) {
		t.Errorf("after leaving: %q", got)
	}
}
