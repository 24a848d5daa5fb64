package hub

import "sync/atomic"

// Stats counts what one loop handed out and what it holds for that. The loop writes, anyone may read.
type Stats struct {
	deliveries  atomic.Uint64
	filtered    atomic.Uint64
	filterBytes atomic.Int64
}

// add counts publications that members wanted or filtered out.
func (s *Stats) add(wanted, dropped int) {
	s.deliveries.Add(uint64(wanted - dropped))
	if dropped > 0 {
		s.filtered.Add(uint64(dropped))
	}
}

// Deliveries is how many publications were handed to subscribers on all loops, counted per subscriber.
func (t *Table) Deliveries() (n uint64) {
	for i := range t.locals {
		n += t.locals[i].stats.deliveries.Load()
	}
	return n
}

// FilteredOut is how many publications were kept from subscribers by their tags filters, counted per subscriber.
func (t *Table) FilteredOut() (n uint64) {
	for i := range t.locals {
		n += t.locals[i].stats.filtered.Load()
	}
	return n
}

// FilterBytes is how much memory the tags filters of all subscriptions take, in bytes, what each loop keeps to apply them included.
func (t *Table) FilterBytes() (n int64) {
	for i := range t.locals {
		n += t.locals[i].stats.filterBytes.Load()
	}
	return n
}
