package memengine

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
)

// hands is a clock that a test moves.
type hands struct{ now atomic.Int64 }

func (h *hands) Now() time.Duration      { return time.Duration(h.now.Load()) }
func (h *hands) Advance(d time.Duration) { h.now.Add(int64(d)) }

// TestEngine runs the suite with many stripes, where channels do not meet, and with one, where all of them do; from the start of
// the clock and from the middle of a second.
func TestEngine(t *testing.T) {
	for _, stripes := range []int{0, 1} {
		t.Run(fmt.Sprintf("stripes=%d", stripes), func(t *testing.T) {
			enginetest.Run(t, func(_ *testing.T, r engine.Node) enginetest.Subject {
				clock := new(hands)
				clock.Advance(time.Duration(stripes) * 1234567890)
				e := New(Config{Stripes: stripes, Clock: clock.Now}, r)
				return enginetest.Subject{Broker: e, Presence: e, Advance: clock.Advance}
			})
		})
	}
}

// nobody listens.
type nobody struct{}

func (nobody) Admit(string) bool { return true }
func (nobody) Publication(string, *codec.Publication, *codec.Publication, codec.StreamPosition) engine.Wake {
	return 0
}
func (nobody) Join(string, *codec.ClientInfo) engine.Wake  { return 0 }
func (nobody) Leave(string, *codec.ClientInfo) engine.Wake { return 0 }
func (nobody) Wake(engine.Wake)                            {}

var kept = engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Minute, HistoryMetaTTL: time.Hour}

func publish(t testing.TB, e *Engine, channel string, o engine.PublishOptions) engine.PublishResult {
	t.Helper()
	res, err := e.Publish(context.Background(), channel, &codec.Publication{Data: []byte("payload")}, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func position(t testing.TB, e *Engine, channel string) codec.StreamPosition {
	t.Helper()
	_, at, err := e.History(context.Background(), channel, engine.HistoryFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// locks is a receiver that looks at the stripe's lock in each call.
type locks struct {
	nobody
	e                  *Engine
	delivered, woken   int
	unlocked, stillOwn bool
}

func (l *locks) Publication(string, *codec.Publication, *codec.Publication, codec.StreamPosition) engine.Wake {
	return l.deliver()
}

func (l *locks) Join(string, *codec.ClientInfo) engine.Wake  { return l.deliver() }
func (l *locks) Leave(string, *codec.ClientInfo) engine.Wake { return l.deliver() }

func (l *locks) deliver() engine.Wake {
	l.delivered++
	if l.e.stripes[0].mu.TryLock() {
		l.e.stripes[0].mu.Unlock()
		l.unlocked = true
	}
	return 1
}

func (l *locks) Wake(w engine.Wake) {
	l.woken += int(w)
	if !l.e.stripes[0].mu.TryLock() {
		l.stillOwn = true
		return
	}
	l.e.stripes[0].mu.Unlock()
}

func TestDeliversUnderTheLockAndWakesAfterIt(t *testing.T) {
	r := new(locks)
	r.e = New(Config{Stripes: 1}, r)
	publish(t, r.e, "news", engine.PublishOptions{})
	publish(t, r.e, "news", kept)
	suppressed := kept
	suppressed.IdempotencyKey = "k"
	publish(t, r.e, "news", suppressed)
	publish(t, r.e, "news", suppressed)
	for _, tell := range []func(context.Context, string, *codec.ClientInfo) error{r.e.PublishJoin, r.e.PublishLeave} {
		if err := tell(context.Background(), "news", new(codec.ClientInfo)); err != nil {
			t.Fatal(err)
		}
	}
	if r.unlocked || r.stillOwn {
		t.Errorf("delivered without the lock: %t; woken under the lock: %t", r.unlocked, r.stillOwn)
	}
	if r.delivered != 5 || r.woken != 5 {
		t.Errorf("%d deliveries and %d wake-ups, want 5 of each", r.delivered, r.woken)
	}
}

func TestPlainDeliveryLeavesNoRecord(t *testing.T) {
	e := New(Config{}, nobody{})
	for i := range 100 {
		publish(t, e, fmt.Sprint(i), engine.PublishOptions{})
	}
	if err := e.RemoveHistory(context.Background(), "1"); err != nil {
		t.Fatal(err)
	}
	if err := e.PublishJoin(context.Background(), "2", new(codec.ClientInfo)); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Channels != 0 {
		t.Errorf("%d records", s.Channels)
	}
}

// TestNames: a publish keeps a copy of the name, a read the string itself.
func TestNames(t *testing.T) {
	e := New(Config{Stripes: 1}, nobody{})
	buffer := []byte("published")
	publish(t, e, unsafe.String(&buffer[0], len(buffer)), kept)
	copy(buffer, "overwritten")
	if at := position(t, e, "published"); at.Offset != 1 {
		t.Errorf("the name of a published channel changed with the buffer it came from")
	}
	read := fmt.Sprint("re", "ad")
	position(t, e, read)
	if rec := e.stripes[0].table.find(e.hash(read), read); unsafe.StringData(rec.name) != unsafe.StringData(read) {
		t.Errorf("the name of a channel that was read first is another string")
	}
}

// TestSweep runs the engine on its own clock and looks at what is kept after the time to live.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Config{Stripes: 64}, nobody{})
		ctx, cancel := context.WithCancel(context.Background())
		go e.Run(ctx)
		o := kept
		o.IdempotencyKey = "k"
		const channels = 1000
		for i := range channels {
			publish(t, e, fmt.Sprint(i), o)
		}
		time.Sleep(kept.HistoryTTL - time.Second)
		if n := e.kept(); n != channels {
			t.Errorf("%d publications before their time, want %d", n, channels)
		}
		time.Sleep(2*time.Second + SweepPeriod)
		if n := e.kept(); n != 0 {
			t.Errorf("%d publications after their time", n)
		}
		if s := e.Stats(); s.Channels != channels || s.IdempotencyBytes == 0 {
			t.Errorf("%+v: positions and keys went with the publications", s)
		}
		time.Sleep(kept.HistoryMetaTTL)
		if s := e.Stats(); s != (Stats{}) {
			t.Errorf("%+v after everything's time", s)
		}
		for i := range e.stripes {
			if st := &e.stripes[i]; st.table.buckets != nil || st.keys != nil || st.due != never {
				t.Fatalf("an empty stripe keeps %d buckets, keys %v, due %d", len(st.table.buckets), st.keys, st.due)
			}
		}
		cancel()
	})
}

// kept counts publications without the reads that let expired ones go.
func (e *Engine) kept() (n int) {
	for i := range e.stripes {
		st := &e.stripes[i]
		st.mu.Lock()
		for _, rec := range st.table.buckets {
			for ; rec != nil; rec = rec.next {
				n += rec.of.ring.Len()
			}
		}
		st.mu.Unlock()
	}
	return n
}

// TestSweepSkips: a stripe is not looked through before its first deadline, whatever is published meanwhile.
func TestSweepSkips(t *testing.T) {
	clock := new(hands)
	e := New(Config{Stripes: 1, Clock: clock.Now}, nobody{})
	st := &e.stripes[0]
	publish(t, e, "a", kept)
	first := st.due
	if first != 60 {
		t.Errorf("due at %d, want 60", first)
	}
	clock.Advance(30 * time.Second)
	publish(t, e, "a", kept)
	if st.due != first {
		t.Errorf("due moved to %d", st.due)
	}
	clock.Advance(30 * time.Second)
	e.sweep(st)
	if st.due != 90 || e.kept() != 2 {
		t.Errorf("due at %d with %d kept, want 90 with 2", st.due, e.kept())
	}
	clock.Advance(time.Hour)
	st.due = never
	if e.sweep(st); e.kept() != 2 {
		t.Errorf("a stripe with nothing due was looked through")
	}
	st.due = 90
	if e.sweep(st); e.kept() != 0 {
		t.Errorf("%d publications after their time", e.kept())
	}
}

// TestMetaTTLOfTheLastPublish: each publish says anew how long its channel is remembered, for ever included.
func TestMetaTTLOfTheLastPublish(t *testing.T) {
	clock := new(hands)
	e := New(Config{Clock: clock.Now}, nobody{})
	o := kept
	publish(t, e, "news", o)
	o.HistoryMetaTTL = 0
	first := publish(t, e, "news", o)
	clock.Advance(50 * kept.HistoryMetaTTL)
	if at := position(t, e, "news"); at != first.StreamPosition {
		t.Errorf("position %v, want %v", at, first.StreamPosition)
	}
	publish(t, e, "news", kept)
	clock.Advance(kept.HistoryMetaTTL)
	if at := position(t, e, "news"); at.Epoch == first.Epoch {
		t.Errorf("the epoch outlives its time")
	}
}

func TestDeadline(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		now, d time.Duration
		want   second
	}{
		{0, 1, 1},
		{0, time.Second, 1},
		{time.Second - 1, time.Second, 2},
		{time.Second, time.Second, 2},
		{1500 * time.Millisecond, 10 * time.Second, 12},
		{30 * year, 80 * year, second(110 * year / time.Second)},
		{0, 100 * year, never},
		{time.Hour, math.MaxInt64, never},
		{30 * year, math.MaxInt64, never},
	} {
		if got := deadline(tt.now, tt.d); got != tt.want {
			t.Errorf("deadline(%v, %v) = %d, want %d", tt.now, tt.d, got, tt.want)
		}
	}
}

// TestSweepForgetsWhatWasOnlyRead: a channel that nobody published to goes by the time its reads gave it.
func TestSweepForgetsWhatWasOnlyRead(t *testing.T) {
	clock := new(hands)
	e := New(Config{Stripes: 1, Clock: clock.Now}, nobody{})
	for i := range 100 {
		if _, _, err := e.History(context.Background(), fmt.Sprint(i), engine.HistoryFilter{MetaTTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	var records []*record[stream]
	for _, rec := range e.stripes[0].table.buckets {
		for ; rec != nil; rec = rec.next {
			records = append(records, rec)
		}
	}
	clock.Advance(time.Minute)
	e.sweep(&e.stripes[0])
	if s := e.Stats(); s.Channels != 0 {
		t.Errorf("%d channels after their time", s.Channels)
	}
	for _, rec := range records {
		if rec.next != nil {
			t.Fatal("a forgotten record, which positions may keep alive, points to others")
		}
	}
}

func TestEpochs(t *testing.T) {
	seen := make(map[[8]byte]bool)
	for range 10000 {
		epoch := newEpoch()
		for _, c := range epoch {
			if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
				t.Fatalf("epoch %q", epoch)
			}
		}
		seen[epoch] = true
	}
	if len(seen) != 10000 {
		t.Errorf("%d epochs of 10000 are different", len(seen))
	}
}

func TestStripes(t *testing.T) {
	for _, tt := range []struct{ given, want int }{{0, StripesDefault}, {1, 1}, {2, 2}, {3, 4}, {100, 128}, {-1, 1}} {
		if got := len(New(Config{Stripes: tt.given}, nobody{}).stripes); got != tt.want {
			t.Errorf("Stripes %d gives %d, want %d", tt.given, got, tt.want)
		}
	}
}

// TestUnused: a channel that was only ever read is soon forgotten, however long positions live; each read begins that time anew, and
// a publication ends it.
func TestUnused(t *testing.T) {
	clock := new(hands)
	e := New(Config{Stripes: 1, Clock: clock.Now}, nobody{})
	read := func(channel string) string {
		_, at, err := e.History(context.Background(), channel, engine.HistoryFilter{MetaTTL: 30 * 24 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return at.Epoch
	}
	used, unused := read("used"), read("unused")
	publish(t, e, "used", engine.PublishOptions{HistorySize: 1, HistoryTTL: time.Minute, HistoryMetaTTL: 30 * 24 * time.Hour})
	clock.Advance(UnusedTTL - time.Second)
	if read("unused") != unused {
		t.Error("forgotten too early")
	}
	clock.Advance(UnusedTTL - time.Second)
	if read("unused") != unused {
		t.Error("a read does not begin the time anew")
	}
	clock.Advance(UnusedTTL + time.Second)
	if read("unused") == unused {
		t.Error("not forgotten")
	}
	if read("used") != used {
		t.Error("a channel that was used is forgotten")
	}
}
