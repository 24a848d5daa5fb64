package cluster

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// echoesKept is how many announcements are remembered, to be known again when they come back: those of some 50 s.
const echoesKept = 16

// link is what is known of the bus: whether it takes announcements, and whether they come back.
type link struct {
	mu     sync.Mutex
	fault  error // of the last announcement
	echoed time.Time

	seed maphash.Seed
	sums [echoesKept]uint64 // of the announcements
	next int
}

// start begins to count the silence.
func (l *link) start(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.echoed = now
	if l.seed == (maphash.Seed{}) {
		l.seed = maphash.MakeSeed()
	}
}

// sending notes an announcement before the bus has it.
func (l *link) sending(message []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sums[l.next%echoesKept] = maphash.Bytes(l.seed, message)
	l.next++
}

// announced notes what became of it, and tells whether it is the first to fail, or to succeed again.
func (l *link) announced(err error) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = (err == nil) != (l.fault == nil)
	l.fault = err
	return changed
}

// echo notes an announcement that came back. It reports false if it is not one that this node has sent lately.
func (l *link) echo(message []byte, now time.Time) (own bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.sums[:], maphash.Bytes(l.seed, message)) {
		return false
	}
	l.echoed = now
	return true
}

// check reports why other nodes cannot be reached.
func (l *link) check(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return l.fault
	}
	if now.Sub(l.echoed) > ForgetAfter {
		return errDeaf
	}
	return nil
}
