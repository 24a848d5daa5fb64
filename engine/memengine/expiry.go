package memengine

import (
	"context"
	"math"
	"time"
)

// second is a moment in whole seconds of the engine's clock. Nothing expires early, and at most a second late.
type second uint32

// never is the deadline of what stays.
const never second = math.MaxUint32

// secondOf is the current second.
func secondOf(now time.Duration) second { return second(now / time.Second) }

// deadline is the second in which d has passed, rounded up. A century is never: beyond it the sum would overflow.
func deadline(now, d time.Duration) second {
	const century = 100 * 365 * 24 * time.Hour
	if d >= century {
		return never
	}
	return second((now + d + time.Second - 1) / time.Second)
}

// SweepPeriod is how long a sweep over all stripes takes: what expired holds its memory for at most that long, plus a second.
const SweepPeriod = 8 * time.Second

// Run sweeps until ctx ends, then returns nil: every second an eighth of the stripes, so that the work is spread out. Only
// stripes with something due cost more than taking their lock.
func (e *Engine) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	n := (len(e.stripes) + int(SweepPeriod/time.Second) - 1) / int(SweepPeriod/time.Second)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			for range n {
				e.sweep(&e.stripes[e.sweepNext])
				e.sweepNext = (e.sweepNext + 1) % len(e.stripes)
			}
		}
	}
}

// sweep lets go what has expired in one stripe.
func (e *Engine) sweep(st *stripe) {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := secondOf(e.clock())
	e.forget(st, now)
	if now < st.due {
		return
	}
	st.due = never
	for i := range st.table.buckets {
		at := &st.table.buckets[i]
		for rec := *at; rec != nil; rec = *at {
			s := &rec.of
			if now >= s.due() {
				s.clear()
			}
			if now >= s.dropAt {
				*at, rec.next = rec.next, nil
				st.table.count--
				continue
			}
			st.due = min(st.due, s.due())
			at = &rec.next
		}
	}
	st.table.shrink(e.seed)
}
