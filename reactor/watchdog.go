package reactor

import (
	"bytes"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"stentor/reactor/loop"
)

// stallLogPeriod is how often stalls are logged at the most; all are counted.
const stallLogPeriod = 10 * time.Second

// busy tells the watchdog since when its loop has been in a callback.
type busy struct {
	goroutine atomic.Pointer[string] // the loop's, as stacks name it
	since     atomic.Int64           // reactor time in nanoseconds; 0 between callbacks
	reported  atomic.Int64           // the since that the watchdog has found to be too long ago
}

func (b *busy) begin(now time.Duration) {
	if b.goroutine.Load() == nil {
		b.goroutine.Store(goroutineName())
	}
	b.since.Store(int64(now))
}

// goroutineName is how the current goroutine is introduced in stacks: "goroutine 17 ".
func goroutineName() *string {
	var room [64]byte
	words := bytes.SplitAfterN(room[:runtime.Stack(room[:], false)], []byte(" "), 3)
	name := string(bytes.Join(words[:2], nil))
	return &name
}

// idle ends a callback and counts it if it was too long. The watchdog may have slept through it; then the log has no stack.
func (d *driver) idle() {
	since := d.busy.since.Load()
	d.busy.since.Store(0)
	_, now := d.reactor.clock.Read()
	held := now - time.Duration(since)
	if held < d.cfg.StallReport {
		return
	}
	d.stats.stalls.Add(1)
	for {
		longest := d.stats.longestStall.Load()
		if int64(held) <= longest || d.stats.longestStall.CompareAndSwap(longest, int64(held)) {
			break
		}
	}
	if d.busy.reported.Load() != since && d.reactor.mayLogStall() {
		d.logStall(held, "not taken: the callback has ended")
	}
}

// noticeBusy wakes the watchdog if any loop is in a callback. It is called once per loop.TickPeriod: a watchdog that looked by
// itself would wake a thread of its own each time.
func (r *Reactor) noticeBusy() {
	for _, d := range r.drivers {
		if d.busy.since.Load() == 0 {
			continue
		}
		select {
		case r.seenBusy <- struct{}{}:
		default:
		}
		return
	}
}

// watch looks at the loops from outside and reports the callbacks that hold one too long, with the stack of what it is stuck
// in. It looks often while it finds one in a callback, then ever more rarely, then not before noticeBusy says so.
func (r *Reactor) watch() {
	often := max(r.cfg.StallReport/2, time.Millisecond)
	pause := loop.TickPeriod
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-timer.C:
		case <-r.seenBusy:
		}
		pause = min(2*pause, loop.TickPeriod)
		if r.lookAtLoops() {
			pause = often
		}
		if pause < loop.TickPeriod {
			timer.Reset(pause)
		}
	}
}

// lookAtLoops reports whether any loop is in a callback.
func (r *Reactor) lookAtLoops() (active bool) {
	_, now := r.clock.Read()
	for _, d := range r.drivers {
		since := d.busy.since.Load()
		if since == 0 {
			continue
		}
		active = true
		held := now - time.Duration(since)
		if held >= r.cfg.StallReport && d.busy.reported.Swap(since) != since && r.mayLogStall() {
			d.logStall(held, d.busy.stack(since))
		}
	}
	return active
}

// mayLogStall lets one stall through per stallLogPeriod. The log tells the number of all, so those that are not told are not counted anew.
func (r *Reactor) mayLogStall() bool {
	_, due := r.stallLine.Due(time.Now())
	return due
}

func (d *driver) logStall(held time.Duration, stack string) {
	d.cfg.Log.Warn("a callback holds its loop", "loop", d.loop.ID(), "for", held, "stalls", d.stats.stalls.Load(), "stack", stack)
}

// stacksBytesMax bounds the dump that the stuck goroutine is looked up in.
const stacksBytesMax = 1 << 20

// stack returns the stack of the loop's goroutine, if it is still in the callback that began at since.
func (b *busy) stack(since int64) string {
	name := b.goroutine.Load()
	if name == nil {
		return ""
	}
	all := make([]byte, stacksBytesMax)
	all = all[:runtime.Stack(all, true)]
	if b.since.Load() != since {
		return "the callback has ended meanwhile"
	}
	for stack := range bytes.SplitSeq(all, []byte("\n\n")) {
		if bytes.HasPrefix(stack, []byte(*name)) {
			return string(stack)
		}
	}
	return fmt.Sprintf("not found: %s", *name)
}
