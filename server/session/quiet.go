package session

import (
	"time"

	"stentor/reactor/loop"
)

// quietPeriod is the shortest time between two log lines of one kind and loop that clients can cause.
const quietPeriod = time.Second

// quiet is one kind of them. A loop owns it.
type quiet struct {
	suppressed int       // since the last line
	until      loop.Time // there is no line before
}

// due reports that there may be a line, and how many there were not since the last one.
func (q *quiet) due(now loop.Time) (suppressed int, ok bool) {
	if now < q.until {
		q.suppressed++
		return 0, false
	}
	suppressed = q.suppressed
	q.suppressed, q.until = 0, now.After(quietPeriod)
	return suppressed, true
}
