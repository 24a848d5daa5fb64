package swarm

import (
	"time"

	"stentor/bench/measure"
)

// Load is how hard a swarm worked since it was last asked: what it measures is its own doing once it is busy all the time.
type Load struct {
	Span   time.Duration    `json:"span"`
	Busy   time.Duration    `json:"busy"`   // not waiting for events
	Ran    time.Duration    `json:"ran"`    // CPU time of its thread
	Waited time.Duration    `json:"waited"` // its thread could have run, but had no core
	Turns  *measure.Latency `json:"turns"`  // how long an event may wait for those before it
}

// Busyness is the share of the time that the swarm was at work, 0 to 1.
func (l Load) Busyness() float64 { return share(l.Busy, l.Span) }

// Starved is the share of the time that the swarm waited for a core, 0 to 1.
func (l Load) Starved() float64 { return share(l.Waited, l.Span) }

func share(part, of time.Duration) float64 {
	if of <= 0 {
		return 0
	}
	return float64(part) / float64(of)
}

// Worse keeps the harder worked of two.
func (l *Load) Worse(other Load) {
	turns := mergeLatency(l.Turns, other.Turns)
	if max(other.Busyness(), other.Starved()) > max(l.Busyness(), l.Starved()) || l.Span == 0 {
		*l = other
	}
	l.Turns = turns
}
