package hub

import "sync/atomic"

// Stats counts what one loop handed out. The loop writes, anyone may read.
type Stats struct {
	deliveries atomic.Uint64
}

// Deliveries is how many publications were handed to subscribers on all loops, counted per subscriber.
func (t *Table) Deliveries() (n uint64) {
	for i := range t.locals {
		n += t.locals[i].stats.deliveries.Load()
	}
	return n
}
