package loop

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"stentor/reactor/quiet"
)

// Limits of a pool.
const (
	// PoolWorkersMax is how many pieces of work are under way at once. Each may wait for a network.
	PoolWorkersMax = 64
	// PoolQueueMax is how many more may wait for a worker.
	PoolQueueMax = 4096
)

// Pool does what must not be done on a loop because it may wait, or takes long: a request to another server, the encoding of
// something large. Work tells its outcome with [Loop.Order]: if the resident has gone by then, the order is dropped, and an effect
// that nobody wants any more is the work's own to undo.
//
// Workers start when there is work for them and stay, so that their number is bounded by what was ever needed at once.
type Pool struct {
	log    *slog.Logger
	panics quiet.Line // anybody who finds out how to cause one does it again

	mu      sync.Mutex
	waiting []func() // from head on
	head    int
	workers int
	idle    int
	closed  bool
	wake    sync.Cond
}

// NewPool makes a pool that logs panics of its work. Close ends its workers.
func NewPool(log *slog.Logger) *Pool {
	p := &Pool{log: log}
	p.wake.L = &p.mu
	return p
}

// Do has work done, soon, on another goroutine. It reports false, and does nothing, when too much work waits already or the pool
// is closed. It never blocks.
func (p *Pool) Do(work func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.waiting)-p.head >= PoolQueueMax {
		return false
	}
	if p.head > 0 && len(p.waiting) == cap(p.waiting) {
		n := copy(p.waiting, p.waiting[p.head:])
		clear(p.waiting[n:])
		p.waiting, p.head = p.waiting[:n], 0
	}
	p.waiting = append(p.waiting, work)
	switch {
	case p.idle >= len(p.waiting)-p.head:
		p.wake.Signal()
	case p.workers < PoolWorkersMax:
		p.workers++
		go p.work()
	}
	return true
}

// Close lets work that is under way finish, drops what waits and ends the workers. It does not wait for them.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.waiting, p.head = nil, 0
	p.wake.Broadcast()
}

func (p *Pool) work() {
	for {
		work := p.next()
		if work == nil {
			return
		}
		p.do(work)
	}
}

// next waits for work; nil tells that the pool is closed.
func (p *Pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.head == len(p.waiting) {
		if p.closed {
			return nil
		}
		p.waiting, p.head = p.waiting[:0], 0
		p.idle++
		p.wake.Wait()
		p.idle--
	}
	work := p.waiting[p.head]
	p.waiting[p.head] = nil
	p.head++
	return work
}

// do keeps the pool alive when work panics.
func (p *Pool) do(work func()) {
	defer func() {
		if v := recover(); v != nil {
			p.panics.Say(p.log, slog.LevelError, "panic in work off the loops", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	work()
}
