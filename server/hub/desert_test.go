package hub

import (
	"strings"
	"testing"
)

// TestEverybodyLeavesALoop: what was on its way to a loop when its last member left is not for whoever joins there next. That one was
// not there for what came since, and would hear of a gap.
func TestEverybodyLeavesALoop(t *testing.T) {
	tests := []struct {
		name string
		wait func(r *rig, id int) // brings publications 1 and 2 to where they wait
	}{
		{"in the mailbox", func(*rig, int) {}},
		{"in the channel", func(r *rig, id int) { r.turn(id, 0) }},
		{"under way in a walk", func(r *rig, id int) { r.turn(id, 1) }},
	}
	for _, tt := range tests {
		for id, where := range []string{"the home", "another loop"} {
			t.Run(tt.name+", "+where, func(t *testing.T) {
				r := newRig(t, 2)
				stays := []*listener{r.join(0, "news"), r.join(1, "news")}
				first, second, stays := stays[id], r.join(id, "news"), stays[1-id:2-id]
				r.publish("news", 2)
				tt.wait(r, id)
				first.leave()
				second.leave()
				r.publish("news", 1)
				third := r.join(id, "news")
				r.publish("news", 1)
				r.settle()
				if got := strings.Join(third.got, "+"); got != "4" {
					t.Errorf("who came between 3 and 4 got %s", got)
				}
				if got := strings.Join(stays[0].got, "+"); got != "1+2+3+4" {
					t.Errorf("who stays on the other loop got %s", got)
				}
				if n := r.table.Subscribers("news"); n != 2 {
					t.Errorf("%d subscribers, want 2", n)
				}
			})
		}
	}
}

// TestEverybodyLeavesAndLingers is the same with a broker on other machines, where a channel stays for a while when everybody has left.
func TestEverybodyLeavesAndLingers(t *testing.T) {
	r, b := newFarRig(t, 1)
	x := r.join(0, "news")
	r.table.Subscribed("news", nil)
	r.publish("news", 2)
	x.leave()
	r.publish("news", 1)
	y := r.join(0, "news")
	r.publish("news", 1)
	r.settle()
	x.expect()
	y.expect("4")
	b.expect(t, "+news")
	y.leave()
	r.table.giveUp(later())
	r.table.giveUp(later()) // y was there in between
	b.expect(t, "-news")
}

// TestLoopsThatAreLeftAreForgotten: a record does not grow with the members who come and go.
func TestLoopsThatAreLeftAreForgotten(t *testing.T) {
	r := newRig(t, 3)
	stays := r.join(1, "news")
	for range 5 {
		for id := range 3 {
			x, y := r.join(id, "news"), r.join(id, "news")
			r.publish("news", 1)
			x.leave()
			y.leave()
		}
	}
	n := 0
	for c := &r.table.stripe("news").channels["news"].home; c != nil; c = c.next {
		n++
	}
	if n != 1 {
		t.Errorf("the record knows %d loops, want 1", n)
	}
	r.settle()
	if len(stays.got) == 0 {
		t.Error("who stayed got nothing")
	}
}
