//go:build !linux

package swarm

import "time"

var started = time.Now()

// Monotonic counts nanoseconds on a clock of this process only: workers run on Linux alone.
func Monotonic() int64 { return int64(time.Since(started)) }
