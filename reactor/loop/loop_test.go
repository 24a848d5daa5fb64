package loop

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is everything that a loop calls, and notes it.
type recorder struct {
	notes []string
	on    map[string]func()
}

func (r *recorder) note(what string) {
	r.notes = append(r.notes, what)
	if f := r.on[what]; f != nil {
		f()
	}
}

func (r *recorder) Expire(Time)            { r.note("expire") }
func (r *recorder) Order(what any)         { r.note("order " + what.(string)) }
func (r *recorder) Flush()                 { r.note("flush") }
func (r *recorder) Take(_ *Loop, what any) { r.note("take " + what.(string)) }
func (r *recorder) Turn(b *Budget) bool    { r.note("task"); b.Spend(1); return false }

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.notes, want) {
		t.Errorf("happened: %q, want %q", r.notes, want)
	}
	r.notes = nil
}

// Within a turn: leftovers are flushed, then deadlines, mail, tasks, and what all of these noted is flushed.
func TestOrderWithinTurn(t *testing.T) {
	rings := 0
	l := New(3, Config{Ring: func() { rings++ }})
	r := &recorder{}
	h := l.Add(r)
	l.Turn(10)
	r.on = map[string]func(){
		"expire":  func() { l.Dirty(r) },
		"order x": func() { l.Ready(r) },
		"task":    func() { l.Dirty(r) },
	}
	l.Dirty(r)
	l.Arm(h, 11)
	l.Order(h, "x")
	if l.Post(r, "y", 100) {
		t.Error("a second ring for the same turn")
	}
	if rings != 1 {
		t.Errorf("%d rings", rings)
	}
	if items, size := l.Waiting(); items != 2 || size != 100 {
		t.Errorf("%d items, %d bytes wait", items, size)
	}
	l.Turn(11)
	r.expect(t, "flush", "expire", "order x", "take y", "task", "flush", "flush")
	if h.Loop() != 3 || l.ID() != 3 || l.Now() != 11 || l.Residents() != 1 {
		t.Error("the loop does not know itself")
	}
}

// A burst from many goroutines costs one ring until the turn has come, and each item arrives once, in its producer's order.
func TestMailFromManyGoroutines(t *testing.T) {
	const producers, each = 8, 2000
	var rings atomic.Int64
	bell := make(chan struct{}, 1)
	l := New(0, Config{Ring: func() { rings.Add(1); bell <- struct{}{} }}) // blocks if there were two rings per turn
	var last [producers]int
	total, turns := 0, 0
	sink := recipient(func(what any) {
		x := what.([2]int)
		if x[1] != last[x[0]]+1 {
			t.Errorf("producer %d: %d after %d", x[0], x[1], last[x[0]])
		}
		last[x[0]] = x[1]
		total++
	})
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if l.Post(sink, [2]int{p, i + 1}, 10) {
					l.Wake()
				}
			}
		})
	}
	for total < producers*each {
		<-bell
		turns++
		l.Turn(Time(turns))
	}
	wg.Wait()
	if n := rings.Load(); n > int64(turns)+1 {
		t.Errorf("%d rings for %d turns", n, turns)
	}
	if items, size := l.Waiting(); items != 0 || size != 0 {
		t.Errorf("%d items, %d bytes still wait", items, size)
	}
}

type recipient func(what any)

func (f recipient) Take(_ *Loop, what any) { f(what) }

func TestAdmit(t *testing.T) {
	l := New(0, Config{Ring: func() {}, ItemsMax: 3, BytesMax: 100})
	r := &recorder{}
	for i, c := range []struct {
		bytes int
		admit bool // before this item
	}{{10, true}, {10, true}, {10, true}, {10, false}} {
		if got := l.Admit(); got != c.admit {
			t.Errorf("before item %d: %v", i, got)
		}
		l.Post(r, "", c.bytes)
	}
	l.Turn(1)
	if !l.Admit() {
		t.Error("an empty mailbox admits nothing")
	}
	l.Post(r, "", 100)
	if l.Admit() {
		t.Error("a mailbox with too many bytes admits more")
	}
}

// long is a task that wants many visits.
type long struct {
	left  int
	turns int
}

func (x *long) Turn(b *Budget) bool {
	x.turns++
	for x.left > 0 {
		x.left--
		if !b.Spend(1) {
			break
		}
	}
	return x.left > 0
}

// Long tasks take turns; a turn ends with its budget, and what is left rings for another.
func TestBudget(t *testing.T) {
	rings := 0
	l := New(0, Config{Ring: func() { rings++ }})
	a, b := &long{left: 3 * TurnVisitsMax}, &long{left: 10}
	l.Ready(a)
	l.Ready(b)
	turns := 0
	for rings > 0 {
		rings = 0
		l.Turn(1)
		if turns++; a.left > 0 && rings == 0 {
			t.Fatal("work is left and nobody rings")
		}
		if turns == 2 && b.left > 0 {
			t.Error("the short task waits for the long one")
		}
	}
	if a.left != 0 || b.left != 0 || turns < 3 {
		t.Errorf("left %d and %d after %d turns", a.left, b.left, turns)
	}
}

// Deadlines, flushes and mail share a loop with a flood of each other.
func TestFloodsLeaveRoom(t *testing.T) {
	rings := 0
	l := New(0, Config{Ring: func() { rings++ }})
	r := &recorder{}
	l.Turn(1)
	for range 3 * TurnVisitsMax {
		l.Arm(l.Add(r), 2)
		l.Dirty(r)
	}
	h := l.Add(r)
	l.Order(h, "x")
	for turns := 1; !slices.Contains(r.notes, "order x"); turns++ {
		if rings == 0 || turns > 10 {
			t.Fatalf("the order has not come after %d turns", turns)
		}
		rings = 0
		l.Turn(2)
	}
	for turns := 0; rings > 0 && turns < 100; turns++ {
		rings = 0
		l.Turn(2)
	}
	count := map[string]int{}
	for _, n := range r.notes {
		count[n]++
	}
	if count["expire"] != 3*TurnVisitsMax || count["flush"] != 3*TurnVisitsMax || count["order x"] != 1 {
		t.Errorf("%v", count)
	}
}

func TestPanicsOfMailAndTasks(t *testing.T) {
	var log bytes.Buffer
	l := New(0, Config{Ring: func() {}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	r := &recorder{}
	r.on = map[string]func(){"take bad": func() { panic("boom") }, "task": func() { panic("bang") }}
	l.Post(r, "bad", 0)
	l.Post(r, "good", 0)
	l.Ready(r)
	l.Turn(1)
	r.expect(t, "take bad", "take good", "task")
	if s := log.String(); !strings.Contains(s, "boom") || !strings.Contains(s, "bang") {
		t.Errorf("logged %s", s)
	}
}

// TestPanicsInTheLog: a panic that can be caused again and again is a line a second, wherever it is.
func TestPanicsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		l := New(0, Config{Ring: func() {}, Log: log})
		r := &recorder{on: map[string]func(){"take bad": func() { panic("in mail") }}}
		for now := range Time(100) {
			l.Post(r, "bad", 0)
			l.Turn(1 + now)
		}
		lanes, pool := NewLanes(log), NewPool(log)
		for range 100 {
			lanes.Do(1, func() { panic("on a lane") })
			synctest.Wait()
			pool.Do(func() { panic("in the pool") })
			synctest.Wait()
		}
		lanes.Close()
		pool.Close()
		synctest.Wait()
		for _, where := range []string{"in mail", "on a lane", "in the pool"} {
			if n := strings.Count(out.String(), `panic="`+where+`"`); n != 1 {
				t.Errorf("%s: %d lines", where, n)
			}
		}
	})
}

func TestFlushDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rings := make(chan time.Duration, 10)
		start := time.Now()
		l := New(0, Config{Ring: func() { rings <- time.Since(start) }, FlushDelay: 5 * time.Millisecond})
		r := &recorder{}
		for range 3 {
			if l.Post(r, "x", 0) {
				l.Wake()
			}
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if len(rings) != 0 {
			t.Errorf("rang at %v", <-rings)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if n, at := len(rings), <-rings; n != 1 || at != 5*time.Millisecond {
			t.Errorf("rang %d times, first at %v", n, at)
		}
	})
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock()
		if c.Now() != 1 {
			t.Errorf("begins at %d", c.Now())
		}
		time.Sleep(TickPeriod - 1)
		if c.Now() != 1 {
			t.Errorf("%d too early", c.Now())
		}
		time.Sleep(time.Nanosecond)
		if now, exact := c.Read(); now != 2 || exact != TickPeriod {
			t.Errorf("%d, %v after a period", now, exact)
		}
	})
	for _, c := range []struct {
		d    time.Duration
		want Time
	}{{0, 11}, {1, 11}, {TickPeriod, 11}, {TickPeriod + 1, 12}, {time.Second, 20}} {
		if got := Time(10).After(c.d); got != c.want {
			t.Errorf("10 after %v is %d, want %d", c.d, got, c.want)
		}
	}
}

func TestLag(t *testing.T) {
	var g Lag
	for _, d := range []time.Duration{-1, 0, 31 * time.Microsecond, 32 * time.Microsecond, time.Millisecond, time.Hour} {
		g.note(d)
	}
	buckets, sum := g.Read()
	total := uint64(0)
	for i, n := range buckets {
		total += n
		if i < LagBuckets-1 && LagBound(i+1) != 2*LagBound(i) {
			t.Errorf("bound %d is %v", i, LagBound(i))
		}
	}
	if buckets[0] != 3 || buckets[1] != 1 || buckets[LagBuckets-1] != 1 || total != 6 || sum < time.Hour {
		t.Errorf("%v, %v", buckets, sum)
	}
}

func TestHandles(t *testing.T) {
	l := New(LoopsMax-1, Config{Ring: func() {}})
	r := &recorder{}
	first := l.Add(r)
	l.Remove(first)
	l.Remove(first)
	second := l.Add(r)
	if first == second || first.slot() != second.slot() || l.Find(first) != nil || l.Find(second) == nil {
		t.Errorf("%x and %x", first, second)
	}
	l.Arm(first, 1) // nobody: must not arm the second
	l.Turn(5)
	r.expect(t)
	if l.Find(0) != nil || l.Find(makeHandle(0, 1, 1<<20)) != nil {
		t.Error("handles that were never given name someone")
	}
	// A slot has its last generation, and nobody after that: generations do not begin anew.
	l.slots.at(second.slot()).generation = generationMask - 1
	l.Remove(makeHandle(LoopsMax-1, generationMask-1, second.slot()))
	last := l.Add(r)
	if last.slot() != second.slot() || last.generation() != generationMask || l.Find(last) == nil {
		t.Errorf("%x is not of the last generation", last)
	}
	l.Remove(last)
	for range 3 {
		h := l.Add(r)
		if h.slot() == last.slot() || h.Loop() != LoopsMax-1 || l.Find(last) != nil {
			t.Errorf("%x after the last generation", h)
		}
	}
	if n := l.Residents(); n != 3 {
		t.Errorf("%d residents, want 3", n)
	}
	for _, id := range []int{-1, LoopsMax} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("loop %d was made", id)
				}
			}()
			New(id, Config{})
		}()
	}
}

// Visit sees everyone who stays, in as many turns as it takes, and lets f remove the one it is at.
func TestVisit(t *testing.T) {
	l := New(0, Config{Ring: func() {}})
	r := &recorder{}
	want := map[Handle]bool{}
	for i := range 5000 {
		h := l.Add(r)
		want[h] = i%3 != 0
	}
	for h, stays := range want {
		if !stays {
			l.Remove(h)
			delete(want, h)
		}
	}
	turns := 0
	for next, first := uint32(0), true; first || next != 0; first = false {
		turns++
		next = l.Visit(next, &Budget{visits: 1000, deadline: nanotime() + int64(time.Hour)}, func(h Handle, got Resident) {
			if !want[h] || got != Resident(r) {
				t.Fatalf("%x is visited", h)
			}
			delete(want, h)
			l.Remove(h)
		})
	}
	if len(want) > 0 || l.Residents() != 0 || turns < 4 {
		t.Errorf("%d were left out, %d are left, %d turns", len(want), l.Residents(), turns)
	}
}

func TestFifo(t *testing.T) {
	var q fifo[int]
	next, want := 0, 0
	for round := range 2000 {
		for range round % 50 {
			q.push(next)
			next++
		}
		for range (round * 7) % 53 {
			x, ok := q.pop()
			if !ok {
				break
			}
			if x != want {
				t.Fatalf("%d, want %d", x, want)
			}
			want++
		}
		if q.len() != next-want {
			t.Fatalf("length %d, want %d", q.len(), next-want)
		}
	}
	for range fifoKeptMax + 1 {
		q.push(0)
	}
	for q.len() > 0 {
		q.pop()
	}
	if q.items != nil {
		t.Error("the storage of a burst is kept")
	}
}

// The ticker wakes a loop for its deadlines, and one that waits for nothing not at all.
func TestTickDue(t *testing.T) {
	rings := 0
	l := New(0, Config{Ring: func() { rings++ }})
	r := &recorder{}
	h := l.Add(r)
	l.SetNow(10)
	// tick lets time pass up to a moment.
	tick := func(from, to Time) {
		for now := from; now <= to; now++ {
			before := rings
			if l.TickDue(now); rings > before {
				l.Turn(now)
			}
		}
	}
	tick(10, 100)
	if rings != 0 {
		t.Errorf("%d rings without a deadline", rings)
	}
	l.Arm(h, 250)
	l.Arm(h, 200)
	tick(100, 199)
	r.expect(t)
	tick(200, 500)
	r.expect(t, "expire")
	if rings != 1 {
		t.Errorf("%d rings for a deadline", rings)
	}
	// The wheel does not tell its revolutions apart: once in each it looks whether a far deadline has come.
	rings = 0
	l.Arm(h, 500+10*wheelBuckets)
	l.Arm(l.Add(r), 510)
	tick(500, 499+10*wheelBuckets)
	r.expect(t, "expire")
	tick(500+10*wheelBuckets, 1000+20*wheelBuckets)
	r.expect(t, "expire")
	if rings > 11 {
		t.Errorf("%d rings for one deadline in ten revolutions", rings)
	}
}

// What the loop does all day allocates nothing.
func TestAllocs(t *testing.T) {
	l := New(0, Config{Ring: func() {}})
	r := &recorder{notes: make([]string, 0, 1<<20)}
	quiet := recipient(func(any) {})
	flusher := &quietFlusher{}
	h := l.Add(r)
	now := Time(1)
	what := any("x")
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"post and turn", func() { l.Post(quiet, what, 10); l.Turn(now) }},
		{"dirty and turn", func() { l.Dirty(flusher); l.Turn(now) }},
		{"ready and turn", func() { l.Ready(flusher); l.Turn(now) }},
		{"arm", func() { l.Arm(h, now+100) }},
		{"tick and turn", func() { now++; l.Arm(h, now); l.TickDue(now); l.Turn(now) }},
		{"add and remove", func() { l.Remove(l.Add(flusher)) }},
	} {
		if n := testing.AllocsPerRun(1000, c.f); n != 0 && !raceEnabled {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

type quietFlusher struct{}

func (*quietFlusher) Flush()            {}
func (*quietFlusher) Turn(*Budget) bool { return false }
func (*quietFlusher) Expire(Time)       {}
func (*quietFlusher) Order(any)         {}
