package measure

import "time"

// Schedule is when things are due: the n-th (from 0) at Start + n·Period. A sender that is late sends at once and never moves
// the schedule; latency counted from Due keeps what the wait in front of the sender cost.
type Schedule struct {
	Start  int64 // nanoseconds on the caller's monotonic clock
	Period time.Duration
}

// Every makes the schedule of perSecond things a second.
func Every(start int64, perSecond float64) Schedule {
	return Schedule{Start: start, Period: time.Duration(float64(time.Second) / perSecond)}
}

// Due is the moment of the n-th.
func (s Schedule) Due(n int64) int64 { return s.Start + n*int64(s.Period) }

// Passed is how many are due at now: the n-th is due when Passed > n.
func (s Schedule) Passed(now int64) int64 {
	if now < s.Start {
		return 0
	}
	if s.Period <= 0 {
		return 1<<63 - 1
	}
	return (now-s.Start)/int64(s.Period) + 1
}
