package measure

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestFit(t *testing.T) {
	x := []float64{4000, 8000, 12000, 16000}
	l, err := Fit(x, []float64{4e6, 7e6, 10e6, 13e6})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "slope", l.Slope, 750)
	near(t, "intercept", l.Intercept, 1e6)
	near(t, "residual", l.Residual, 0)
	near(t, "r2", l.R2, 1)

	// By hand: the line through (0,0) (1,2) (2,1) (3,3) is 0.3 + 0.8x; its residuals are -0.3, 0.9, -0.9, 0.3.
	l, err = Fit([]float64{0, 1, 2, 3}, []float64{0, 2, 1, 3})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "slope", l.Slope, 0.8)
	near(t, "intercept", l.Intercept, 0.3)
	near(t, "residual", l.Residual, math.Sqrt(1.8/2))
	near(t, "residual max", l.ResidualMax, 0.9)
	near(t, "r2", l.R2, 1-1.8/5)

	for name, points := range map[string][2][]float64{
		"one point":  {{1}, {1}},
		"no y":       {{1, 2}, {1}},
		"vertical":   {{3, 3}, {1, 2}},
		"no points":  {nil, nil},
		"two points": {{1, 2}, {5, 7}},
	} {
		if _, err := Fit(points[0], points[1]); (err == nil) != (name == "two points") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSummarize(t *testing.T) {
	s := Summarize([]float64{9, 1, 5, 3, 7})
	if s != (Spread{N: 5, Median: 5, Q1: 3, Q3: 7, Min: 1, Max: 9}) || s.IQR() != 4 {
		t.Errorf("odd: %+v", s)
	}
	s = Summarize([]float64{1, 2, 3, 4})
	near(t, "median", s.Median, 2.5)
	near(t, "q1", s.Q1, 1.75)
	near(t, "q3", s.Q3, 3.25)
	if s := Summarize([]float64{4}); s.Median != 4 || s.Q1 != 4 || s.Q3 != 4 {
		t.Errorf("one value: %+v", s)
	}
	if s := Summarize(nil); s != (Spread{}) {
		t.Errorf("no value: %+v", s)
	}
	in := []float64{3, 1, 2}
	Summarize(in)
	if in[0] != 3 {
		t.Error("the argument was sorted")
	}
}

func TestRatios(t *testing.T) {
	r := Ratios([]float64{2, 9, 4}, []float64{1, 0, 8, 5})
	if len(r) != 2 || r[0] != 2 || r[1] != 0.5 {
		t.Errorf("ratios = %v", r)
	}
}

func TestLatency(t *testing.T) {
	l := NewLatency()
	if p := l.Percentiles(); p != (Percentiles{}) {
		t.Errorf("empty: %+v", p)
	}
	for i := 1; i <= 1000; i++ {
		l.Record(time.Duration(i) * time.Millisecond)
	}
	p := l.Percentiles()
	within := func(what string, got, want time.Duration) {
		t.Helper()
		if d := (got - want).Abs(); d > want/500 {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	within("p50", p.P50, 500*time.Millisecond)
	within("p90", p.P90, 900*time.Millisecond)
	within("p99", p.P99, 990*time.Millisecond)
	within("p99.9", p.P999, 999*time.Millisecond)
	within("max", p.Max, time.Second)
	within("mean", p.Mean, 500500*time.Microsecond)

	l.Record(-time.Second) // a clock step backwards, counted at the edge
	l.Record(time.Hour)
	if got := l.Percentiles(); got.Count != 1002 || got.Max < LatencyMax {
		t.Errorf("edges: %+v", got)
	}
}

func TestLatencyTravels(t *testing.T) {
	a, b := NewLatency(), NewLatency()
	for i := 1; i < 5000; i += 7 {
		a.Record(time.Duration(i*i) * time.Microsecond)
		b.Record(time.Duration(i) * time.Microsecond)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var c Latency
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Percentiles(), a.Percentiles(); got.Count != want.Count || got.P50 != want.P50 || got.P99 != want.P99 || got.Max != want.Max {
		t.Errorf("over JSON %+v, want %+v", got, want)
	}
	c.Merge(b)
	if c.Count() != a.Count()+b.Count() {
		t.Errorf("merged %d", c.Count())
	}
	if err := json.Unmarshal([]byte(`[[999999999999,1]]`), &c); err == nil {
		t.Error("a bucket outside of the range was taken")
	}
}

// A server that answers at once but stalls for a second after the tenth of 100 requests, one every 10 ms. A client that waits
// for each reply sends nothing during the stall, and a naive clock sees one slow reply. Counted from the schedule, every
// request that was due during the stall is slow.
func TestScheduleKeepsTheStall(t *testing.T) {
	const period = 10 * time.Millisecond
	plan := Schedule{Start: 5000, Period: period}
	naive, honest := NewLatency(), NewLatency()
	now := plan.Start
	for n := range int64(100) {
		now = max(now, plan.Due(n))
		sent := now
		now += int64(100 * time.Microsecond)
		if n == 10 {
			now += int64(time.Second)
		}
		naive.Record(time.Duration(now - sent))
		honest.Record(time.Duration(now - plan.Due(n)))
	}
	if p := naive.Percentiles().P90; p > time.Millisecond {
		t.Errorf("naive p90 = %v", p)
	}
	if p := honest.Percentiles().P50; p < 400*time.Millisecond {
		t.Errorf("honest p50 = %v", p)
	}
}

func TestSchedule(t *testing.T) {
	s := Every(1000, 100)
	if s.Period != 10*time.Millisecond || s.Due(3) != 1000+int64(30*time.Millisecond) {
		t.Errorf("%+v due(3)=%d", s, s.Due(3))
	}
	for now, want := range map[int64]int64{999: 0, 1000: 1, 1000 + 9_999_999: 1, 1000 + 10_000_000: 2} {
		if got := s.Passed(now); got != want {
			t.Errorf("passed(%d) = %d, want %d", now, got, want)
		}
	}
}

func TestStamp(t *testing.T) {
	for _, size := range []int{PayloadBytesMin, 100, 1000} {
		want := Stamp{Number: 42, Due: 123456789012345678}
		b, err := AppendPayload([]byte("head "), want, size)
		if err != nil || len(b) != size+5 {
			t.Fatalf("size %d: %d bytes, %v", size, len(b)-5, err)
		}
		if !json.Valid(b[5:]) {
			t.Errorf("not JSON: %s", b[5:])
		}
		if got, ok := FindStamp(b); !ok || got != want {
			t.Errorf("found %+v %v", got, ok)
		}
		want = Stamp{Number: NumberMax, Due: math.MaxInt64}
		if err := Restamp(b, want); err != nil {
			t.Fatal(err)
		}
		if got, ok := FindStamp(b); !ok || got != want || !json.Valid(b[5:]) {
			t.Errorf("restamped %+v %v %s", got, ok, b)
		}
	}
	if _, err := AppendPayload(nil, Stamp{}, PayloadBytesMin-1); err == nil {
		t.Error("too small a payload was taken")
	}
	if err := Restamp([]byte("{}"), Stamp{}); err != ErrNoStamp {
		t.Errorf("restamp: %v", err)
	}
}

func FuzzFindStamp(f *testing.F) {
	good, _ := AppendPayload(nil, Stamp{Number: 7, Due: 8}, 100)
	f.Add(good)
	f.Add(good[:30])
	f.Add([]byte(`{"stb":"0000000000.9999999999999999999"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := FindStamp(b)
		if !ok {
			return
		}
		if s.Number < 1 || s.Due < 0 {
			t.Fatalf("%+v", s)
		}
		again := append([]byte(nil), b...)
		if err := Restamp(again, s); err != nil || string(again) != string(b) {
			t.Fatalf("restamp changed %q to %q: %v", b, again, err)
		}
	})
}

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		name           string
		in             []uint32
		last           uint32
		got, dup, late uint32
		missing        uint32
	}{
		{"in order", []uint32{1, 2, 3}, 3, 3, 0, 0, 0},
		{"nothing", nil, 3, 0, 0, 0, 3},
		{"gap", []uint32{1, 4}, 4, 2, 0, 0, 2},
		{"twice", []uint32{1, 2, 2, 1, 3}, 3, 3, 2, 0, 0},
		{"late", []uint32{2, 1, 3}, 3, 3, 0, 1, 0},
		{"late twice", []uint32{3, 1, 1, 2}, 3, 3, 1, 2, 0},
		{"tail lost", []uint32{1, 2}, 5, 2, 0, 0, 3},
		{"long gap", []uint32{1, 100, 99, 37, 36}, 100, 4, 1, 2, 96},
		{"first lost", []uint32{5, 6}, 6, 2, 0, 0, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w Window
			for _, n := range c.in {
				w.Take(n)
			}
			if w.Got != c.got || w.Duplicate != c.dup || w.Late != c.late || w.Missing(c.last) != c.missing {
				t.Errorf("%+v missing %d", w, w.Missing(c.last))
			}
		})
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	b, _ := AppendPayload(nil, Stamp{Number: 1}, 100)
	l := NewLatency()
	var w Window
	if n := testing.AllocsPerRun(1000, func() {
		s, _ := FindStamp(b)
		w.Take(s.Number)
		l.Record(time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations per delivery", n)
	}
}
