package metrics

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts durations in 4 buckets per octave, from about 1 µs to 17 s: a quantile is off by an eighth at most.
const (
	perOctaveBits  = 2
	perOctave      = 1 << perOctaveBits
	lowestBits     = 10 // bucket 0 holds what is below 1<<10 ns
	numOctaves     = 24
	numBuckets     = 1 + numOctaves*perOctave + 1 // the last one holds what is above all octaves
	exposedBuckets = 1 + numOctaves               // without +Inf
)

// histogram counts durations. Any goroutine may use it; it is fast as long as one does.
type histogram struct {
	buckets [numBuckets]atomic.Uint64
	sum     atomic.Int64 // ns
}

// bucketOf is the bucket of a duration in ns.
func bucketOf(ns uint64) int {
	if ns < 1<<lowestBits {
		return 0
	}
	octave := bits.Len64(ns) - 1
	part := ns >> (octave - perOctaveBits) & (perOctave - 1)
	return min(1+(octave-lowestBits)*perOctave+int(part), numBuckets-1)
}

// bucketBound is the upper bound of a bucket in ns.
func bucketBound(i int) float64 {
	if i == numBuckets-1 {
		return math.Inf(1)
	}
	octave, part := i/perOctave, i%perOctave
	return math.Ldexp(1+float64(part)/perOctave, lowestBits+octave)
}

func (h *histogram) observe(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucketOf(uint64(d))].Add(1)
	h.sum.Add(int64(d))
}

// counts is what histograms held at one moment.
type counts struct {
	buckets [numBuckets]uint64
	sum     int64
}

func (c *counts) add(h *histogram) {
	for i := range h.buckets {
		c.buckets[i] += h.buckets[i].Load()
	}
	c.sum += h.sum.Load()
}

func (c *counts) total() (n uint64) {
	for _, b := range c.buckets {
		n += b
	}
	return n
}

// since is what came after old.
func (c *counts) since(old *counts) *counts {
	d := *c
	for i, b := range old.buckets {
		d.buckets[i] -= b
	}
	d.sum -= old.sum
	return &d
}

// quantile estimates the duration, in seconds, that a share q of all stayed below; NaN of nothing.
func (c *counts) quantile(q float64) float64 {
	rank := q * float64(c.total())
	below, lower := 0.0, 0.0
	for i, b := range c.buckets {
		upper := bucketBound(i)
		n := float64(b)
		if n > 0 && below+n >= rank {
			if math.IsInf(upper, 1) {
				return lower / 1e9
			}
			return (lower + (upper-lower)*(rank-below)/n) / 1e9
		}
		below, lower = below+n, upper
	}
	return math.NaN()
}

// window remembers what was counted some minutes ago, so that quantiles tell of now. A scrape turns it; it needs no clock
// of its own. Its user sees to it that one scrape at a time does.
type window[T any] struct {
	older, newer T
	turned       time.Time
}

// windowHalf is the age at which newer becomes older: quantiles cover one to two halves.
const windowHalf = 5 * time.Minute

// before is what was counted when the window began that ends now with c.
func (w *window[T]) before(c *T, now time.Time) *T {
	switch age := now.Sub(w.turned); {
	case w.turned.IsZero():
		w.turned = now // all that came so far is recent
	case age >= windowHalf:
		w.older, w.newer, w.turned = w.newer, *c, now
	}
	return &w.older
}
