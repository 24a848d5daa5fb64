package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The collector runs when the heap has grown by reactor.gogc percent; after a burst that may be never again. So what a crowd has left
// behind that came an hour ago stays in memory, up to a third of what a million quiet clients need. In quiet times it is given back.
const (
	trimEvery = 15 * time.Second
	// trimGainMin is how much of the live heap there must be to gain, 1/trimGainMin.
	trimGainMin = 8
	// trimQuietMax is how much of the live heap may be allocated between two looks in a quiet time, 1/trimQuietMax: otherwise what was
	// given back would soon be wanted again, and the collector has reason to run by itself.
	trimQuietMax = 8
)

// heapState is what a look at the heap shows, in bytes.
type heapState struct {
	live      uint64 // at the end of the last collection
	occupied  uint64 // by objects, dead ones included
	free      uint64 // kept from the system, but in no use
	allocated uint64 // since the start
}

// heapSamples are its fields, as the runtime names them.
var heapSamples = [...]string{
	"/gc/heap/live:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes", "/gc/heap/allocs:bytes",
}

func readHeap() heapState {
	var s [len(heapSamples)]metrics.Sample
	for i := range s {
		s[i].Name = heapSamples[i]
	}
	metrics.Read(s[:])
	return heapState{live: s[0].Value.Uint64(), occupied: s[1].Value.Uint64(), free: s[2].Value.Uint64(), allocated: s[3].Value.Uint64()}
}

// gain is what giving memory back would bring; 0 if now is not the time.
func (h heapState) gain(before heapState) uint64 {
	if h.allocated-before.allocated > h.live/trimQuietMax || h.live == 0 {
		return 0
	}
	gain := h.free + h.occupied - min(h.occupied, h.live)
	if gain < h.live/trimGainMin {
		return 0
	}
	return gain
}

// trimMemory gives memory back in quiet times, until ctx ends.
func trimMemory(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	for before := readHeap(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := readHeap()
		if gain := now.gain(before); gain > 0 {
			debug.FreeOSMemory()
			log.Debug("memory was given back to the system", "bytes", gain, "live_bytes", now.live)
			now = readHeap()
		}
		before = now
	}
}
