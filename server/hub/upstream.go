package hub

import (
	"context"
	"sync"
	"time"

	"stentor/engine"
	"stentor/reactor/loop"
)

// Upstream is a broker on other machines, which delivers the channels that it was asked for. Its methods return at once and do not
// call back.
type Upstream interface {
	Subscribe(channel string)
	Unsubscribe(channel string)
}

// upstream is what the table does for a remote broker. A channel that somebody listens to is none, subscribing or live there, as
// marks of its home tell; one that everybody has left stays for lingerMin, so that those who come back at once cost nothing.
type upstream struct {
	broker Upstream

	mu      sync.Mutex
	leaving []departure // by time, from the oldest on
}

// departure is a channel that everybody has left.
type departure struct {
	record *record
	at     time.Time
}

// Times of a channel without subscribers.
const (
	lingerMin  = time.Second            // before it is given up
	lingerStep = 250 * time.Millisecond // between two looks
)

// waiter is a resident that goes on when a channel is live.
type waiter struct {
	handle loop.Handle
	order  Outcome
}

// Outcome is what became of a channel that a resident waits for.
type Outcome struct {
	Subscription *Subscription
	Err          error // nil: the channel is live
}

// Connect makes the table ask b for the channels that are listened to. It comes before the first subscription; Tend has to run then.
func (t *Table) Connect(b Upstream) { t.up = &upstream{broker: b} }

// Await reports that the channel of s, a member, is delivered. If it is not yet, the resident h gets an Outcome when that is decided.
func (t *Table) Await(s *Subscription, h loop.Handle) (live bool) {
	if t.up == nil {
		return true
	}
	r := s.channel.record
	st := t.stripe(r.name)
	st.mu.Lock()
	defer st.mu.Unlock()
	if r.home.marks&upLive != 0 {
		return true
	}
	t.up.want(r) // it may have been refused since s came
	if st.waiting == nil {
		st.waiting = make(map[*record][]waiter)
	}
	st.waiting[r] = append(st.waiting[r], waiter{h, Outcome{Subscription: s}})
	return false
}

// want asks for the channel of r, unless that has been done. The stripe is locked.
func (u *upstream) want(r *record) {
	if r.home.marks&(upAsked|upLive) == 0 {
		r.home.marks |= upAsked
		u.broker.Subscribe(r.name)
	}
}

// left notes that everybody has left. The stripe is locked.
func (u *upstream) left(r *record) {
	if r.home.marks&upLeaving != 0 {
		r.home.marks |= upBack // it has been left before, and must be given all of its time now
		return
	}
	r.home.marks |= upLeaving
	u.mu.Lock()
	defer u.mu.Unlock()
	u.leaving = append(u.leaving, departure{r, time.Now()})
}

// Subscribed hears what came of Upstream.Subscribe (engine.Reporter).
func (t *Table) Subscribed(channel string, err error) {
	for _, w := range t.decided(channel, err) {
		w.order.Err = err
		t.loops[w.handle.Loop()].Order(w.handle, w.order)
	}
}

func (t *Table) decided(channel string, err error) []waiter {
	st := t.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.channels[channel]
	if r == nil {
		return nil
	}
	r.home.marks &^= upAsked
	if err == nil {
		r.home.marks |= upLive
	}
	waiters := st.waiting[r]
	delete(st.waiting, r)
	if len(st.waiting) == 0 {
		st.waiting = nil
	}
	return waiters
}

// Resumed hears which subscriptions were made anew (engine.Reporter). Whoever checks positions takes those that have some with Missed.
func (t *Table) Resumed(channels []string) {
	for _, name := range channels {
		t.miss(name)
	}
}

func (t *Table) miss(channel string) {
	st := t.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.channels[channel]
	if r == nil || r.home.marks&upMissed != 0 || !r.positioned() {
		return
	}
	r.home.marks |= upMissed
	t.missed.mu.Lock()
	defer t.missed.mu.Unlock()
	t.missed.records = append(t.missed.records, r)
}

// missed are channels that may have missed something, each of them once.
type missed struct {
	mu      sync.Mutex
	records []*record
}

// Missed takes the channels with positions of which publications may have been lost.
func (t *Table) Missed() (names []string) {
	t.missed.mu.Lock()
	list := t.missed.records
	t.missed.records = nil
	t.missed.mu.Unlock()
	for _, r := range list {
		if t.unmark(r) {
			names = append(names, r.name)
		}
	}
	return names
}

// unmark reports that r, which has missed something, is still in use.
func (t *Table) unmark(r *record) bool {
	st := t.stripe(r.name)
	st.mu.Lock()
	defer st.mu.Unlock()
	r.home.marks &^= upMissed
	return r.subscribers > 0
}

// Tend gives up the channels that everybody has left, until ctx ends.
func (t *Table) Tend(ctx context.Context) error {
	if t.up == nil {
		return nil
	}
	ticker := time.NewTicker(lingerStep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			t.giveUp(time.Now().Add(-lingerMin))
		}
	}
}

// giveUp ends the subscriptions to channels that were left before a moment.
func (t *Table) giveUp(before time.Time) {
	for _, d := range t.up.departed(before) {
		t.giveUpOne(d.record)
	}
}

func (u *upstream) departed(before time.Time) []departure {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for n < len(u.leaving) && u.leaving[n].at.Before(before) {
		n++
	}
	list := u.leaving[:n:n]
	u.leaving = u.leaving[n:]
	if len(u.leaving) == 0 {
		u.leaving = nil
	}
	return list
}

func (t *Table) giveUpOne(r *record) {
	st := t.stripe(r.name)
	st.mu.Lock()
	defer st.mu.Unlock()
	marks := r.home.marks
	r.home.marks &^= upLeaving | upBack
	switch {
	case r.subscribers > 0:
		return
	case marks&(upBack|upAsked) != 0: // somebody was there in between, or the answer is not here yet
		t.up.left(r)
		return
	case marks&upLive != 0:
		t.up.broker.Unsubscribe(r.name)
	}
	st.forget(r)
}

var _ engine.Node = (*Table)(nil)
