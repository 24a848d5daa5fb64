package hub

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/reactor/loop"
)

// TestWalkWhileMembersChange opens a walk, stops it after some members, changes the members, and looks at who gets the
// publication. Members are numbers in the order of their joining; those of a turn's action come after the first ones.
func TestWalkWhileMembersChange(t *testing.T) {
	tests := []struct {
		name    string
		members int
		stop    int   // the walk stops after so many
		leave   []int // then these leave
		join    int   // and so many join
		got     []int // who gets the publication that was under way
		gotNext []int // and the one after it
	}{
		{"nobody moves", 5, 2, nil, 0, []int{0, 1, 2, 3, 4}, []int{0, 1, 2, 3, 4}},
		{"leave before the cursor", 5, 2, []int{0}, 0, []int{0, 1, 2, 3, 4}, []int{1, 2, 3, 4}},
		{"leave at the cursor", 5, 2, []int{2}, 0, []int{0, 1, 3, 4}, []int{0, 1, 3, 4}},
		{"leave after the cursor", 5, 2, []int{4}, 0, []int{0, 1, 2, 3}, []int{0, 1, 2, 3}},
		{"leave on both sides", 6, 3, []int{0, 2, 3, 5}, 0, []int{0, 1, 2, 4}, []int{1, 4}},
		{"join", 5, 2, nil, 2, []int{0, 1, 2, 3, 4}, []int{0, 1, 2, 3, 4, 5, 6}},
		{"leave and join", 5, 2, []int{0, 4}, 2, []int{0, 1, 2, 3}, []int{1, 2, 3, 5, 6}},
		{"all that are left leave", 5, 4, []int{4}, 0, []int{0, 1, 2, 3}, []int{0, 1, 2, 3}},
		{"everybody leaves", 5, 2, []int{0, 1, 2, 3, 4}, 0, []int{0, 1}, nil},
		{"the channel empties and fills again", 5, 2, []int{0, 1, 2, 3, 4}, 3, []int{0, 1}, []int{5, 6, 7}},
		{"one is left", 3, 1, []int{0, 1}, 0, []int{0, 2}, []int{2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1)
			keep := r.join(0, "news") // holds the channel's record, so that filling again meets the open walk
			var all []*listener
			for range tt.members {
				all = append(all, r.join(0, "news"))
			}
			r.publish("news", 1)
			r.walk(0, 1+tt.stop)
			for _, i := range tt.leave {
				all[i].leave()
			}
			for range tt.join {
				all = append(all, r.join(0, "news"))
			}
			r.settle()
			if got := who(all, "1"); !slices.Equal(got, tt.got) {
				t.Errorf("the open walk reached %v, want %v", got, tt.got)
			}
			r.publish("news", 1)
			r.settle()
			if got := who(all, "2"); !slices.Equal(got, tt.gotNext) {
				t.Errorf("the next walk reached %v, want %v", got, tt.gotNext)
			}
			keep.expect("1", "2")
			checkMembers(t, r.channel(0, "news"), len(all)-len(tt.leave)+1)
		})
	}
}

// who are the listeners that got a publication, and fails the test for those who got it twice.
func who(all []*listener, publication string) (numbers []int) {
	for i, x := range all {
		for n, word := range x.got {
			if word == publication {
				numbers = append(numbers, i)
				if slices.Contains(x.got[n+1:], word) {
					x.rig.t.Errorf("listener %d got %q", i, x.got)
				}
			}
		}
	}
	return slices.Compact(numbers)
}

// checkMembers checks the list of a channel at rest.
func checkMembers(t *testing.T, c *Channel, want int) {
	t.Helper()
	if c.len() != want {
		t.Errorf("%d members, want %d", c.len(), want)
	}
	if c.pending != nil {
		t.Error("something waits in a channel at rest")
	}
	if c.list == nil {
		return
	}
	if c.one != nil {
		t.Errorf("one is %v beside a list", c.one)
	}
	for i, s := range c.list.all {
		if s == nil || int(s.index) != i || s.channel != c {
			t.Errorf("member %d is %+v", i, s)
		}
	}
	for i, s := range c.list.all[:cap(c.list.all)][len(c.list.all):] {
		if s != nil {
			t.Errorf("place %d behind the list keeps a subscription alive", i)
		}
	}
}

// TestLeaveInsideSend: a client that cannot take what it is sent may give up all its subscriptions at once.
func TestLeaveInsideSend(t *testing.T) {
	for members := 1; members <= 4; members++ {
		for leaver := range members {
			t.Run(fmt.Sprintf("%d of %d", leaver, members), func(t *testing.T) {
				r := newRig(t, 1)
				var all []*listener
				for range members {
					all = append(all, r.join(0, "news"))
				}
				all[leaver].onSend = all[leaver].leave
				r.publish("news", 1)
				r.settle()
				r.publish("news", 1)
				r.settle()
				for i, x := range all {
					if i == leaver {
						x.expect("1")
					} else {
						x.expect("1", "2")
					}
				}
				if members == 1 {
					if n, _ := r.table.Count(); n != 0 {
						t.Errorf("%d channels", n)
					}
					return
				}
				checkMembers(t, r.channel(0, "news"), members-1)
			})
		}
	}
}

// TestLeaveInsideSendOfEach is the same for a member that gets its publications one by one.
func TestLeaveInsideSendOfEach(t *testing.T) {
	r := newRig(t, 1)
	x := r.joinAt(0, "news", 1, "e")
	x.onSend = x.leave
	for offset := range uint64(3) {
		r.publishAt("news", offset+1, "e")
	}
	r.settle()
	x.expect("2@2")
	x.expectFailed()
}

// TestLastMemberLeavesWhileEventsWait: the record is gone by then, and a new one takes the name.
func TestLastMemberLeavesWhileEventsWait(t *testing.T) {
	for _, drained := range []bool{false, true} {
		t.Run(fmt.Sprintf("in the channel %t", drained), func(t *testing.T) {
			r := newRig(t, 1)
			a := r.join(0, "news")
			r.publish("news", 2)
			var b *listener
			change := func() {
				a.leave()
				if n, s := r.table.Count(); n != 0 || s != 0 {
					t.Errorf("%d channels, %d subscriptions", n, s)
				}
				b = r.join(0, "news")
			}
			if drained {
				r.inMail(0, change)
			} else {
				change()
			}
			r.publish("news", 1)
			r.settle()
			a.expect()
			b.expect("3")
		})
	}
}

// TestLoops: every loop with listeners gets a publication, and only those.
func TestLoops(t *testing.T) {
	r := newRig(t, 4)
	a, b, c := r.join(1, "news"), r.join(3, "news"), r.join(3, "sport")
	r.publish("news", 1)
	for id, want := range []int{0, 1, 0, 1} {
		if items, _ := r.loops[id].Waiting(); items != want {
			t.Errorf("%d items wait for loop %d, want %d", items, id, want)
		}
	}
	r.settle()
	a.expect("1")
	b.expect("1")
	c.expect()

	a.leave() // the home of the record is deaf now
	r.publish("news", 1)
	if items, _ := r.loops[1].Waiting(); items != 0 {
		t.Error("a deaf loop gets mail")
	}
	r.settle()
	b.expect("1", "2")
	d, e := r.join(1, "news"), r.join(0, "news")
	if n := r.table.Subscribers("news"); n != 3 {
		t.Errorf("%d subscribers, want 3", n)
	}
	r.publish("news", 1)
	r.settle()
	for _, x := range []*listener{d, e} {
		x.expect("3")
	}
	for _, x := range []*listener{b, c, d, e} {
		x.leave()
	}
	if n, s := r.table.Count(); n != 0 || s != 0 {
		t.Errorf("%d channels, %d subscriptions", n, s)
	}
	for i := range r.table.stripes {
		if r.table.stripes[i].channels != nil {
			t.Fatal("an empty stripe keeps its map")
		}
	}
}

// TestChannels lists what is listened to.
func TestChannels(t *testing.T) {
	r := newRig(t, 2)
	r.join(0, "news")
	r.join(1, "news")
	r.join(1, "sport")
	got := map[string]int{}
	r.table.Channels(func(name string, n int) { got[name] = n })
	if len(got) != 2 || got["news"] != 2 || got["sport"] != 1 {
		t.Errorf("%v", got)
	}
	if n := r.table.Subscribers("nothing"); n != 0 {
		t.Errorf("%d subscribers of a channel without any", n)
	}
}

// TestNameIsCopied: names come out of read buffers.
func TestNameIsCopied(t *testing.T) {
	r := newRig(t, 1)
	buffer := []byte("news")
	x := r.join(0, aliasing(buffer))
	copy(buffer, "////")
	if x.sub.Name() != "news" || r.table.Subscribers("news") != 1 {
		t.Errorf("the channel is called %q", x.sub.Name())
	}
}

// TestAdmit: a full mailbox of any loop that listens refuses a publication.
func TestAdmit(t *testing.T) {
	r := newRig(t, 0)
	for id := range 2 {
		r.addLoop(loop.New(id, loop.Config{Ring: func() {}, ItemsMax: 2}))
	}
	r.table = NewTable(r.loops)
	r.join(0, "both")
	r.join(1, "both")
	gone := r.join(0, "one")
	r.join(1, "one")
	gone.leave()
	r.join(0, "fill")
	r.publish("fill", 2)
	for channel, want := range map[string]bool{"both": false, "fill": false, "one": true, "nobody": true} {
		if got := r.table.Admit(channel); got != want {
			t.Errorf("Admit(%q) is %t", channel, got)
		}
	}
	r.settle()
	if !r.table.Admit("both") {
		t.Error("an emptied mailbox refuses")
	}
}

// TestAdmitCountsWhatWaits: the mailbox is emptied at every turn, so that what a slow walk leaves in the channels counts too.
func TestAdmitCountsWhatWaits(t *testing.T) {
	for name, size := range map[string]int{"items": 1, "bytes": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			x := r.join(0, "news")
			full := min(waitingItemsMax, waitingBytesMax/size)
			p := &codec.Publication{Data: []byte(strings.Repeat("1", size))}
			for n := 0; r.table.Admit("news"); n++ {
				if n > full {
					t.Fatalf("%d publications wait and there is still room", n)
				}
				x.sub.Channel().Take(r.loops[0], &event{table: r.table, channel: "news", kind: codec.Publications, pub: p})
			}
			other := r.join(0, "sport")
			if r.table.Admit("sport") || !r.table.Admit("nobody") {
				t.Error("the limit is that of the loop")
			}
			other.leave()
			x.leave() // what nobody waits for goes too
			r.settle()
			if !r.table.Admit("news") {
				t.Error("there is no room although nothing waits")
			}
			if o := &r.table.locals[0]; o.items.Load() != 0 || o.bytes.Load() != 0 {
				t.Errorf("%d items of %d bytes are counted at rest", o.items.Load(), o.bytes.Load())
			}
		})
	}
}

// TestPanicInSend: the member that it happened at hears that it missed something, and all others get what waits, then and later.
func TestPanicInSend(t *testing.T) {
	r := newRig(t, 1)
	var all []*listener
	for range 5 {
		all = append(all, r.join(0, "news"))
	}
	all[2].onSend = func() {
		all[2].onSend = nil
		panic("in Send")
	}
	r.publish("news", 1)
	r.settle()
	r.publish("news", 1)
	r.settle()
	for i, x := range all {
		if i == 2 {
			x.expect("1")
			x.expectFailed(Lost)
		} else {
			x.expect("1", "2")
			x.expectFailed()
		}
	}
	checkMembers(t, r.channel(0, "news"), 5)
}

// TestListGrowsAndShrinks: a list gives memory back.
func TestListGrowsAndShrinks(t *testing.T) {
	r := newRig(t, 1)
	var all []*listener
	for range 1000 {
		all = append(all, r.joinAs(0, "news", codec.Protobuf))
	}
	c := r.channel(0, "news")
	for len(all) > 1 {
		all[len(all)/2].leave()
		all = slices.Delete(all, len(all)/2, len(all)/2+1)
		if n := cap(c.list.all); n >= 2*listShrinkMin && len(all) < n/8 {
			t.Fatalf("%d members in a list with room for %d", len(all), n)
		}
	}
	checkMembers(t, c, 1)
	all[0].leave()
	if c.list != nil || c.one != nil {
		t.Error("an empty channel keeps its list")
	}
}

// TestCompact: whatever places are free, the members stay, and those whose places exist afterwards do not move.
func TestCompact(t *testing.T) {
	const places = 8
	for holes := range 1 << places {
		var m members
		m.special = &special{groups: make([]*group, places)}
		for i := range places {
			s := &Subscription{index: uint32(i)}
			if m.all = append(m.all, s); holes>>i&1 != 0 {
				m.all[i] = nil
				continue
			}
			m.special.groups[i] = &group{members: i}
		}
		before := slices.Clone(m.all)
		m.compact()
		want := places - bits.OnesCount(uint(holes))
		if len(m.all) != want || len(m.special.groups) != want {
			t.Fatalf("%08b: %d members and %d groups, want %d", holes, len(m.all), len(m.special.groups), want)
		}
		for i, s := range m.all {
			was := slices.Index(before, s)
			if s == nil || int(s.index) != i || m.special.groups[i].members != was || was < want && was != i {
				t.Errorf("%08b: the member at place %d came from %d", holes, i, was)
			}
		}
		for _, s := range m.all[want:places] {
			if s != nil {
				t.Errorf("%08b: a free place keeps a member alive", holes)
			}
		}
	}
}
