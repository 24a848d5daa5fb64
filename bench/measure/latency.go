package measure

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a Latency can hold: microseconds from LatencyMin to LatencyMax with three significant digits, some 200 KB of counters.
const (
	LatencyMin = time.Microsecond
	LatencyMax = 2 * time.Minute

	latencyDigits = 3
)

// Latency is a histogram of durations. The caller counts each from the moment the message was due, not from the moment it got
// out, or a stalled server would slow the sender and hide its own stall (coordinated omission). Make it with NewLatency.
// It is not safe for concurrent use.
type Latency struct {
	hist *hdrhistogram.Histogram
}

// NewLatency makes an empty histogram.
func NewLatency() *Latency {
	return &Latency{hist: hdrhistogram.New(LatencyMin.Microseconds(), LatencyMax.Microseconds(), latencyDigits)}
}

// Record adds one duration. What lies outside of the histogram counts at its edge.
func (l *Latency) Record(d time.Duration) {
	us := min(max(d, LatencyMin), LatencyMax).Microseconds()
	_ = l.hist.RecordValue(us) // cannot fail inside the range
}

// Merge adds all of other.
func (l *Latency) Merge(other *Latency) { l.hist.Merge(other.hist) }

// Reset forgets everything.
func (l *Latency) Reset() { l.hist.Reset() }

// Count is the number of recorded durations.
func (l *Latency) Count() int64 { return l.hist.TotalCount() }

// Percentiles are the figures that a report prints.
type Percentiles struct {
	Count int64         `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Percentiles reads the figures. All are zero while nothing is recorded.
func (l *Latency) Percentiles() Percentiles {
	if l.Count() == 0 {
		return Percentiles{}
	}
	at := func(q float64) time.Duration { return time.Duration(l.hist.ValueAtQuantile(q)) * time.Microsecond }
	return Percentiles{
		Count: l.Count(), Mean: time.Duration(l.hist.Mean() * float64(time.Microsecond)),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: time.Duration(l.hist.Max()) * time.Microsecond,
	}
}

// MarshalJSON writes the filled buckets only, as pairs of microseconds and count: a worker's pipe carries kilobytes so.
func (l *Latency) MarshalJSON() ([]byte, error) {
	pairs := [][2]int64{}
	for _, bar := range l.hist.Distribution() {
		if bar.Count > 0 {
			pairs = append(pairs, [2]int64{bar.To, bar.Count})
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON reads what MarshalJSON wrote, into the buckets that it came from.
func (l *Latency) UnmarshalJSON(b []byte) error {
	var pairs [][2]int64
	if err := json.Unmarshal(b, &pairs); err != nil {
		return fmt.Errorf("latency histogram: %w", err)
	}
	*l = *NewLatency()
	for _, p := range pairs {
		if err := l.hist.RecordValues(p[0], p[1]); err != nil {
			return fmt.Errorf("latency histogram: %d µs: %w", p[0], err)
		}
	}
	return nil
}

// Point says that a share of all durations is no longer than Value.
type Point struct {
	Share float64       `json:"share"` // 0 to 1
	Value time.Duration `json:"value_ns"`
}

// pointsPerHalf is how many points a curve has for each halving of the distance to 1: twice as many between 0.5 and 0.75 and so on.
const pointsPerHalf = 4

// Points draws the distribution, denser where fewer durations are left: as a curve over −log(1 − share) it is even.
func (l *Latency) Points() []Point {
	var points []Point
	for _, b := range l.hist.CumulativeDistributionWithTicks(pointsPerHalf) {
		points = append(points, Point{Share: b.Quantile / 100, Value: time.Duration(b.ValueAt) * time.Microsecond})
	}
	return points
}
