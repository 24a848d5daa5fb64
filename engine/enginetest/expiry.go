package enginetest

import (
	"math"
	"time"

	"stentor/codec"
	"stentor/engine"
)

var expiryTests = []testCase{
	{"expiry/history", engine.History, testHistoryTTL},
	{"expiry/sliding", engine.History, testSlidingTTL},
	{"expiry/meta", engine.History, testMetaTTL},
	{"expiry/meta of reads", engine.History, testMetaTTLOfReads},
	{"expiry/never", engine.History, testNever},
	{"expiry/idempotency", engine.History | engine.Idempotency, testIdempotencyTTL},
}

// short is a time to live that a test can wait for; granule is how late an engine may be.
const (
	short   = 2 * time.Second
	granule = time.Second
)

// testHistoryTTL: publications go, the position stays and goes on.
func testHistoryTTL(f *fixture) {
	ch := f.channel("news")
	o := engine.PublishOptions{HistorySize: 10, HistoryTTL: short, HistoryMetaTTL: time.Hour}
	f.publish(ch, "a", o)
	last := f.publish(ch, "b", o)
	f.expectHistory(ch, "1:a 2:b")
	f.passes(short+granule, "the history is empty", func() bool {
		got, at := f.history(ch, all)
		if at != last.StreamPosition {
			f.Fatalf("position %v, want %v", at, last.StreamPosition)
		}
		return got == ""
	})
	o.Delta = true
	if res := f.publish(ch, "c", o); res.Offset != 3 || res.Epoch != last.Epoch {
		f.Errorf("next publication at %v, want 3 of %s", res.StreamPosition, last.Epoch)
	}
	if d := f.rec.Wait(f.T, ch, 3)[2]; d.Prev != nil {
		f.Errorf("an expired publication is the base of a delta")
	}
	f.expectHistory(ch, "3:c")
}

// testSlidingTTL: each publish starts the time anew, for all that is kept.
func testSlidingTTL(f *fixture) {
	if f.Advance == nil {
		f.Skip("needs a clock of ours")
	}
	ch := f.channel("news")
	o := engine.PublishOptions{HistorySize: 10, HistoryTTL: 10 * time.Second}
	for _, data := range []string{"a", "b", "c"} {
		f.publish(ch, data, o)
		f.Advance(8 * time.Second)
	}
	f.expectHistory(ch, "1:a 2:b 3:c")
	f.Advance(2*time.Second + granule) // 10 s after the last, and what an engine may be late
	f.expectHistory(ch, "")
}

// testMetaTTL: when offset and epoch are forgotten, the channel starts again under another epoch.
func testMetaTTL(f *fixture) {
	ch := f.channel("news")
	o := engine.PublishOptions{HistorySize: 10, HistoryTTL: short, HistoryMetaTTL: short, Version: 5}
	f.publish(ch, "a", o)
	o.Version = 6
	old := f.publish(ch, "b", o)
	f.passes(short+granule, "the channel has another epoch", func() bool {
		_, at := f.history(ch, top)
		return at.Epoch != old.Epoch
	})
	if got, at := f.history(ch, all); got != "" || at.Offset != 0 {
		f.Errorf("%q at %v after everything was forgotten", got, at)
	}
	o.Version, o.HistoryMetaTTL = 1, time.Hour
	res := f.publish(ch, "c", o)
	if res.Offset != 1 || res.Epoch == old.Epoch || res.Suppressed != "" {
		f.Errorf("first publication of the new epoch: %+v", res)
	}
	if p := f.rec.Wait(f.T, ch, 3)[2].Publication; p.Epoch != res.Epoch {
		f.Errorf("it carries the epoch %q, want %q", p.Epoch, res.Epoch)
	}
}

// testMetaTTLOfReads: a read keeps the position alive as long as a publish does.
func testMetaTTLOfReads(f *fixture) {
	if f.Advance == nil {
		f.Skip("needs a clock of ours")
	}
	ch := f.channel("news")
	filter := engine.HistoryFilter{MetaTTL: 10 * time.Second}
	_, first := f.history(ch, filter)
	for range 5 {
		f.Advance(8 * time.Second)
		if _, at := f.history(ch, filter); at != first {
			f.Fatalf("position %v, want %v", at, first)
		}
	}
	f.Advance(8 * time.Second)
	if _, at := f.history(ch, top); at != first {
		f.Errorf("position %v, want %v", at, first)
	}
	f.Advance(2*time.Second + granule)
	if _, at := f.history(ch, top); at.Epoch == first.Epoch {
		f.Errorf("the epoch %s outlives its time", at.Epoch)
	}
}

// testNever: no meta TTL keeps positions for ever, and the longest durations there are do not overflow.
func testNever(f *fixture) {
	tests := []struct{ history, meta time.Duration }{
		{time.Hour, 0},
		{math.MaxInt64, 0},
		{math.MaxInt64, math.MaxInt64},
		{80 * 365 * 24 * time.Hour, math.MaxInt64 - 1},
	}
	want := make([]codec.StreamPosition, len(tests))
	channels := make([]string, len(tests))
	for i, tt := range tests {
		channels[i] = f.channel("news")
		o := engine.PublishOptions{HistorySize: 10, HistoryTTL: tt.history, HistoryMetaTTL: tt.meta}
		want[i] = f.publish(channels[i], "a", o).StreamPosition
		f.expectHistory(channels[i], "1:a")
	}
	if f.Advance != nil {
		f.Advance(50 * 365 * 24 * time.Hour)
	}
	for i, tt := range tests {
		if got, at := f.history(channels[i], all); at != want[i] || (got == "" && tt.history > time.Hour) {
			f.Errorf("%+v: %q at %v, want 1:a at %v", tt, got, at, want[i])
		}
	}
}

// testIdempotencyTTL: a key is free again after engine.IdempotencyTTL.
func testIdempotencyTTL(f *fixture) {
	if f.Advance == nil {
		f.Skip("needs a clock of ours")
	}
	ch := f.channel("news")
	o := keep
	o.IdempotencyKey = "k"
	first := f.publish(ch, "a", o)
	f.Advance(engine.IdempotencyTTL - time.Second)
	if res := f.publish(ch, "b", o); res.StreamPosition != first.StreamPosition || res.Suppressed != engine.SuppressIdempotency {
		f.Errorf("repeat: %+v, want %v", res, first.StreamPosition)
	}
	f.Advance(time.Second + granule)
	if res := f.publish(ch, "c", o); res.Offset != 2 || res.Suppressed != "" {
		f.Errorf("after its time: %+v, want offset 2", res)
	}
	f.expectDelivered(ch, "1:a 2:c")
}
