package main

import (
	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of what the machine or the cgroup has the process aims to stay below. The rest is for what the
// collector does not count: the kernel's socket buffers above all.
const memoryShare = 0.9

// memoryFallback is assumed, in bytes, where neither is known.
const memoryFallback = 1 << 30

// availableMemory is the limit that holds for this process when none is configured, in bytes, and where it comes from.
func availableMemory() (limit int64, source string) {
	for _, p := range []struct {
		name string
		ask  memlimit.Provider
	}{
		{"cgroup", memlimit.FromCgroup},
		{"system memory", memlimit.FromSystem},
	} {
		if n, err := p.ask(); err == nil && n > 0 && n < 1<<62 {
			return int64(float64(n) * memoryShare), p.name
		}
	}
	return memoryFallback, "unknown"
}
