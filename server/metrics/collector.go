package metrics

import (
	"io"
	"math"
	"runtime/metrics"
	"slices"
	"time"
)

// collector tells what the garbage collector has cost in the last 5 to 10 minutes. What the library exposes counts from the start of
// the process, and its quantiles are off until there were 256 collections.
type collector struct {
	window window[collected]
}

// collected is what it had cost at one moment.
type collected struct {
	gc, used float64  // CPU seconds, of the collector and of the process
	pauses   []uint64 // by bucket
}

// The runtime's own counts (package runtime/metrics), in the order in which they are read. CPU time is accounted for at the end
// of a collection.
var collectorSamples = []string{
	"/cpu/classes/gc/total:cpu-seconds",
	"/cpu/classes/idle:cpu-seconds",
	"/cpu/classes/total:cpu-seconds",
	"/sched/pauses/total/gc:seconds",
}

// readCollector also returns the bounds of the buckets, one more than there are buckets.
func readCollector() (c collected, bounds []float64) {
	samples := make([]metrics.Sample, len(collectorSamples))
	for i, name := range collectorSamples {
		samples[i].Name = name
	}
	metrics.Read(samples)
	gc, idle, total, pauses := samples[0].Value, samples[1].Value, samples[2].Value, samples[3].Value.Float64Histogram()
	return collected{gc: gc.Float64(), used: total.Float64() - idle.Float64(), pauses: slices.Clone(pauses.Counts)}, pauses.Buckets
}

// since is what came after old.
func (c *collected) since(old *collected) collected {
	d := collected{gc: c.gc - old.gc, used: c.used - old.used, pauses: slices.Clone(c.pauses)}
	for i, n := range old.pauses {
		d.pauses[i] -= n
	}
	return d
}

// writeCollector writes what it costs. It reads the runtime, as the metrics of the process do.
func (m *Metrics) writeCollector(w io.Writer) {
	m.scrape.Lock()
	defer m.scrape.Unlock()
	p := new(page)
	now, bounds := readCollector()
	m.collector.write(p, &now, bounds, m.now())
	w.Write(p.text)
}

func (k *collector) write(p *page, c *collected, bounds []float64, now time.Time) {
	recent := c.since(k.window.before(c, now))
	share := 0.0
	if recent.used > 0 {
		share = recent.gc / recent.used
	}
	p.family("gauge", "stentor_gc_cpu_share")
	p.line("stentor_gc_cpu_share", "", float(share))
	p.family("summary", "stentor_gc_pause_seconds")
	for _, q := range quantiles {
		p.line("stentor_gc_pause_seconds", `quantile="`+float(q)+`"`, float(quantile(recent.pauses, bounds, q)))
	}
}

// quantile is the upper bound of the bucket in which a share q of all counts is reached; NaN of nothing. Where that is infinite it
// is the lower one.
func quantile(counts []uint64, bounds []float64, q float64) float64 {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	below := uint64(0)
	for i, n := range counts {
		if below += n; n > 0 && float64(below) >= q*float64(total) {
			if upper := bounds[i+1]; !math.IsInf(upper, 1) {
				return upper
			}
			return bounds[i]
		}
	}
	return math.NaN()
}
