package reactor

import (
	"bytes"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
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

// end returns since when the callback ran if the watchdog has found it too long, 0 otherwise.
func (b *busy) end() (since time.Duration) {
	at := b.since.Load()
	b.since.Store(0)
	if b.reported.Load() == at {
		return time.Duration(at)
	}
	return 0
}

// goroutineName is how the current goroutine is introduced in stacks: "goroutine 17 ".
func goroutineName() *string {
	var room [64]byte
	words := bytes.SplitAfterN(room[:runtime.Stack(room[:], false)], []byte(" "), 3)
	name := string(bytes.Join(words[:2], nil))
	return &name
}

// stalled counts a callback that the watchdog has reported, once it has ended and its length is known.
func (d *driver) stalled(since time.Duration) {
	_, now := d.reactor.clock.Read()
	d.stats.stalls.Add(1)
	for held := int64(now - since); ; {
		longest := d.stats.longestStall.Load()
		if held <= longest || d.stats.longestStall.CompareAndSwap(longest, held) {
			return
		}
	}
}

// watch looks at the loops from outside and reports the callbacks that hold one too long, with the stack of what it is stuck
// in.
func (r *Reactor) watch() {
	ticker := time.NewTicker(max(r.cfg.StallReport/2, time.Millisecond))
	defer ticker.Stop()
	var logged time.Duration
	var unlogged int
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
		}
		_, now := r.clock.Read()
		for _, d := range r.drivers {
			since := d.busy.since.Load()
			held := now - time.Duration(since)
			if since == 0 || held < r.cfg.StallReport || d.busy.reported.Swap(since) == since {
				continue
			}
			if logged != 0 && now-logged < stallLogPeriod {
				unlogged++
				continue
			}
			logged = now
			r.cfg.Log.Warn("a callback holds its loop", "loop", d.loop.ID(), "for", held, "unlogged", unlogged, "stack", d.busy.stack(since))
			unlogged = 0
		}
	}
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
