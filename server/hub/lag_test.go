package hub

import (
	"testing"
	"time"
)

// TestMaxLag: who has a position fails when publications come too late; others get them.
func TestMaxLag(t *testing.T) {
	r := newRig(t, 1)
	var now time.Duration
	r.table.SetMaxLag(time.Second, func() time.Duration { return now })
	plain, placed, ahead := r.join(0, "news"), r.joinAt(0, "news", 0, "e"), r.joinAt(0, "news", 2, "e")
	r.publishAt("news", 1, "e")
	now = time.Second
	r.settle()
	placed.expect("1@1")

	r.publishAt("news", 2, "e")
	now += time.Second + 1
	r.settle()
	plain.expect("1@1", "2@2")
	placed.expect("1@1")
	placed.expectFailed(Lost)
	ahead.expectFailed() // it has this one already

	// A batch is as late as the first of it.
	r.publishAt("news", 3, "e")
	now += time.Second
	r.publishAt("news", 4, "e")
	now++
	r.settle()
	ahead.expectFailed(Lost)
	plain.expectFailed()
}

// TestNoMaxLag: without a limit nothing is too late, and nobody looks at a clock.
func TestNoMaxLag(t *testing.T) {
	r := newRig(t, 1)
	r.table.SetMaxLag(0, nil)
	x := r.joinAt(0, "news", 0, "e")
	r.publishAt("news", 1, "e")
	r.settle()
	x.expect("1@1")
}
