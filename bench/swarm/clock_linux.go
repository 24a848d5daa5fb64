package swarm

import "golang.org/x/sys/unix"

// Monotonic reads CLOCK_MONOTONIC, the clock that payloads are stamped with: it is one for all processes of a machine.
func Monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail for this clock
	return t.Nano()
}
