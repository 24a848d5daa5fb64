package session

import (
	"log/slog"
	"sync"
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

// unheard is what goes wrong off the loops where nobody waits for it. Any goroutine may tell it.
type unheard struct {
	mu         sync.Mutex
	suppressed int
	until      time.Time
}

// tell logs an error, once in quietPeriod.
func (u *unheard) tell(log *slog.Logger, what, channel string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if now.Before(u.until) {
		u.suppressed++
		return
	}
	log.Error(what, "channel", channel, "error", err, "suppressed", u.suppressed)
	u.suppressed, u.until = 0, now.Add(quietPeriod)
}
