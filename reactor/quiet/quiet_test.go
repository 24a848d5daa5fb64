package quiet

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDue(t *testing.T) {
	start := time.Unix(1_000_000, 999_999_999) // the next second of the clock is no reason
	for _, tt := range []struct {
		name       string
		every      time.Duration
		after      []time.Duration // since start, one call each
		ok         bool            // of the last one
		suppressed int64
	}{
		{"the first", 0, []time.Duration{0}, true, 0},
		{"at the same time", 0, []time.Duration{0, 0}, false, 0},
		{"just before", 0, []time.Duration{0, Period - 1}, false, 0},
		{"just then", 0, []time.Duration{0, 1, 2, Period}, true, 2},
		{"once more", 0, []time.Duration{0, 1, Period, 2 * Period}, true, 0},
		{"another period", time.Minute, []time.Duration{0, Period}, false, 0},
		{"after it", time.Minute, []time.Duration{0, Period, time.Minute}, true, 1},
		{"a clock that was set back", 0, []time.Duration{0, -time.Hour}, true, 0},
	} {
		l := Line{Every: tt.every}
		var suppressed int64
		var ok bool
		for _, d := range tt.after {
			suppressed, ok = l.Due(start.Add(d))
		}
		if ok != tt.ok || suppressed != tt.suppressed {
			t.Errorf("%s: a line %t, %d suppressed", tt.name, ok, suppressed)
		}
	}
}

// Of many at once one is due, and none is forgotten.
func TestTogether(t *testing.T) {
	const askers, times = 8, 1000
	var l Line
	var lines atomic.Int64
	var all sync.WaitGroup
	now := time.Now()
	for range askers {
		all.Go(func() {
			for range times {
				if _, ok := l.Due(now); ok {
					lines.Add(1)
				}
			}
		})
	}
	all.Wait()
	suppressed, ok := l.Due(now.Add(Period))
	if lines.Load() != 1 || !ok || suppressed != askers*times-1 {
		t.Errorf("%d lines, then %d suppressed", lines.Load(), suppressed)
	}
}

func TestSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		var l Line
		l.Say(log, slog.LevelDebug, "nobody listens")
		for range 5 {
			l.Say(log, slog.LevelWarn, "trouble", "with", "x")
		}
		if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN msg=trouble with=x\n") {
			t.Errorf("logged %s", got)
		}
		out.Reset()
		time.Sleep(Period)
		l.Say(log, slog.LevelInfo, "trouble")
		if got := out.String(); !strings.Contains(got, "level=INFO msg=trouble suppressed=4\n") {
			t.Errorf("a second later: %s", got)
		}
	})
}
