package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"stentor/codec"
	"stentor/engine"
)

var historyTests = []testCase{
	{"history/read", engine.History, testReads},
	{"history/reverse", engine.History | engine.Reverse, testReverseReads},
	{"history/unused channel", engine.History, testUnused},
	{"history/epoch", engine.History, testEpochMismatch},
	{"history/size", engine.History, testSizeChanges},
	{"history/remove", engine.History, testRemove},
	{"history/delta", engine.History | engine.Delta, testDelta},
	{"history/stays as it was", engine.History, testImmutable},
}

// since is a position in whatever epoch the channel has.
func since(offset uint64) *codec.StreamPosition { return &codec.StreamPosition{Offset: offset} }

// readTest is one read of a channel that was given 1:a to 7:g and keeps five.
type readTest struct {
	since *codec.StreamPosition
	limit int
	want  string
}

func testReads(f *fixture) {
	testReadTable(f, false, []readTest{
		{nil, 0, ""},
		{nil, -1, "3:c 4:d 5:e 6:f 7:g"},
		{nil, 2, "3:c 4:d"},
		{nil, 100, "3:c 4:d 5:e 6:f 7:g"},
		{since(0), -1, "3:c 4:d 5:e 6:f 7:g"},
		{since(1), 2, "3:c 4:d"},
		{since(2), -1, "3:c 4:d 5:e 6:f 7:g"},
		{since(3), -1, "4:d 5:e 6:f 7:g"},
		{since(4), 0, ""},
		{since(4), 2, "5:e 6:f"},
		{since(6), -1, "7:g"},
		{since(7), -1, ""},
		{since(8), -1, ""},
		{since(math.MaxInt64), 3, ""},
		{since(math.MaxUint64), -1, ""},
	})
}

func testReverseReads(f *fixture) {
	testReadTable(f, true, []readTest{
		{nil, 0, ""},
		{nil, -1, "7:g 6:f 5:e 4:d 3:c"},
		{nil, 2, "7:g 6:f"},
		{since(0), -1, ""},
		{since(1), -1, ""},
		{since(3), -1, ""},
		{since(4), -1, "3:c"},
		{since(7), 0, ""},
		{since(7), 2, "6:f 5:e"},
		{since(7), -1, "6:f 5:e 4:d 3:c"},
		{since(8), 1, "7:g"},
	})
}

func testReadTable(f *fixture, reverse bool, tests []readTest) {
	ch := f.channel("news")
	o := keep
	o.HistorySize = 5
	var last engine.PublishResult
	for _, data := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		last = f.publish(ch, data, o)
	}
	for _, tt := range tests {
		for _, epoch := range []string{"", last.Epoch} {
			filter := engine.HistoryFilter{Limit: tt.limit, Reverse: reverse}
			name := "all"
			if tt.since != nil {
				filter.Since = &codec.StreamPosition{Offset: tt.since.Offset, Epoch: epoch}
				name = fmt.Sprintf("since %v", *filter.Since)
			}
			if got, at := f.history(ch, filter); got != tt.want || at != last.StreamPosition {
				f.Errorf("%s limit %d: %q at %v, want %q at %v", name, tt.limit, got, at, tt.want, last.StreamPosition)
			}
		}
	}
}

// testUnused: the first read makes the epoch, and it stays.
func testUnused(f *fixture) {
	ch, other := f.channel("news"), f.channel("other")
	got, first := f.history(ch, all)
	if got != "" || first.Offset != 0 || first.Epoch == "" {
		f.Errorf("unused channel: %q at %v, want an epoch and nothing else", got, first)
	}
	if _, again := f.history(ch, top); again != first {
		f.Errorf("second read %v, want %v", again, first)
	}
	if _, at := f.history(other, top); at.Epoch == first.Epoch {
		f.Errorf("two channels have the epoch %s", at.Epoch)
	}
	if res := f.publish(ch, "a", keep); res.Epoch != first.Epoch || res.Offset != 1 {
		f.Errorf("first publication at %v, want 1 of %s", res.StreamPosition, first.Epoch)
	}
}

func testEpochMismatch(f *fixture) {
	used, unused := f.channel("used"), f.channel("unused")
	f.publish(used, "a", keep)
	for _, ch := range []string{used, unused} {
		_, at := f.history(ch, top)
		for _, limit := range []int{0, 1, -1} {
			filter := engine.HistoryFilter{Since: &codec.StreamPosition{Offset: at.Offset, Epoch: "xxxx"}, Limit: limit}
			pubs, got, err := f.Broker.History(context.Background(), ch, filter)
			if !errors.Is(err, engine.ErrEpoch) || got != at || len(pubs) != 0 {
				f.Errorf("%s: %s at %v, %v; want ErrEpoch at %v", ch, text(pubs), got, err, at)
			}
		}
	}
}

// testSizeChanges: the size of the last publish holds, as after a reload.
func testSizeChanges(f *fixture) {
	ch := f.channel("news")
	steps := []struct {
		size int
		want string
	}{
		{1, "1:x"}, {1, "2:x"}, {3, "2:x 3:x"}, {3, "2:x 3:x 4:x"}, {3, "3:x 4:x 5:x"}, {2, "5:x 6:x"}, {1, "7:x"}, {2, "7:x 8:x"},
		{math.MaxInt32, "7:x 8:x 9:x"},
	}
	for _, s := range steps {
		o := keep
		o.HistorySize = s.size
		f.publish(ch, "x", o)
		f.expectHistory(ch, s.want)
	}
}

// testRemove: the publications go, the position stays.
func testRemove(f *fixture) {
	ch := f.channel("news")
	remove := func(ch string) {
		f.Helper()
		if err := f.Broker.RemoveHistory(context.Background(), ch); err != nil {
			f.Errorf("remove: %v", err)
		}
	}
	f.publish(ch, "a", keep)
	before := f.publish(ch, "b", keep)
	remove(ch)
	remove(ch)
	if got, at := f.history(ch, all); got != "" || at != before.StreamPosition {
		f.Errorf("%q at %v, want nothing at %v", got, at, before.StreamPosition)
	}
	if res := f.publish(ch, "c", keep); res.Offset != 3 || res.Epoch != before.Epoch {
		f.Errorf("next publication at %v, want 3 of %s", res.StreamPosition, before.Epoch)
	}
	f.expectHistory(ch, "3:c")
	f.expectDelivered(ch, "1:a 2:b 3:c")
	remove(f.channel("never-used"))
}

// testDelta: the previous publication goes along if it is asked for and still there.
func testDelta(f *fixture) {
	ch := f.channel("news")
	delta := keep
	delta.Delta = true
	f.publish(ch, "a", delta)
	f.publish(ch, "b", delta)
	f.publish(ch, "c", keep)
	f.publish(ch, "plain", engine.PublishOptions{Delta: true})
	f.publish(ch, "d", delta)
	if err := f.Broker.RemoveHistory(context.Background(), ch); err != nil {
		f.Fatal(err)
	}
	f.publish(ch, "e", delta)
	one := delta
	one.HistorySize = 1
	f.publish(ch, "f", one)
	f.publish(ch, "g", one)
	want := []string{"", "a", "", "", "c", "", "e", "f"}
	for i, d := range f.rec.Wait(f.T, ch, len(want)) {
		got := ""
		if d.Prev != nil {
			got = string(d.Prev.Data)
		}
		if got != want[i] {
			f.Errorf("with %s came %q as the previous one, want %q", d.Publication.Data, got, want[i])
		}
	}
}

// testImmutable: what was read stays as it was while the history moves on.
func testImmutable(f *fixture) {
	ch := f.channel("news")
	o := engine.PublishOptions{HistorySize: 2, HistoryTTL: time.Hour}
	f.publish(ch, "a", o)
	f.publish(ch, "b", o)
	pubs, at, err := f.Broker.History(context.Background(), ch, all)
	if err != nil {
		f.Fatal(err)
	}
	epoch := string([]byte(at.Epoch))
	for range 5 {
		f.publish(ch, "later", o)
	}
	if err := f.Broker.RemoveHistory(context.Background(), ch); err != nil {
		f.Fatal(err)
	}
	if got := text(pubs); got != "1:a 2:b" || at.Epoch != epoch {
		f.Errorf("what was read changed to %q in %s, was 1:a 2:b in %s", got, at.Epoch, epoch)
	}
}
