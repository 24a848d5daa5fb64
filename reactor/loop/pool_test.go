package loop

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

// TestPool: all work is done, by no more goroutines than allowed, and a panic ends only the work it is in.
func TestPool(t *testing.T) {
	defer goleak.VerifyNone(t)
	var log bytes.Buffer
	p := NewPool(slog.New(slog.NewTextHandler(&log, nil)))
	defer p.Close()
	var busy, most, done atomic.Int64
	var all sync.WaitGroup
	const n = PoolQueueMax
	for i := range n {
		all.Add(1)
		ok := p.Do(func() {
			defer all.Done()
			now := busy.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			defer busy.Add(-1)
			done.Add(1)
			if i == n/2 {
				panic("told to")
			}
		})
		if !ok {
			t.Fatal("refused before the queue was full")
		}
	}
	all.Wait()
	if done.Load() != n || most.Load() > PoolWorkersMax {
		t.Errorf("%d of %d done, by up to %d at once; the most is %d", done.Load(), n, most.Load(), PoolWorkersMax)
	}
}

// TestPoolIsBounded: what neither a worker nor the queue has room for is refused.
func TestPoolIsBounded(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := NewPool(slog.New(slog.DiscardHandler))
	hold := make(chan struct{})
	var started sync.WaitGroup
	for range PoolWorkersMax {
		started.Add(1)
		p.Do(func() { started.Done(); <-hold })
	}
	started.Wait()
	for i := range PoolQueueMax {
		if !p.Do(func() {}) {
			t.Fatalf("refused with %d waiting", i)
		}
	}
	if p.Do(func() {}) {
		t.Error("taken although the queue is full")
	}
	p.Close()
	close(hold)
	if p.Do(func() {}) {
		t.Error("taken although the pool is closed")
	}
}

// TestPoolSurvives: a panic is logged.
func TestPoolSurvives(t *testing.T) {
	defer goleak.VerifyNone(t)
	var log bytes.Buffer
	p := NewPool(slog.New(slog.NewTextHandler(&log, nil)))
	defer p.Close()
	p.do(func() { panic("told to") })
	if !strings.Contains(log.String(), "told to") {
		t.Errorf("log: %s", log.String())
	}
}
