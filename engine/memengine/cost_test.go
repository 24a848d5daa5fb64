package memengine

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
)

func TestPublishAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	keyed := engine.PublishOptions{IdempotencyKey: "seen"}
	versioned := kept
	versioned.Version = 1
	tests := []struct {
		name string
		o    engine.PublishOptions
	}{
		{"without history", engine.PublishOptions{}},
		{"into full history", kept},
		{"repeat of a key", keyed},
		{"older version", versioned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := New(Config{}, nobody{})
			p := &codec.Publication{Data: []byte("payload")}
			send := func() {
				if _, err := e.Publish(context.Background(), "news", p, tt.o); err != nil {
					t.Fatal(err)
				}
			}
			for range 20 {
				send()
			}
			if got := testing.AllocsPerRun(100, send); got != 0 {
				t.Errorf("%v allocations", got)
			}
		})
	}
}

func TestReadAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	e := New(Config{}, nobody{})
	for range 10 {
		publish(t, e, "news", kept)
	}
	top := position(t, e, "news")
	tests := []struct {
		name string
		f    engine.HistoryFilter
		want float64
	}{
		{"position", engine.HistoryFilter{}, 0},
		{"nothing new", engine.HistoryFilter{Since: &top, Limit: -1}, 0},
		{"ten publications", engine.HistoryFilter{Limit: -1}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := testing.AllocsPerRun(100, func() {
				if _, _, err := e.History(context.Background(), "news", tt.f); err != nil {
					t.Fatal(err)
				}
			})
			if got != tt.want {
				t.Errorf("%v allocations, want %v", got, tt.want)
			}
		})
	}
}

// perChannel fills an engine with channels that keep one publication of 100 bytes each, and returns what each costs in bytes
// and objects, with the data and without the name.
func perChannel(t testing.TB, channels int) (bytes, objects float64) {
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprintf("personal:#%d", 1_000_000+i)
	}
	o := kept
	o.HistorySize = 100
	e := New(Config{}, nobody{})
	before := heap()
	for _, name := range names {
		position(t, e, name) // as a subscriber does: the name is shared
		p := &codec.Publication{Data: []byte(strings.Repeat("x", 100))}
		if _, err := e.Publish(context.Background(), name, p, o); err != nil {
			t.Fatal(err)
		}
	}
	after := heap()
	runtime.KeepAlive(e)
	runtime.KeepAlive(names)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(channels),
		float64(after.HeapObjects-before.HeapObjects) / float64(channels)
}

func heap() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// TestDensity is a gate: what a million personal channels cost.
func TestDensity(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	bytes, objects := perChannel(t, 100_000)
	t.Logf("%.0f bytes and %.2f objects per channel", bytes, objects)
	if bytes > 230 || objects > 2.2 {
		t.Errorf("%.0f bytes and %.2f objects per channel, want at most 230 and 2.2", bytes, objects)
	}
}

func BenchmarkMemoryPerChannel(b *testing.B) {
	for _, n := range []int{100_000, 400_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				bytes, objects := perChannel(b, n)
				b.ReportMetric(bytes, "B/channel")
				b.ReportMetric(objects, "objects/channel")
			}
		})
	}
}

func BenchmarkPublish(b *testing.B) {
	history := engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Minute, HistoryMetaTTL: time.Hour}
	names := make([]string, 1<<16)
	for i := range names {
		names[i] = fmt.Sprintf("personal:#%d", i)
	}
	for _, bench := range []struct {
		name     string
		o        engine.PublishOptions
		channels int
	}{
		{"plain", engine.PublishOptions{}, len(names)},
		{"history", history, len(names)},
		{"history, one channel", history, 1},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e := New(Config{}, nobody{})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				p := &codec.Publication{Data: []byte("payload of a publication")}
				for i := 0; pb.Next(); i++ {
					if _, err := e.Publish(context.Background(), names[i&(bench.channels-1)], p, bench.o); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkHistory(b *testing.B) {
	e := New(Config{}, nobody{})
	for range 10 {
		publish(b, e, "news", kept)
	}
	for _, bench := range []struct {
		name  string
		limit int
	}{{"position", 0}, {"ten", -1}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := e.History(context.Background(), "news", engine.HistoryFilter{Limit: bench.limit}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
