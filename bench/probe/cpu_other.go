//go:build !linux

package probe

import "time"

// CPU is the CPU time, user and system, that the process has used so far.
func (p Process) CPU() (time.Duration, error) { return p.statCPU() }
