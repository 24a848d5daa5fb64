package enginetest

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
)

// Delivery is one call of Receiver.Publication, Join or Leave; the other two are nil then.
type Delivery struct {
	Publication, Prev *codec.Publication
	Position          codec.StreamPosition

	Join, Leave *codec.ClientInfo
}

// Recorder is a node that notes what it is told. Any goroutine may use it.
type Recorder struct {
	mu         sync.Mutex
	deliveries map[string][]Delivery // by channel
	count      int
	refusing   bool
	asleep     engine.Wake        // loops with mail that were not woken
	outcomes   map[string][]error // of subscribing, by channel
	resumed    map[string]int     // by channel
	changed    chan struct{}      // closed at the next change
}

// NewRecorder makes a node that admits everything.
func NewRecorder() *Recorder {
	return &Recorder{
		deliveries: make(map[string][]Delivery),
		outcomes:   make(map[string][]error),
		resumed:    make(map[string]int),
		changed:    make(chan struct{}),
	}
}

// Refuse makes Admit say no, until it is called with false.
func (r *Recorder) Refuse(refuse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing = refuse
}

// Admit implements engine.Receiver.
func (r *Recorder) Admit(string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.refusing
}

// Publication implements engine.Receiver.
func (r *Recorder) Publication(channel string, p, prev *codec.Publication, at codec.StreamPosition) engine.Wake {
	return r.note(channel, Delivery{Publication: p, Prev: prev, Position: at})
}

// Join implements engine.Receiver.
func (r *Recorder) Join(channel string, info *codec.ClientInfo) engine.Wake {
	return r.note(channel, Delivery{Join: info})
}

// Leave implements engine.Receiver.
func (r *Recorder) Leave(channel string, info *codec.ClientInfo) engine.Wake {
	return r.note(channel, Delivery{Leave: info})
}

// note lets others run first: they come in between if the engine's lock does not hold them.
func (r *Recorder) note(channel string, d Delivery) engine.Wake {
	runtime.Gosched()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deliveries[channel] = append(r.deliveries[channel], d)
	wake := engine.Wake(1) << (r.count % 64)
	r.count++
	r.asleep |= wake
	r.notify()
	return wake
}

// Wake implements engine.Receiver.
func (r *Recorder) Wake(w engine.Wake) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asleep &^= w
	r.notify()
}

// Subscribed implements engine.Reporter.
func (r *Recorder) Subscribed(channel string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[channel] = append(r.outcomes[channel], err)
	r.notify()
}

// Resumed implements engine.Reporter.
func (r *Recorder) Resumed(channels []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range channels {
		r.resumed[name]++
	}
	r.notify()
}

// locked does something while nothing can be delivered.
func (r *Recorder) locked(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

// WaitSubscribed waits for the outcome of a Subscribe and takes it: each call has one of its own.
func (r *Recorder) WaitSubscribed(t testing.TB, channel string) (err error) {
	t.Helper()
	if !r.wait(Patience, func() bool {
		told := r.outcomes[channel]
		if len(told) == 0 {
			return false
		}
		err, r.outcomes[channel] = told[0], told[1:]
		return true
	}) {
		t.Fatalf("nothing is said of the subscription to %s", channel)
	}
	return err
}

// WaitResumed waits until a subscription has been made anew n times.
func (r *Recorder) WaitResumed(t *testing.T, channel string, n int) {
	t.Helper()
	if !r.wait(Patience, func() bool { return r.resumed[channel] >= n }) {
		t.Fatalf("the subscription to %s was not made anew", channel)
	}
}

// notify wakes whoever waits. r.mu is held.
func (r *Recorder) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Of is what was delivered on channel so far.
func (r *Recorder) Of(channel string) []Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.deliveries[channel])
}

// Wait waits until n deliveries were made on channel and returns all there are.
func (r *Recorder) Wait(t *testing.T, channel string, n int) []Delivery {
	t.Helper()
	if !r.wait(Patience, func() bool { return len(r.deliveries[channel]) >= n }) {
		t.Fatalf("%d deliveries on %s, want %d", len(r.Of(channel)), channel, n)
	}
	return r.Of(channel)
}

// WaitWoken waits until every loop with mail was woken, for at most patience.
func (r *Recorder) WaitWoken(t *testing.T, patience time.Duration) {
	t.Helper()
	if !r.wait(patience, func() bool { return r.asleep == 0 }) {
		t.Errorf("publications were delivered without Wake")
	}
}

// wait waits until holds, which is called with r.mu held; it gives up after patience.
func (r *Recorder) wait(patience time.Duration, holds func() bool) bool {
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		ok, changed := holds(), r.changed
		r.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}

// publications are those among deliveries.
func publications(ds []Delivery) []*codec.Publication {
	list := make([]*codec.Publication, 0, len(ds))
	for _, d := range ds {
		if d.Publication != nil {
			list = append(list, d.Publication)
		}
	}
	return list
}
