package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"stentor/codec"
	"stentor/reactor/loop"
)

func aliasing(b []byte) string { return unsafe.String(&b[0], len(b)) }

// frames is a subscriber that keeps frames.
type frames struct{ got []*codec.Frame }

func (x *frames) Send(f *codec.Frame)         { x.got = append(x.got, f) }
func (x *frames) Fail(*Subscription, Failure) {}

// TestJoinedFrames: what waits together goes out as one frame per form, and everybody of a form gets the same one.
func TestJoinedFrames(t *testing.T) {
	r := newRig(t, 1)
	var all [2 * codec.NumAllForms]frames
	for i := range all {
		r.table.Subscribe(new(Subscription), r.loops[0], "news", codec.Form(i%codec.NumAllForms), &all[i], Options{})
	}
	r.publish("news", 10)
	r.settle()
	for i, x := range all {
		if len(x.got) != 1 || x.got[0] != all[i%codec.NumAllForms].got[0] || x.got[0].Form() != codec.Form(i%codec.NumAllForms) {
			t.Fatalf("listener %d got %v", i, x.got)
		}
		if pubs := decode(t, x.got[0]); len(pubs) != 10 || string(pubs[9].Data) != "10" {
			t.Errorf("listener %d got %d publications", i, len(pubs))
		}
	}
}

// TestBatchLimits: a batch is limited in publications and in bytes, but one publication is always taken.
func TestBatchLimits(t *testing.T) {
	big, huge := strings.Repeat("1", batchBytesMax/2-2*eventBytes), strings.Repeat("1", 2*batchBytesMax)
	tests := []struct {
		name string
		data []string
		want []int // publications of each frame
	}{
		{"many small ones", slices.Repeat([]string{"1"}, 2*batchItemsMax+1), []int{batchItemsMax, batchItemsMax, 1}},
		{"big ones", []string{big, big, big}, []int{2, 1}},
		{"a huge one between", []string{"1", huge, "1", "1"}, []int{1, 1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1)
			x := r.join(0, "news")
			for _, data := range tt.data {
				r.publishData("news", data, 0, "")
			}
			r.settle()
			var got []int
			for _, frame := range x.got {
				got = append(got, 1+strings.Count(frame, "+"))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("frames of %v, want %v", got, tt.want)
			}
		})
	}
}

// TestUnencodable: a payload that is not JSON ends JSON subscribers, behind what came before it; the others read on.
func TestUnencodable(t *testing.T) {
	for _, batched := range []bool{false, true} {
		t.Run(fmt.Sprint("batched ", batched), func(t *testing.T) {
			r := newRig(t, 1)
			text, placed := r.join(0, "news"), r.joinAt(0, "news", 0, "e")
			binary := r.joinAs(0, "news", codec.Protobuf)
			for i, data := range []string{"1", "2", "not JSON", "4"} {
				r.publishData("news", data, uint64(i+1), "e")
				if !batched {
					r.settle()
				}
			}
			r.settle()
			for _, x := range []*listener{text, placed} {
				x.expect("1@1", "2@2")
				x.expectFailed(Unencodable)
			}
			binary.expectFailed()
			if got := strings.Join(binary.got, "+"); got != "1@1+2@2+not JSON@3+4@4" {
				t.Errorf("the binary subscriber got %q", got)
			}
		})
	}
}

// TestCatchUp: who is ordered to leave gets first what came before the order, wherever the walk is.
func TestCatchUp(t *testing.T) {
	tests := []struct {
		name string
		play func(r *rig, catchUp func())
		want []string
	}{
		{"nothing waits", func(r *rig, catchUp func()) { catchUp() }, nil},
		{"still in the mailbox", func(r *rig, catchUp func()) { r.publish("news", 1); catchUp() }, nil},
		{"no walk yet", func(r *rig, catchUp func()) { r.publish("news", 2); r.inMail(0, catchUp) }, []string{"1", "2"}},
		{"before the cursor", func(r *rig, catchUp func()) {
			r.publish("news", 1)
			r.walk(0, 2)
			r.publish("news", 1)
			r.inMail(0, catchUp)
		}, []string{"1", "2"}},
		{"after the cursor", func(r *rig, catchUp func()) {
			r.publish("news", 2)
			r.turn(0, 1)
			r.publish("news", 1)
			r.inMail(0, catchUp)
		}, []string{"1+2", "3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1)
			first, x, last := r.join(0, "news"), r.join(0, "news"), r.join(0, "news")
			tt.play(r, func() {
				r.table.CatchUp(x.sub)
				x.leave()
			})
			r.settle()
			x.expect(tt.want...)
			for _, other := range []*listener{first, last} {
				if n := len(strings.Split(strings.Join(other.got, "+"), "+")); len(other.got) > 0 && n != r.published["news"] {
					t.Errorf("another member got %q", other.got)
				}
			}
		})
	}
}

// TestCatchUpOnly: no more than is due, in offsets and in number.
func TestCatchUpOnly(t *testing.T) {
	t.Run("behind the end of an open walk", func(t *testing.T) {
		r := newRig(t, 1)
		r.join(0, "news")
		r.join(0, "news")
		r.publish("news", 1)
		r.turn(0, 1)
		x := r.join(0, "news")
		r.table.CatchUp(x.sub)
		x.leave()
		x.expect()
	})
	t.Run("a position", func(t *testing.T) {
		r := newRig(t, 1)
		x := r.joinAt(0, "news", 1, "e")
		for offset := range uint64(3) {
			r.publishAt("news", offset+1, "e")
		}
		r.inMail(0, func() {
			r.table.CatchUp(x.sub)
			x.leave()
		})
		r.settle()
		x.expect("2@2", "3@3")
	})
	t.Run("more than anybody waits for", func(t *testing.T) {
		r := newRig(t, 1)
		x := r.join(0, "news")
		r.publish("news", catchUpMax+10)
		r.inMail(0, func() {
			r.table.CatchUp(x.sub)
			x.leave()
		})
		if len(x.got) != catchUpMax {
			t.Errorf("%d publications", len(x.got))
		}
	})
}

// clerk is a resident that notes markers among publications in the log of a listener.
type clerk struct{ x *listener }

func (c clerk) Expire(loop.Time) {}
func (c clerk) Order(what any)   { c.x.got = append(c.x.got, fmt.Sprint(what)) }

// TestMarkers: a marker comes back behind everything that its channel had in store when it was set.
func TestMarkers(t *testing.T) {
	tests := []struct {
		name string
		play func(r *rig, x *listener, mark func(string))
		want []string
	}{
		{"nothing waits", func(r *rig, x *listener, mark func(string)) { mark("m") }, []string{"m"}},
		{"behind the mailbox", func(r *rig, x *listener, mark func(string)) {
			r.publish("news", 1)
			mark("m")
		}, []string{"1", "m"}},
		{"among publications that meet", func(r *rig, x *listener, mark func(string)) {
			r.publish("news", 1)
			mark("m1")
			r.publish("news", 1)
			mark("m2")
			r.publish("news", 1)
		}, []string{"1+2+3", "m1", "m2"}},
		{"behind an open walk", func(r *rig, x *listener, mark func(string)) {
			r.join(0, "news")
			r.publish("news", 1)
			r.walk(0, 1)
			mark("m")
			r.publish("news", 1)
		}, []string{"1", "2", "m"}},
		{"the channel is left", func(r *rig, x *listener, mark func(string)) {
			r.publish("news", 1)
			mark("m")
			x.leave()
		}, []string{"m"}},
		{"the channel is left while it waits there", func(r *rig, x *listener, mark func(string)) {
			r.join(0, "news")
			r.publish("news", 1)
			r.walk(0, 1)
			mark("m")
			x.leave()
		}, []string{"1", "m"}},
		{"only markers", func(r *rig, x *listener, mark func(string)) {
			r.publish("news", 1)
			for i := range 3 * batchItemsMax {
				mark(fmt.Sprint("m", i))
			}
		}, append([]string{"1"}, numbered(3*batchItemsMax)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1)
			x := r.join(0, "news")
			c, h := x.sub.Channel(), r.loops[0].Add(clerk{x})
			gone := r.loops[0].Add(clerk{x})
			r.loops[0].Remove(gone)
			tt.play(r, x, func(name string) {
				r.table.Behind(c, h, name)
				r.table.Behind(c, gone, "of somebody who has gone")
			})
			r.settle()
			x.expect(tt.want...)
			if c.pending != nil {
				t.Error("something still waits")
			}
		})
	}
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("m", i))
	}
	return names
}

// leaver leaves its channel when its marker comes back, as a session does that is ordered to.
type leaver struct{ x *listener }

func (c leaver) Expire(loop.Time) {}
func (c leaver) Order(any)        { c.x.leave() }

// TestMarkerMakesMembersLeave: the walk is not quite over then.
func TestMarkerMakesMembersLeave(t *testing.T) {
	r := newRig(t, 1)
	var all []*listener
	for range 5 {
		all = append(all, r.join(0, "news"))
	}
	r.publish("news", 1)
	for _, i := range []int{0, 2, 4} {
		r.table.Behind(all[i].sub.Channel(), r.loops[0].Add(leaver{all[i]}), nil)
	}
	r.publish("news", 1)
	r.settle()
	r.publish("news", 1)
	r.settle()
	for i, x := range all {
		if i%2 == 0 {
			x.expect("1+2")
		} else {
			x.expect("1+2", "3")
		}
	}
	checkMembers(t, r.channel(0, "news"), 2)
}

// panicky panics at its first order.
type panicky struct{ x *listener }

func (c *panicky) Expire(loop.Time) {}
func (c *panicky) Order(any) {
	if c.x != nil {
		c.x = nil
		panic("in Order")
	}
}

// TestPanicAtMarker: the other markers come back all the same, and nobody is told of a loss.
func TestPanicAtMarker(t *testing.T) {
	r := newRig(t, 1)
	x := r.join(0, "news")
	c, h := x.sub.Channel(), r.loops[0].Add(clerk{x})
	r.publish("news", 1)
	r.table.Behind(c, h, "m1")
	r.table.Behind(c, r.loops[0].Add(&panicky{x}), nil)
	r.table.Behind(c, h, "m2")
	r.publish("news", 1)
	r.settle()
	r.publish("news", 1)
	r.settle()
	x.expect("1+2", "m1", "m2", "3")
	x.expectFailed()
}

// TestPendingKeepsNothingAlive: what an emptied pending keeps for its next channel must not hold on to publications.
func TestPendingKeepsNothingAlive(t *testing.T) {
	r := newRig(t, 1)
	x := r.join(0, "news")
	h := r.loops[0].Add(clerk{x})
	for _, n := range []int{batchItemsMax, 3, 1} { // the first batch is the largest
		r.publish("news", n)
		r.table.Behind(x.sub.Channel(), h, "m")
		r.settle()
	}
	spare := r.table.locals[0].spare
	if len(spare) != 1 {
		t.Fatalf("%d spare pendings, want 1 that served three times", len(spare))
	}
	p := spare[0]
	if p.table != nil || p.channel != nil || p.walking {
		t.Errorf("a spare pending knows its last channel: %+v", p)
	}
	for _, e := range p.batch.events[:cap(p.batch.events)] {
		if e != nil {
			t.Fatal("a spare pending keeps a publication")
		}
	}
	for _, m := range p.batch.markers[:cap(p.batch.markers)] {
		if m != nil {
			t.Fatal("a spare pending keeps a marker")
		}
	}
	for _, x := range p.queue[:cap(p.queue)] {
		if x != (item{}) {
			t.Fatal("a spare pending keeps an item")
		}
	}
	if p.batch.frames != [numVariants]*codec.Frame{} {
		t.Error("a spare pending keeps frames")
	}
	r.publish("news", pendingKeptMax+batchItemsMax)
	r.settle()
	if n := cap(r.table.locals[0].spare[0].queue); n > pendingKeptMax {
		t.Errorf("a spare pending keeps room for %d items", n)
	}
}

// TestSparePendings: a loop keeps a bounded number of them.
func TestSparePendings(t *testing.T) {
	r := newRig(t, 1)
	for i := range 2 * sparePendingMax {
		r.join(0, fmt.Sprint(i))
		r.publish(fmt.Sprint(i), 1)
	}
	r.settle()
	if n := len(r.table.locals[0].spare); n != sparePendingMax {
		t.Errorf("%d spare pendings, want %d", n, sparePendingMax)
	}
}

// TestCost: what is charged to a mailbox covers everything that a publication brings along.
func TestCost(t *testing.T) {
	plain := &event{channel: "news", kind: codec.Publications, pub: &codec.Publication{Data: make([]byte, 100)}}
	rich := &event{channel: "news", kind: codec.Publications, pub: &codec.Publication{
		Data: make([]byte, 100),
		Tags: map[string]string{"key": "value"},
		Info: &codec.ClientInfo{User: "u", ConnInfo: make([]byte, 1000), ChanInfo: make([]byte, 500)},
	}}
	if got := plain.cost(); got != 104+eventBytes {
		t.Errorf("%d bytes, want %d", got, 104+eventBytes)
	}
	if got := rich.cost() - plain.cost(); got != 8+1501+infoBytes {
		t.Errorf("%d bytes more, want %d", got, 1509+infoBytes)
	}
}

// TestFrameRoom: the guess at the size of a push is good enough for both forms, with and without a publisher's info.
func TestFrameRoom(t *testing.T) {
	info := &codec.ClientInfo{User: "42", Client: strings.Repeat("c", 36), ConnInfo: []byte(`{"name":"x"}`), ChanInfo: []byte(`{}`)}
	for _, p := range []*codec.Publication{
		{Data: []byte(`{"n":1}`)},
		{Data: []byte(`{"n":1}`), Offset: 1 << 40, Epoch: "abcdefgh"},
		{Data: []byte(`{"n":1}`), Offset: 1 << 40, Info: info},
	} {
		for f := range codec.Form(codec.NumForms) {
			e := &event{channel: "chat:room", kind: codec.Publications, pub: p}
			if raceEnabled {
				continue
			}
			// The frame, its bytes, and nothing else.
			if n := testing.AllocsPerRun(100, func() { e.frames[f].Store(nil); e.frame(encoding(f)) }); n != 2 {
				t.Errorf("%v allocations for a %v frame of %+v", n, f, p)
			}
		}
	}
}
