package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/reactor/loop"
)

// TestJoins: joins and leaves reach those who asked for them, among publications and in order, and touch no position.
func TestJoins(t *testing.T) {
	for _, batched := range []bool{false, true} {
		for f := range codec.Form(codec.NumAllForms) {
			r := newRig(t, 2)
			wants := []*listener{r.joinWith(0, "news", f, Options{JoinLeave: true}), r.joinWith(1, "news", f, Options{JoinLeave: true})}
			placed := r.joinWith(0, "news", f, Options{JoinLeave: true})
			r.table.Position(placed.sub, codec.StreamPosition{Offset: 1, Epoch: "e"})
			plain := r.joinAs(0, "news", f)
			step := func(do func()) {
				do()
				if !batched {
					r.settle()
				}
			}
			step(func() { r.tell("news", ">a") })
			step(func() { r.publishAt("news", 1, "e") })
			step(func() { r.tell("news", "<a") })
			step(func() { r.publishAt("news", 2, "e") })
			step(func() { r.tell("news", ">b") })
			step(func() { r.publish("news", 1) })
			step(func() { r.tell("other", ">c") })
			r.settle()
			for _, x := range wants {
				if got := strings.Join(x.got, "+"); got != ">a+1@1+<a+2@2+>b+3" {
					t.Errorf("%v, batched %t: got %q", f, batched, got)
				}
				if batched && len(x.got) != 1 {
					t.Errorf("%v: %d frames of what met", f, len(x.got))
				}
			}
			if got := strings.Join(placed.got, "+"); got != ">a+<a+2@2+>b+3" || placed.sub.Offset() != 2 {
				t.Errorf("%v, batched %t: a positioned member got %q and is at %d", f, batched, got, placed.sub.Offset())
			}
			if got := strings.Join(plain.got, "+"); got != "1@1+2@2+3" {
				t.Errorf("%v, batched %t: a plain member got %q", f, batched, got)
			}
			if n := r.table.Deliveries(); n != 4*3 {
				t.Errorf("%d deliveries of publications, want 12", n)
			}
		}
	}
}

// TestJoinsAlone: who wants none gets no frame, and no loop is woken where nobody wants any.
func TestJoinsAlone(t *testing.T) {
	r := newRig(t, 3)
	wants := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
	gone := r.joinWith(1, "news", codec.JSON, Options{JoinLeave: true})
	gone.leave()
	plain, far := r.join(0, "news"), r.join(2, "news")
	r.tell("news", ">a")
	for id, want := range []int{1, 0, 0} {
		if items, _ := r.loops[id].Waiting(); items != want {
			t.Errorf("%d items wait for loop %d, want %d", items, id, want)
		}
	}
	r.settle()
	wants.expect(">a")
	plain.expect()
	far.expect()
	gone.expect()

	wants.leave()
	r.settle()
	r.tell("news", "<a")
	if !idle(r.loops[0]) {
		t.Error("a leave is on its way although everybody who wanted it has left")
	}
	r.tell("nobody", "<a")
}

// TestJoinsAreCounted: in the frames and, with what they bring along, against the room for what waits.
func TestJoinsAreCounted(t *testing.T) {
	r := newRig(t, 1)
	var all frames
	r.table.Subscribe(new(Subscription), r.loops[0], "news", codec.Protobuf, &all, Options{JoinLeave: true})
	for range 3 {
		r.tell("news", ">a")
	}
	r.tell("news", "<a")
	r.publish("news", 2)
	r.settle()
	for k, want := range map[codec.Kind]int{codec.Joins: 3, codec.Leaves: 1, codec.Publications: 2} {
		if got, _ := all.got[0].Count(k); len(all.got) != 1 || got != want {
			t.Errorf("%d frames, of the first %d of kind %d, want %d", len(all.got), got, k, want)
		}
	}
	e := &event{channel: "news", kind: codec.Joins, info: &codec.ClientInfo{User: "u", ConnInfo: make([]byte, 1000)}}
	if got := e.cost(); got != 4+infoBytes+1001+eventBytes {
		t.Errorf("a join weighs %d bytes", got)
	}
}

// TestJoinCatchesUp: an order to leave that came after a join finds it delivered.
func TestJoinCatchesUp(t *testing.T) {
	r := newRig(t, 1)
	x, plain := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true}), r.join(0, "news")
	r.tell("news", ">a")
	r.publish("news", 1)
	r.inMail(0, func() {
		for _, each := range []*listener{x, plain} {
			r.table.CatchUp(each.sub)
			each.leave()
		}
	})
	x.expect(">a", "1")
	plain.expect("1")
}

// TestJoinOfBrokenInfo: info that is not JSON ends JSON subscribers who wanted it, and no others.
func TestJoinOfBrokenInfo(t *testing.T) {
	r := newRig(t, 1)
	x, plain := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true}), r.join(0, "news")
	r.publish("news", 1)
	r.table.Join("news", &codec.ClientInfo{Client: "a", ConnInfo: []byte("not JSON")})
	r.publish("news", 1)
	r.settle()
	x.expect("1")
	x.expectFailed(Unencodable)
	plain.expect("1+2")
	plain.expectFailed()
}

// TestOptionsAreKept: what was asked for can be asked, and what the session notes stays apart from it.
func TestOptionsAreKept(t *testing.T) {
	r := newRig(t, 1)
	for bits := range 1 << OwnBits {
		f, o := codec.Form(bits&3), Options{JoinLeave: bits&4 != 0}
		x := r.joinWith(0, "news", f, o)
		x.sub.Note(Own(bits | 1))
		x.sub.Forget(Own(^bits & 1))
		r.table.Position(x.sub, codec.StreamPosition{})
		if s := x.sub; s.form() != f || s.JoinLeave() != o.JoinLeave || s.Own() != Own(bits) {
			t.Errorf("%v, %+v is kept as %b, %b", f, o, s.flags, s.Own())
		}
	}
}

// TestJoinAllocates: a join allocates what a publication does, and its delivery nothing.
func TestJoinAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, 1)
	for range 100 {
		r.table.Subscribe(new(Subscription), r.loops[0], "news", codec.JSON, new(sink), Options{JoinLeave: true})
	}
	info := &codec.ClientInfo{User: "42", Client: strings.Repeat("c", 36)}
	got := testing.AllocsPerRun(100, func() {
		r.table.Join("news", info)
		for !idle(r.loops[0]) || r.waits(0) {
			r.turn(0, loop.TurnVisitsMax)
		}
	})
	if want := 3.0; got != want { // the event, the frame and its bytes
		t.Errorf("%v allocations, want %v", got, want)
	}
}

// TestJoinsForThoseWhoLeft: what is on its way when the last one who wants joins leaves a loop, where others stay, is not for those who
// want some next: what came since is missing behind it. Publications among them reach everybody.
func TestJoinsForThoseWhoLeft(t *testing.T) {
	tests := []struct {
		name string
		wait func(r *rig) // brings what was told to where it waits
	}{
		{"in the mailbox", func(*rig) {}},
		{"in the channel", func(r *rig) { r.turn(0, 0) }},
		{"some in a walk", func(r *rig) { r.turn(0, 1) }},
	}
	for _, tt := range tests {
		for _, rounds := range []int{1, 3} {
			t.Run(fmt.Sprint(tt.name, ", times ", rounds), func(t *testing.T) {
				r := newRig(t, 1)
				plain := []*listener{r.join(0, "news"), r.join(0, "news")}
				for range rounds {
					x := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
					r.tell("news", ">a")
					r.publish("news", 1)
					r.tell("news", "<a")
					tt.wait(r)
					r.tell("news", ">b")
					x.leave()
					r.tell("news", ">c")
				}
				y := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
				tt.wait(r)
				z := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
				r.tell("news", "<c")
				r.publish("news", 1)
				r.settle()
				want := strings.Split("1 2 3 4", " ")[:rounds+1]
				for _, p := range plain {
					if got := strings.Split(strings.Join(p.got, "+"), "+"); !slices.Equal(got, want) {
						t.Errorf("a reader got %q, want %q", got, want)
					}
				}
				for _, p := range []*listener{y, z} {
					got := strings.Join(p.got, "+")
					if joins := strings.Count(got, ">") + strings.Count(got, "<"); joins != 1 || !strings.HasSuffix(got, "<c+"+want[rounds]) {
						t.Errorf("who came last got %q", got)
					}
				}
				if r.waits(0) || r.table.locals[0].bytes.Load() != 0 || r.table.locals[0].fences != nil {
					t.Error("something is left")
				}
			})
		}
	}
}

// TestJoinsForThoseWhoLeftAndCatchingUp: nor are they handed out ahead of their turn.
func TestJoinsForThoseWhoLeftAndCatchingUp(t *testing.T) {
	r := newRig(t, 1)
	r.join(0, "news")
	x := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
	r.tell("news", ">a")
	x.leave()
	y := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
	r.tell("news", ">b")
	r.publish("news", 1)
	r.inMail(0, func() {
		r.table.CatchUp(y.sub)
		y.leave()
	})
	y.expect(">b", "1")
}

// TestJoinsOfALoopThatIsLeft: where everybody leaves, what was noted of it goes, too.
func TestJoinsOfALoopThatIsLeft(t *testing.T) {
	r := newRig(t, 1)
	plain, x := r.join(0, "news"), r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
	r.tell("news", ">a")
	x.leave()
	plain.leave()
	y := r.joinWith(0, "news", codec.JSON, Options{JoinLeave: true})
	r.tell("news", ">b")
	r.settle()
	y.expect(">b")
	if r.table.locals[0].fences != nil {
		t.Error("something is left")
	}
}
