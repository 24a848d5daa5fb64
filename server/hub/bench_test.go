package hub

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/filter"
)

// sink is a subscriber with a pipe that costs nothing.
type sink struct{ frames int }

func (x *sink) Send(*codec.Frame)           { x.frames++ }
func (x *sink) Fail(*Subscription, Failure) {}

// crowd is a loop with many members of one channel, JSON and Protobuf in turn.
func crowd(t testing.TB, members int, place bool) (*rig, *Channel) {
	r := newRig(t, 1)
	for i := range members {
		s := new(Subscription)
		r.table.Subscribe(s, r.loops[0], "news", codec.Form(i%codec.NumForms), new(sink), Options{})
		if place {
			r.table.Position(s, codec.StreamPosition{Offset: 0, Epoch: "e"})
		}
	}
	return r, r.channel(0, "news")
}

// handOut gives encoded publications to everybody.
func (r *rig) handOut(c *Channel, events ...*event) {
	for _, e := range events {
		c.Take(r.loops[c.loop], e)
	}
	for c.pending != nil {
		r.turn(int(c.loop), loop.TurnVisitsMax)
	}
}

func encoded(r *rig, offset uint64) *event {
	p := &codec.Publication{Data: []byte(`{"text":"a message of the usual length, as people send them to each other all day long, again and again"}`), Offset: offset}
	e := &event{table: r.table, channel: "news", kind: codec.Publications, pub: p, epoch: r.table.epoch("e")}
	for f := range codec.Form(codec.NumForms) {
		e.frame(encoding(f))
	}
	return e
}

// TestSizes: a million clients pay for every field. 48 and 80 are size classes of the allocator.
func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(Subscription{}); got != 48 {
		t.Errorf("a subscription takes %d bytes, want 48", got)
	}
	if got := unsafe.Sizeof(record{}); got != 80 {
		t.Errorf("a channel takes %d bytes, want 80", got)
	}
	if a, b := unsafe.Sizeof(stripe{}), unsafe.Sizeof(usersStripe{}); a != 64 || b != 64 {
		t.Errorf("stripes take %d and %d bytes, want a cache line", a, b)
	}
	if got := unsafe.Sizeof(event{}); got != 96 {
		t.Errorf("what waits for a loop takes %d bytes, want 96", got)
	}
	if got := unsafe.Sizeof(local{}); got != 128 {
		t.Errorf("what belongs to a loop takes %d bytes, want two cache lines", got)
	}
}

// TestDeliveryAllocates: to hand out a publication that is encoded allocates nothing, however many listen.
func TestDeliveryAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, members := range []int{1, 2, 1000} {
		for _, place := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, positioned %t", members, place), func(t *testing.T) {
				r, c := crowd(t, members, place)
				e := encoded(r, 0)
				if n := testing.AllocsPerRun(100, func() { r.handOut(c, e) }); n != 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
}

// TestPublicationAllocates: what a publication allocates on its way is the event, and for each form the frame and its bytes.
func TestPublicationAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r, c := crowd(t, 100, false)
	p := &codec.Publication{Data: []byte(`{"n":1}`)}
	got := testing.AllocsPerRun(100, func() {
		r.table.Publication("news", p, nil, codec.StreamPosition{})
		for c.pending != nil || !idle(r.loops[0]) {
			r.turn(0, loop.TurnVisitsMax)
		}
	})
	if want := float64(1 + 2*codec.NumForms); got != want {
		t.Errorf("%v allocations, want %v", got, want)
	}
}

// BenchmarkFanOut is the delivery of a publication to 10,000 members with pipes that cost nothing; "waiting" is how many
// publications meet in one batch.
func BenchmarkFanOut(b *testing.B) {
	const members = 10_000
	for _, place := range []bool{false, true} {
		for _, waiting := range []int{1, 10} {
			b.Run(fmt.Sprintf("positioned %t, waiting %d", place, waiting), func(b *testing.B) {
				r, c := crowd(b, members, place)
				events := make([]*event, waiting)
				b.ReportAllocs()
				offset := uint64(0)
				for b.Loop() {
					for i := range events {
						offset++
						events[i] = encoded(r, offset)
					}
					r.handOut(c, events...)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members*waiting), "ns/delivery")
			})
		}
	}
}

// BenchmarkSpecialFanOut delivers the same publications to 10,000 plain members, to as many with deltas, and to as many with ten
// different filters that all take them, in turn, and reports what the latter two cost against the first: the quickest walk of each,
// which is what others on the machine have disturbed least. Encoding is left out of it.
func BenchmarkSpecialFanOut(b *testing.B) {
	const members = 10_000
	var filters [10]*filter.Filter
	for i := range filters {
		filters[i] = mustFilter(b, leaf("t", "in", fmt.Sprint("x,", i)))
	}
	crowds := [3]func(i int) Options{
		func(int) Options { return Options{} },
		func(int) Options { return Options{Delta: true} },
		func(i int) Options { return Options{Filter: filters[i%len(filters)]} },
	}
	var rigs [3]*rig
	var channels [3]*Channel
	for k, options := range crowds {
		rigs[k], channels[k] = specialCrowd(b, members, options)
	}
	best := [3]time.Duration{time.Hour, time.Hour, time.Hour}
	b.ReportAllocs()
	for offset := uint64(1); b.Loop(); offset++ {
		for k, r := range rigs {
			e := encoded(r, offset)
			e.pub.Tags = map[string]string{"t": "x"}
			e.prev = &codec.Publication{Offset: offset - 1, Data: e.pub.Data}
			for x := range encoding(numEncodings) {
				e.frame(x)
			}
			start := time.Now()
			r.handOut(channels[k], e)
			best[k] = min(best[k], time.Since(start))
		}
	}
	b.ReportMetric(float64(best[0].Nanoseconds())/members, "ns/plain")
	b.ReportMetric(float64(best[1])/float64(best[0]), "delta/plain")
	b.ReportMetric(float64(best[2])/float64(best[0]), "filtered/plain")
}

// BenchmarkManyChannels is publications to channels with one member each.
func BenchmarkManyChannels(b *testing.B) {
	const channels = 100_000
	r := newRig(b, 1)
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprintf("personal:#%d", i)
		r.table.Subscribe(new(Subscription), r.loops[0], names[i], codec.JSON, new(sink), Options{})
	}
	p := &codec.Publication{Data: []byte(`{"n":1}`)}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		r.table.Publication(names[i%channels], p, nil, codec.StreamPosition{})
		if i%100 == 99 {
			r.turn(0, loop.TurnVisitsMax)
		}
	}
}

// BenchmarkSubscribe is a subscribe and an unsubscribe.
func BenchmarkSubscribe(b *testing.B) {
	for _, members := range []int{0, 1, 10_000} {
		b.Run(fmt.Sprintf("beside %d", members), func(b *testing.B) {
			r, _ := crowd(b, members, false)
			x := new(sink)
			b.ReportAllocs()
			for b.Loop() {
				s := new(Subscription)
				r.table.Subscribe(s, r.loops[0], "news", codec.JSON, x, Options{})
				r.table.Unsubscribe(s)
			}
		})
	}
}

// BenchmarkUsers is a place taken and given back, beside 100,000 users.
func BenchmarkUsers(b *testing.B) {
	u := NewUsers()
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprint("user-", i)
		u.Reserve(names[i], loop.Handle(i+1), 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		name := names[i%len(names)]
		u.Release(name, loop.Handle(i%len(names)+1))
		u.Reserve(name, loop.Handle(i%len(names)+1), 0)
	}
}
