package loop

import "time"

// TickPeriod is the resolution of deadlines: a driver rings every loop once per period.
const TickPeriod = 100 * time.Millisecond

// Time counts tick periods since the node's start, on the monotonic clock: a jump of the wall clock moves no deadline. Zero
// means "no deadline". It wraps after 13 years of uptime.
type Time uint32

// Clock tells loops the time. Make it with NewClock.
type Clock struct {
	start time.Time
}

// NewClock starts a clock. It begins at tick 1, so that no moment is the zero Time.
func NewClock() Clock { return Clock{start: time.Now()} }

// Now is the current tick.
func (c Clock) Now() Time {
	now, _ := c.Read()
	return now
}

// Read is the current tick and the exact time since the clock's start, in one look at the system's clock.
func (c Clock) Read() (Time, time.Duration) {
	exact := time.Since(c.start)
	return Time(exact/TickPeriod) + 1, exact
}

// After is the moment d after t, rounded up to whole ticks and at least one tick away. As t itself is rounded down, a deadline
// comes at most one tick early, and never before the next tick.
func (t Time) After(d time.Duration) Time {
	n := (d + TickPeriod - 1) / TickPeriod
	return t + Time(max(n, 1))
}
