package pipetest

import (
	"fmt"
	"runtime"
)

// Footprint is what this process takes.
type Footprint struct{ heap, stack, goroutines int }

// Measure measures it.
func Measure() Footprint {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Footprint{int(m.HeapAlloc), int(m.StackInuse), runtime.NumGoroutine()}
}

// Each says what each of n takes that came after before was measured.
func (f Footprint) Each(n int, before Footprint) string {
	return fmt.Sprintf("%d bytes of heap, %d of stack, %.1f goroutines",
		(f.heap-before.heap)/n, (f.stack-before.stack)/n, float64(f.goroutines-before.goroutines)/float64(n))
}
