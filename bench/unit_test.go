package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

func TestBar(t *testing.T) {
	for _, c := range []struct {
		passed, planned time.Duration
		want            string
	}{
		{0, 10 * time.Second, "[------------------------]   0%  0s  working"},
		{5 * time.Second, 10 * time.Second, "[############------------]  50%  5s  working"},
		{20 * time.Second, 10 * time.Second, "[########################] 100%  20s  working"},
		{3 * time.Second, 0, "3s  working"},
	} {
		if got := barText("working", c.passed, c.planned); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := barText(strings.Repeat("ü", 500), 0, time.Second); len([]rune(got)) != barColumns {
		t.Errorf("%d columns", len([]rune(got)))
	}
}

// Without a terminal, a run says one line per phase and draws nothing.
func TestProgressWithoutTerminal(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b)
	p.phase(time.Minute, "phase %d", 1)
	p.phase(0, "phase %d", 2)
	p.close()
	if b.String() != "phase 1\nphase 2\n" {
		t.Errorf("%q", b.String())
	}
}

func TestSigns(t *testing.T) {
	turns := measure.NewLatency()
	turns.Record(8 * time.Millisecond)
	second := time.Second
	for _, c := range []struct {
		name string
		span span
		p99  time.Duration
		want []int
	}{
		{"idle", span{Took: second, Server: second / 2, Machine: second}, time.Millisecond, nil},
		{"busy", span{Took: second, Load: swarm.Load{Span: second, Busy: 95 * second / 100}}, 0, []int{signBusy}},
		{"starved", span{Took: second, Load: swarm.Load{Span: second, Waited: second / 2}}, 0, []int{signStarved}},
		{"own latency", span{Took: second, Load: swarm.Load{Span: second, Turns: turns}}, 10 * time.Millisecond, []int{signOwn}},
		{"small part of the latency", span{Took: second, Load: swarm.Load{Span: second, Turns: turns}}, 100 * time.Millisecond, nil},
		{"generator has the cores", span{Took: second, Generator: 3 * second / 2, Server: second / 2, Machine: 2 * second}, 0, []int{signFull}},
		{"server has the cores", span{Took: second, Generator: second / 2, Server: 3 * second / 2, Machine: 2 * second}, 0, nil},
		{"others have the cores", span{Took: second, Generator: second / 10, Machine: 2 * second}, 0, []int{signCrowded}},
	} {
		var got []int
		for kind, text := range signs(c.span, c.p99, 2) {
			if text != "" {
				got = append(got, kind)
			}
		}
		if len(got) != len(c.want) || len(got) == 1 && got[0] != c.want[0] {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A sign is told once, and a span too short to say anything is not judged.
func TestJudge(t *testing.T) {
	r := &rig{}
	r.result.Machine.Cores = 2
	busy := span{Took: time.Second, Load: swarm.Load{Span: 100, Busy: 95}}
	r.judge(span{Took: time.Millisecond, Load: busy.Load}, 0)
	if len(r.result.Client) != 0 {
		t.Errorf("%v", r.result.Client)
	}
	r.judge(busy, 0)
	r.judge(busy, 0)
	r.judge(span{Took: time.Second, Machine: 2 * time.Second}, 0)
	if len(r.result.Client) != 1 || len(r.result.Notes) != 1 {
		t.Errorf("%v %v", r.result.Client, r.result.Notes)
	}
}

func TestWatchThins(t *testing.T) {
	w := &watch{}
	for i := range samplesMax {
		s := result.Sample{At: float64(i), RSS: int64(i), Server: float64(i % 2)}
		if i > 2 { // later, another process is looked at too
			s.Others = map[string]result.Use{"far": {RSS: int64(i), Cores: float64(i % 2)}}
		}
		w.samples = append(w.samples, s)
	}
	if !w.thin() || w.thin() || len(w.samples) != samplesMax/2 || w.samples[0].RSS != 1 || w.samples[0].Server != 0.5 {
		t.Errorf("%d samples, first %+v", len(w.samples), w.samples[0])
	}
	if s := w.samples; len(s[0].Others) != 0 || s[1].Others["far"] != (result.Use{RSS: 3, Cores: 1}) || s[2].Others["far"] != (result.Use{RSS: 5, Cores: 0.5}) {
		t.Errorf("%+v", s[:3])
	}
}

func TestSlope(t *testing.T) {
	line := slope([]result.Sample{{At: 0, RSS: 100}, {At: 1800, RSS: 150}, {At: 3600, RSS: 200}})
	if line == nil || line.Slope != 100 {
		t.Errorf("%+v", line)
	}
	if slope([]result.Sample{{At: 1}, {At: 2}}) != nil {
		t.Error("a slope of nothing")
	}
}

func TestKnee(t *testing.T) {
	steps := []climbed{{rate: 1, kept: true}, {rate: 2, kept: true}, {rate: 4}}
	if k, ok := knee(steps); !ok || k.rate != 2 {
		t.Errorf("%+v %v", k, ok)
	}
	if _, ok := knee(steps[2:]); ok {
		t.Error("a knee without a step that was kept")
	}
}

func TestQuoted(t *testing.T) {
	for value, want := range map[string]string{"a-b_1": "a-b_1", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "{n}": "'{n}'", "a;b": "'a;b'"} {
		if got := quoted(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
