package session

import "time"

// rate is a limit on the commands of each session: a token bucket. The zero value is no limit.
type rate struct {
	every time.Duration // one token more
	burst time.Duration // that many tokens, as the time in which they come
}

// newRate makes a limit of so many commands a second, with a burst; 0 a second is no limit, and the burst is at least a second's.
func newRate(perSecond, burst int) rate {
	if perSecond <= 0 {
		return rate{}
	}
	every := time.Second / time.Duration(perSecond)
	return rate{every, every * time.Duration(max(burst, perSecond))}
}

// allows takes a token and reports whether there was one. full is when the session's bucket is full again, the only thing that has
// to be kept of it.
func (r rate) allows(full *time.Time, now time.Time) bool {
	at := *full
	if at.Before(now) {
		at = now
	}
	if at = at.Add(r.every); at.Sub(now) > r.burst {
		return false
	}
	*full = at
	return true
}

// giveBack undoes what allows has done for a command that comes again.
func (r rate) giveBack(full *time.Time) { *full = full.Add(-r.every) }
