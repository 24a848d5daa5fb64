package loop

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// LagBuckets is the number of buckets of a Lag: bucket i counts waits below LagBound(i), the last one all others.
const LagBuckets = 16

// Lag counts how long the loop's rings waited for their turn: how far the loop is behind. Any goroutine may read it.
type Lag struct {
	buckets [LagBuckets]atomic.Uint64
	sum     atomic.Int64
}

// LagBound is the upper bound of bucket i: 32 µs, doubled i times.
func LagBound(i int) time.Duration { return 32 * time.Microsecond << i }

func (g *Lag) note(d time.Duration) {
	i := bits.Len64(uint64(max(d, 0)) / uint64(LagBound(0)))
	g.buckets[min(i, LagBuckets-1)].Add(1)
	g.sum.Add(int64(d))
}

// Read returns the counts per bucket (not cumulative) and the sum of all waits.
func (g *Lag) Read() (buckets [LagBuckets]uint64, sum time.Duration) {
	for i := range g.buckets {
		buckets[i] = g.buckets[i].Load()
	}
	return buckets, time.Duration(g.sum.Load())
}
