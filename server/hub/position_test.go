package hub

import "testing"

// at is one publication of a test: its offset and its stream's epoch.
type at struct {
	offset uint64
	epoch  string
}

// TestPositions hands publications to one positioned member, all in one batch and one by one.
func TestPositions(t *testing.T) {
	tests := []struct {
		name   string
		start  at
		pubs   []at
		got    []string // one by one
		joined []string // in one batch
		lost   bool
		end    uint64 // the position reached
	}{
		{"in order", at{0, "e"}, []at{{1, "e"}, {2, "e"}}, []string{"1@1", "2@2"}, []string{"1@1+2@2"}, false, 2},
		{"all known", at{2, "e"}, []at{{1, "e"}, {2, "e"}}, nil, nil, false, 2},
		{"some known", at{1, "e"}, []at{{1, "e"}, {2, "e"}, {3, "e"}}, []string{"2@2", "3@3"}, []string{"2@2", "3@3"}, false, 3},
		{"twice", at{0, "e"}, []at{{1, "e"}, {1, "e"}, {2, "e"}}, []string{"1@1", "3@2"}, []string{"1@1", "3@2"}, false, 2},
		{"gap at once", at{0, "e"}, []at{{2, "e"}, {3, "e"}}, nil, nil, true, 0},
		{"gap later", at{0, "e"}, []at{{1, "e"}, {3, "e"}}, []string{"1@1"}, []string{"1@1"}, true, 1},
		{"another epoch", at{0, "e"}, []at{{1, "f"}}, nil, nil, true, 0},
		{"another epoch at a known offset", at{5, "e"}, []at{{1, "f"}}, nil, nil, true, 5},
		{"another epoch later", at{0, "e"}, []at{{1, "e"}, {2, "f"}}, []string{"1@1"}, []string{"1@1"}, true, 1},
		{"no epoch known yet", at{0, ""}, []at{{1, "e"}, {2, "e"}}, []string{"1@1", "2@2"}, []string{"1@1", "2@2"}, false, 2},
		{"no epoch known, then two", at{0, ""}, []at{{1, "e"}, {2, "f"}}, []string{"1@1"}, []string{"1@1"}, true, 1},
		{"without history", at{4, "e"}, []at{{0, ""}, {0, ""}}, []string{"1", "2"}, []string{"1+2"}, false, 4},
		{"without history between", at{0, "e"}, []at{{1, "e"}, {0, ""}, {2, "e"}}, []string{"1@1", "2", "3@2"}, []string{"1@1+2+3@2"}, false, 2},
		{"without history at the end", at{0, "e"}, []at{{1, "e"}, {2, "e"}, {0, ""}}, []string{"1@1", "2@2", "3"}, []string{"1@1+2@2+3"}, false, 2},
		{"without history after a gap", at{0, "e"}, []at{{2, "e"}, {0, ""}}, nil, nil, true, 0},
	}
	for _, tt := range tests {
		for _, batched := range []bool{false, true} {
			name, want := tt.name+", one by one", tt.got
			if batched {
				name, want = tt.name+", batched", tt.joined
			}
			t.Run(name, func(t *testing.T) {
				r := newRig(t, 1)
				x := r.joinAt(0, "news", tt.start.offset, tt.start.epoch)
				for _, p := range tt.pubs {
					r.publishAt("news", p.offset, p.epoch)
					if !batched {
						r.settle()
					}
				}
				r.settle()
				x.expect(want...)
				if tt.lost {
					x.expectFailed(Lost)
				} else {
					x.expectFailed()
				}
				if x.sub.Offset() != tt.end || !x.sub.Positioned() {
					t.Errorf("at %d, want %d", x.sub.Offset(), tt.end)
				}
			})
		}
	}
}

// TestNewEpoch: a member who reads the history of a stream that was made anew tells all others on its loop that their positions
// mean nothing, with the next publication.
func TestNewEpoch(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.joinAt(0, "news", 7, "e"), r.joinAt(0, "news", 7, "e")
	free, far := r.join(0, "news"), r.joinAt(1, "news", 7, "e")
	c := r.joinAt(0, "news", 0, "f")
	r.settle()
	a.expectFailed() // nothing has happened yet
	r.publishAt("news", 1, "f")
	r.publishAt("news", 2, "f")
	r.settle()
	for _, x := range []*listener{a, b, far} {
		x.expect()
		x.expectFailed(Lost)
	}
	for _, x := range []*listener{free, c} {
		x.expect("1@1+2@2")
	}

	// Those who come back at the new epoch go on with the others.
	a.leave()
	a2, late := r.joinAt(0, "news", 2, "f"), r.joinAt(1, "news", 1, "f")
	r.publishAt("news", 3, "f")
	r.settle()
	a2.expect("3@3")
	c.expect("1@1+2@2", "3@3")
	late.expect()
	late.expectFailed(Lost) // from 1 to 3
	b.expectFailed(Lost)    // once is enough
}

// TestNewEpochAtTheOldOffset: the new stream has come to where a member of the old one stands.
func TestNewEpochAtTheOldOffset(t *testing.T) {
	r := newRig(t, 1)
	a := r.joinAt(0, "news", 1, "e")
	b := r.joinAt(0, "news", 1, "f")
	r.publishAt("news", 2, "f")
	r.settle()
	a.expect()
	a.expectFailed(Lost)
	b.expect("1@2")
}

// TestEpochEndsWithTheLastMember: nobody's position is left to be compared.
func TestEpochEndsWithTheLastMember(t *testing.T) {
	r := newRig(t, 2)
	r.join(1, "news") // keeps the record
	a := r.joinAt(0, "news", 1, "e")
	a.leave()
	b := r.joinAt(0, "news", 0, "")
	r.publishAt("news", 1, "f")
	r.settle()
	b.expect("1@1")
	b.expectFailed()
}

// TestMembersOfOneBatch: a joined frame for those who stand before it, for the others what they miss of it.
func TestMembersOfOneBatch(t *testing.T) {
	r := newRig(t, 1)
	x := []*listener{r.joinAt(0, "n", 0, "e"), r.joinAt(0, "n", 2, "e"), r.joinAt(0, "n", 4, "e"), r.join(0, "n"), r.joinAt(0, "n", 0, "e")}
	for offset := uint64(1); offset <= 4; offset++ {
		r.publishAt("n", offset, "e")
	}
	r.settle()
	x[0].expect("1@1+2@2+3@3+4@4")
	x[1].expect("3@3", "4@4")
	x[2].expect()
	x[3].expect("1@1+2@2+3@3+4@4")
	x[4].expect("1@1+2@2+3@3+4@4")
}
