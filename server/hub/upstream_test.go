package hub

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

// farBroker notes what it is asked.
type farBroker struct{ asked []string }

func (b *farBroker) Subscribe(channel string)   { b.asked = append(b.asked, "+"+channel) }
func (b *farBroker) Unsubscribe(channel string) { b.asked = append(b.asked, "-"+channel) }

func (b *farBroker) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(b.asked, want) {
		t.Errorf("the broker was asked %q, want %q", b.asked, want)
	}
	b.asked = nil
}

func newFarRig(t *testing.T, loops int) (*rig, *farBroker) {
	r, b := newRig(t, loops), new(farBroker)
	r.table.Connect(b)
	return r, b
}

// later is a moment at which everything that was left by now has lingered long enough.
func later() time.Time { return time.Now().Add(time.Minute) }

func TestUpstreamFirstAndLast(t *testing.T) {
	r, b := newFarRig(t, 2)
	x, y := r.join(0, "news"), r.join(1, "news")
	b.expect(t, "+news")
	r.table.Subscribed("news", nil)
	x.leave()
	r.table.giveUp(later())
	b.expect(t)
	y.leave()
	r.table.giveUp(time.Now().Add(-lingerMin))
	b.expect(t) // too early
	if channels, _ := r.table.Count(); channels != 0 || r.table.Subscribers("news") != 0 {
		t.Errorf("%d channels although everybody has left", channels)
	}
	r.table.Channels(func(name string, _ int) { t.Errorf("%s is listed although everybody has left", name) })
	r.table.giveUp(later())
	b.expect(t, "-news")
	r.join(0, "news")
	b.expect(t, "+news")
}

// TestUpstreamComesBack: whoever comes back in time costs nothing, and the time starts anew when the last one leaves again.
func TestUpstreamComesBack(t *testing.T) {
	r, b := newFarRig(t, 1)
	x := r.join(0, "news")
	b.expect(t, "+news")
	r.table.Subscribed("news", nil)
	for range 3 {
		x.leave()
		x = r.join(0, "news")
	}
	x.leave()
	r.table.giveUp(later()) // of the first leaving
	b.expect(t)
	x = r.join(0, "news")
	if !r.table.Await(x.sub, 0) {
		t.Error("a channel that lingers is not live")
	}
	r.table.giveUp(later())
	b.expect(t)
	x.leave()
	r.table.giveUp(later())
	b.expect(t, "-news")
}

// TestUpstreamNeverLive: a channel that was left before it was live is given up only when it is.
func TestUpstreamNeverLive(t *testing.T) {
	r, b := newFarRig(t, 1)
	r.join(0, "news").leave()
	b.expect(t, "+news")
	r.table.giveUp(later())
	b.expect(t)
	r.table.Subscribed("news", nil)
	r.table.giveUp(later())
	b.expect(t, "-news")
	r.table.Subscribed("news", nil) // nobody asked; it must not matter
}

// TestUpstreamFails: everybody who waits hears of an error, and the next one tries anew.
func TestUpstreamFails(t *testing.T) {
	r, b := newFarRig(t, 1)
	w := new(waitingResident)
	h := r.loops[0].Add(w)
	x := r.join(0, "news")
	if r.table.Await(x.sub, h) {
		t.Fatal("live although nothing was heard")
	}
	fault := errors.New("no")
	r.table.Subscribed("news", fault)
	r.settle()
	if want := []any{Outcome{x.sub, fault}}; !slices.Equal(w.orders, want) {
		t.Errorf("heard %v, want %v", w.orders, want)
	}
	b.expect(t, "+news")
	y := r.join(0, "news")
	b.expect(t, "+news")
	if r.table.Await(y.sub, h) {
		t.Fatal("live although it failed")
	}
	x.leave()
	r.table.Subscribed("news", nil)
	r.settle()
	if want := []any{Outcome{x.sub, fault}, Outcome{y.sub, nil}}; !slices.Equal(w.orders, want) {
		t.Errorf("heard %v, want %v", w.orders, want)
	}
	y.leave()
	r.table.giveUp(later())
	b.expect(t, "-news")
	if r.table.stripe("news").waiting != nil || r.table.stripe("news").channels != nil {
		t.Error("something is left")
	}
}

// TestUpstreamFailedBefore: the outcome may be there before a member waits for it, such as one that waits for another channel first.
func TestUpstreamFailedBefore(t *testing.T) {
	r, b := newFarRig(t, 1)
	w := new(waitingResident)
	h := r.loops[0].Add(w)
	x := r.join(0, "news")
	b.expect(t, "+news")
	r.table.Subscribed("news", errors.New("no"))
	if r.table.Await(x.sub, h) {
		t.Fatal("live although it failed")
	}
	b.expect(t, "+news")
	r.table.Subscribed("news", nil)
	r.settle()
	if want := []any{Outcome{x.sub, nil}}; !slices.Equal(w.orders, want) {
		t.Errorf("heard %v, want %v", w.orders, want)
	}
}

// TestMissed: of the channels that may have missed something those with positions are looked at, each once however often that happened.
func TestMissed(t *testing.T) {
	r, _ := newFarRig(t, 2)
	r.join(0, "plain")
	r.joinAt(0, "news", 1, "e")
	r.join(0, "sport")
	r.joinAt(1, "sport", 1, "e")
	gone := r.joinAt(1, "gone", 1, "e")
	r.table.Subscribed("gone", nil)
	for range 3 {
		r.table.Resumed([]string{"gone", "news", "nobody", "plain", "sport"})
	}
	gone.leave()
	r.table.giveUp(later())
	for _, want := range [][]string{{"news", "sport"}, nil} {
		if got := r.table.Missed(); !slices.Equal(got, want) {
			t.Errorf("missed %v, want %v", got, want)
		}
	}
	r.table.Resumed([]string{"news"})
	if got := r.table.Missed(); !slices.Equal(got, []string{"news"}) {
		t.Errorf("missed %v again", got)
	}
}

type waitingResident struct{ orders []any }

func (w *waitingResident) Order(what any)   { w.orders = append(w.orders, what) }
func (w *waitingResident) Expire(loop.Time) {}

// TestCollected: a member that reads history far away gets, when it knows its position, what came after that, once and in order.
func TestCollected(t *testing.T) {
	for _, top := range []uint64{0, 1, 2, 3, 4, 5} {
		r, _ := newFarRig(t, 1)
		witness := r.joinAt(0, "news", 0, "e")
		x := r.joinWith(0, "news", codec.JSON, Options{Positioned: true})
		r.table.Silence(x.sub, true)
		r.publishAt("news", 1, "e")
		r.publishAt("news", 2, "e")
		r.settle()
		r.publishAt("news", 3, "e")
		r.settle()
		r.publishAt("news", 4, "e") // still waits when x is let in
		r.table.Position(x.sub, codec.StreamPosition{Offset: top, Epoch: "e"})
		if x.got != nil {
			t.Fatalf("got %q in silence", x.got)
		}
		r.table.LetIn(x.sub)
		r.publishAt("news", 5, "e")
		r.publishAt("news", 6, "e")
		r.settle()
		if got, want := offsets(x), offsetsFrom(top+1, 6); !slices.Equal(got, want) || len(x.failed) > 0 {
			t.Errorf("from %d: got %v, want %v; failed %v", top, got, want, x.failed)
		}
		if got, want := offsets(witness), offsetsFrom(1, 6); !slices.Equal(got, want) {
			t.Errorf("another member got %v, want %v", got, want)
		}
		if r.table.locals[0].collecting != nil {
			t.Error("collecting goes on")
		}
	}
}

// TestCollectedTooMuch: who would have needed what is not kept any more has lost it, and hears of it.
func TestCollectedTooMuch(t *testing.T) {
	r, _ := newFarRig(t, 1)
	x := r.joinWith(0, "news", codec.JSON, Options{Positioned: true})
	y := r.joinWith(0, "news", codec.JSON, Options{Positioned: true})
	r.table.Silence(x.sub, true)
	r.table.Silence(y.sub, true)
	for n := uint64(1); n <= collectedItemsMax+10; n++ {
		r.publishAt("news", n, "e")
		r.settle()
	}
	if n := len(r.table.locals[0].collecting[x.sub.channel].events); n != collectedItemsMax {
		t.Errorf("%d are kept, want %d", n, collectedItemsMax)
	}
	r.table.Position(x.sub, codec.StreamPosition{Offset: 9, Epoch: "e"})
	r.table.LetIn(x.sub)
	if len(x.got) > 0 || !slices.Equal(x.failed, []Failure{Lost}) {
		t.Errorf("got %v, failed %v", x.got, x.failed)
	}
	r.table.Position(y.sub, codec.StreamPosition{Offset: 10, Epoch: "e"})
	r.table.LetIn(y.sub)
	if len(offsets(y)) != collectedItemsMax || len(y.failed) > 0 {
		t.Errorf("got %d, failed %v", len(offsets(y)), y.failed)
	}
}

// TestCollectedInAll: what all channels of a loop collect has a limit, and is given back. Who would have needed more hears of it.
func TestCollectedInAll(t *testing.T) {
	r, _ := newFarRig(t, 1)
	o := &r.table.locals[0]
	data := strings.Repeat("1", 1<<20)
	var silent []*listener
	for i := range collectedTotalBytesMax/collectedBytesMax + 10 {
		name := strconv.Itoa(i)
		x := r.joinWith(0, name, codec.JSON, Options{Positioned: true})
		r.table.Silence(x.sub, true)
		silent = append(silent, x)
		for n := uint64(1); n <= 6; n++ {
			r.publishData(name, data, n, "e")
			r.settle()
		}
	}
	sum := 0
	for _, k := range o.collecting {
		sum += k.bytes
	}
	if most := collectedTotalBytesMax + len(silent)*2<<20; sum != o.collected || sum > most {
		t.Errorf("%d bytes are collected, %d counted, at most %d wanted", sum, o.collected, most)
	}
	lost := 0
	for i, x := range silent {
		r.table.Position(x.sub, codec.StreamPosition{Offset: 3, Epoch: "e"})
		r.table.LetIn(x.sub)
		if len(x.failed) > 0 {
			lost++
		}
		if (len(x.got) == 3) == (len(x.failed) > 0) || len(x.failed) > 0 && i < collectedTotalBytesMax/collectedBytesMax {
			t.Errorf("member %d got %d and failed %v", i, len(x.got), x.failed)
		}
	}
	if lost == 0 {
		t.Error("nobody has lost anything")
	}
	if o.collected != 0 || o.collecting != nil {
		t.Errorf("%d bytes are left", o.collected)
	}
}

// TestCollectedLeaves: a silent member that goes takes its share of the collecting with it.
func TestCollectedLeaves(t *testing.T) {
	r, _ := newFarRig(t, 1)
	x := r.joinWith(0, "news", codec.JSON, Options{Positioned: true})
	y := r.joinWith(0, "news", codec.JSON, Options{})
	r.table.Silence(x.sub, true)
	r.table.Silence(y.sub, false)
	x.leave()
	if r.table.locals[0].collecting != nil {
		t.Error("collecting goes on")
	}
	r.publishAt("news", 1, "e")
	r.settle()
	r.table.LetIn(y.sub)
	r.publishAt("news", 2, "e")
	r.settle()
	if got := offsets(y); !slices.Equal(got, []uint64{2}) {
		t.Errorf("got %v: the first came in silence", got)
	}
}

// TestCollectedSince: a member gets nothing that was collected before it came. With others who are silent all the time that would be
// all there ever was, and what came before the channel lost its epoch would make it fail, again and again.
func TestCollectedSince(t *testing.T) {
	r, _ := newFarRig(t, 1)
	var silent []*listener
	join := func() {
		x := r.joinWith(0, "news", codec.JSON, Options{Positioned: true})
		r.table.Silence(x.sub, true)
		silent = append(silent, x)
	}
	letIn := func(at uint64, epoch string) *listener {
		x := silent[0]
		silent = silent[1:]
		r.table.Position(x.sub, codec.StreamPosition{Offset: at, Epoch: epoch})
		r.table.LetIn(x.sub)
		return x
	}
	join()
	r.publishAt("news", 7, "old")
	r.settle()
	join()
	join()
	for n := uint64(1); n <= 3; n++ {
		r.publishAt("news", n, "new")
		r.settle()
		join()
	}
	if x := letIn(1, "new"); !slices.Equal(x.failed, []Failure{Lost}) {
		t.Errorf("the first one failed %v: it has seen the end of an epoch", x.failed)
	}
	for _, from := range []uint64{0, 1, 1} {
		x := letIn(from, "new")
		if got, want := offsets(x), offsetsFrom(from+1, 3); !slices.Equal(got, want) || len(x.failed) > 0 {
			t.Errorf("from %d: got %v, want %v; failed %v", from, got, want, x.failed)
		}
	}
	k := r.table.locals[0].collecting[silent[0].sub.channel]
	if len(k.events) != 1 || k.bytes != k.events[0].cost() {
		t.Errorf("%d are kept, %d bytes, for two that came before the last one and after it", len(k.events), k.bytes)
	}
	silent[1].leave()
	letIn(2, "new").expect("4@3")
	if r.table.locals[0].collecting != nil {
		t.Error("collecting goes on")
	}
}

// offsets are those of what a listener got, in order.
func offsets(x *listener) (list []uint64) {
	for _, words := range x.got {
		for _, word := range strings.Split(words, "+") {
			_, offset, _ := strings.Cut(word, "@")
			n, _ := strconv.ParseUint(offset, 10, 64)
			list = append(list, n)
		}
	}
	return list
}

// offsetsFrom are from, from+1, … to.
func offsetsFrom(from, to uint64) (list []uint64) {
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}
