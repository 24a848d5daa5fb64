package loop

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"stentor/reactor/quiet"
)

// Limits of lanes.
const (
	// LanesCount is how many pieces of work are under way at once, a power of two. Each waits for a network, and those that wait for the
	// same server at once go there together.
	LanesCount = 1024
	// LanesQueueMax is how many more may wait in all lanes together.
	LanesQueueMax = 256 << 10
)

// Lanes do work that waits for other servers. Work with the same key is done in the order in which it came; that is how what a
// client does far away keeps its order. Otherwise it is like a [Pool].
//
// A lane has a goroutine while there is work in it.
type Lanes struct {
	log     *slog.Logger
	lanes   [LanesCount]lane
	waiting atomic.Int64
	closed  atomic.Bool
	panics  quiet.Line
}

type lane struct {
	mu    sync.Mutex
	queue []func()
	busy  bool // a goroutine is at work
}

// NewLanes makes lanes that log panics of their work.
func NewLanes(log *slog.Logger) *Lanes { return &Lanes{log: log} }

// Do has work done, on another goroutine, after what came before with the same key. It reports false, and does nothing, when too
// much work waits already or the lanes are closed. It never blocks.
func (l *Lanes) Do(key uint64, work func()) bool {
	if l.closed.Load() || l.waiting.Load() >= LanesQueueMax {
		return false
	}
	l.waiting.Add(1)
	// Keys count up: the multiplication spreads neighbours and what differs in high bits alone.
	n := &l.lanes[key*0x9e3779b97f4a7c15>>(64-lanesBits)]
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, work)
	if !n.busy {
		n.busy = true
		go l.work(n)
	}
	return true
}

const lanesBits = 10 // of LanesCount

// Waiting is how much work waits or is under way.
func (l *Lanes) Waiting() int { return int(l.waiting.Load()) }

// drainPoll is how often Drain looks.
const drainPoll = 5 * time.Millisecond

// Drain waits until all work is done or ctx ends, and says how much is left. New work should not come any more.
func (l *Lanes) Drain(ctx context.Context) (left int) {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for l.Waiting() > 0 {
		select {
		case <-ctx.Done():
			return l.Waiting()
		case <-ticker.C:
		}
	}
	return 0
}

// Close lets work that is under way finish and drops what waits.
func (l *Lanes) Close() { l.closed.Store(true) }

// work does what is in a lane, until it is empty.
func (l *Lanes) work(n *lane) {
	for {
		n.mu.Lock()
		queue := n.queue
		n.queue = nil
		n.busy = len(queue) > 0
		n.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, work := range queue {
			if !l.closed.Load() {
				l.do(work)
			}
			l.waiting.Add(-1)
		}
	}
}

// do keeps the lane alive when work panics.
func (l *Lanes) do(work func()) {
	defer func() {
		if v := recover(); v != nil {
			l.panics.Say(l.log, slog.LevelError, "panic in work off the loops", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	work()
}
