package main

import (
	"log/slog"
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"stentor/server/config"
)

// memoryShare is how much of what the machine or the cgroup has the process aims to stay below. The rest is for what the
// collector does not count: the kernel's socket buffers above all.
const memoryShare = 0.9

// memoryFallback is assumed, in bytes, where neither is known.
const memoryFallback = 1 << 30

// limitMemory sets the collector's target and limit, and returns the limit in bytes.
func limitMemory(c *config.Reactor, log *slog.Logger) int64 {
	limit, from := c.MemoryLimit, "reactor.memory_limit"
	if limit == 0 {
		limit, from = availableMemory()
	}
	debug.SetGCPercent(c.GOGC)
	debug.SetMemoryLimit(limit)
	log.Info("memory", "gogc", c.GOGC, "limit_bytes", limit, "from", from)
	return limit
}

// availableMemory is the limit that holds for this process when none is configured, in bytes, and where it comes from: the
// variable GOMEMLIMIT, or else a share of the least of what there is.
func availableMemory() (limit int64, from string) {
	if limit = debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit, "GOMEMLIMIT"
	}
	least := uint64(math.MaxInt64)
	for _, p := range []struct {
		name string
		ask  memlimit.Provider
	}{
		{"cgroup", memlimit.FromCgroup},
		{"system memory", memlimit.FromSystem},
	} {
		if n, err := p.ask(); err == nil && n > 0 && n < least {
			least, from = n, p.name
		}
	}
	if from == "" {
		return memoryFallback, "unknown"
	}
	return int64(float64(least) * memoryShare), from
}

// connectionsFew is the number of connections below which the descriptor limit is probably one that nobody chose.
const connectionsFew = 10_000

// warnFewConnections tells how to serve more when the limit of open files admits few.
func warnFewConnections(most int, log *slog.Logger) {
	if most < connectionsFew {
		log.Warn("the limit of open files admits few connections; raise it, or set reactor.max_connections if this is enough",
			"max_connections", most,
			"remedy", "`ulimit -n 1048576` before the start, LimitNOFILE=1048576 in a systemd unit, "+
				"--ulimit nofile=1048576:1048576 for docker run")
	}
}
