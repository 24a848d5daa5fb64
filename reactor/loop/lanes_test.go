package loop

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLanesKeepOrder: work with one key is done in order, one at a time; other keys do not wait for it.
func TestLanesKeepOrder(t *testing.T) {
	l := NewLanes(slog.New(slog.DiscardHandler))
	const keys, each = 50, 200
	var got [keys][]int
	var wg sync.WaitGroup
	gate := make(chan struct{})
	l.Do(0, func() { <-gate }) // holds up lane 0 until all others are done
	for n := range each {
		for key := 1; key < keys; key++ {
			wg.Add(1)
			if !l.Do(uint64(key), func() { got[key] = append(got[key], n); wg.Done() }) {
				t.Fatal("refused")
			}
		}
	}
	wg.Wait()
	close(gate)
	for key := 1; key < keys; key++ {
		if len(got[key]) != each || !slices.IsSorted(got[key]) {
			t.Fatalf("key %d: %v", key, got[key])
		}
	}
}

// TestLanesAreBounded: too much is refused, and taken again when there is room.
func TestLanesAreBounded(t *testing.T) {
	l := NewLanes(slog.New(slog.DiscardHandler))
	gate, done := make(chan struct{}), make(chan struct{})
	taken := 0
	for l.Do(7, func() { <-gate }) {
		taken++
	}
	if taken != LanesQueueMax {
		t.Errorf("%d were taken, want %d", taken, LanesQueueMax)
	}
	close(gate)
	for !l.Do(7, func() { close(done) }) {
	}
	<-done
}

// TestLanesDrain: what waits is done, or counted when there is no more time.
func TestLanesDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLanes(slog.New(slog.DiscardHandler))
		var done atomic.Int32
		for range 3 {
			l.Do(1, func() { time.Sleep(time.Second); done.Add(1) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if left := l.Drain(ctx); left != 2 || done.Load() != 1 {
			t.Errorf("%d left and %d done after 1.5 s", left, done.Load())
		}
		if left := l.Drain(t.Context()); left != 0 || done.Load() != 3 {
			t.Errorf("%d left and %d done in the end", left, done.Load())
		}
	})
}

// TestLanesSurvivePanics, and end with Close.
func TestLanesSurvivePanics(t *testing.T) {
	l := NewLanes(slog.New(slog.DiscardHandler))
	done := make(chan struct{})
	l.Do(1, func() { panic("no") })
	l.Do(1, func() { close(done) })
	<-done
	l.Close()
	if l.Do(1, func() { t.Error("done after Close") }) {
		t.Error("taken after Close")
	}
}
