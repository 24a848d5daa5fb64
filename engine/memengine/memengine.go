// Package memengine is the engine of a single node: history and presence in memory, delivery by a function call.
//
//	Publish ──► stripe (a lock) ──► record of the channel ──► ring ──► Receiver.Publication ──► unlock ──► Receiver.Wake
//	PublishJoin, PublishLeave ──► stripe ──► Receiver.Join, Leave ──► unlock ──► Receiver.Wake
//	History ──► stripe ──► record ──► ring
//	Run ──► every second some stripes: what has expired goes
//	AddPresence, RemovePresence, Presence ──► hall (a lock) ──► crowd of the channel
//
// Channels are spread over stripes by a hash with a seed of this process, so that nobody can choose names that meet in one.
// The lock of a stripe is what puts the publications of a channel in order: the offset is given and the publication handed to
// the receiver under it, hence offsets arrive without gaps and in order.
//
// A channel without history has no record. One with history costs 80 bytes, its place in the table (8 to 16), and what is kept:
// for publications that are nothing but data, the data. Deadlines are seconds in the record: there is no heap and no timer.
// Reads look at them, so nothing expired is ever seen; the sweep only gives memory back.
//
// Presence costs 40 bytes for a member and 32 more if there is something to say of it, and for the channel 48 bytes and its place
// in a table. Up to 32 members are looked through; more have an index, of some 70 bytes each.
package memengine

import (
	"cmp"
	"context"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/ring"
)

// UnusedTTL is how long the position of a channel without any publication yet outlives the last read, if its MetaTTL is not shorter:
// clients can read channels of any name. Who comes back to such a channel later is told that it may have missed something.
const UnusedTTL = 10 * time.Minute

// Config of an engine. The zero value is a good one.
type Config struct {
	// Stripes is the number of locks, rounded up to a power of two; 0: StripesDefault.
	Stripes int
	// IdempotencyBytesMax bounds the memory for idempotency keys; 0: the constant of that name.
	IdempotencyBytesMax int64
	// Clock is the time since some moment in the past; it must never go back. nil: the monotonic clock since New.
	Clock func() time.Duration
}

// StripesDefault is the number of locks: enough that two of a hundred threads seldom meet.
const StripesDefault = 4096

// Engine implements engine.Broker and engine.Presence in memory.
type Engine struct {
	receiver engine.Receiver
	clock    func() time.Duration
	seed     maphash.Seed
	stripes  []stripe
	halls    []hall // as many
	mask     uint64

	// What all stripes remember of idempotency keys, against IdempotencyBytesMax.
	keyBytes    atomic.Int64
	keyBytesMax int64

	sweepNext int // the stripe that Run visits next; only Run touches it
}

var _ engine.Broker = (*Engine)(nil)

// New makes an engine that delivers to r. It works at once; Run gives back the memory of what expires.
func New(cfg Config, r engine.Receiver) *Engine {
	e := &Engine{
		receiver:    r,
		clock:       cfg.Clock,
		seed:        maphash.MakeSeed(),
		keyBytesMax: cmp.Or(cfg.IdempotencyBytesMax, IdempotencyBytesMax),
	}
	if e.clock == nil {
		start := time.Now()
		e.clock = func() time.Duration { return time.Since(start) }
	}
	n := max(cmp.Or(cfg.Stripes, StripesDefault), 1)
	e.stripes = make([]stripe, 1<<bits.Len(uint(n-1)))
	e.halls = make([]hall, len(e.stripes))
	e.mask = uint64(len(e.stripes) - 1)
	for i := range e.stripes {
		e.stripes[i].due = never
	}
	return e
}

// Abilities implements engine.Broker. Wildcards are the node's own.
func (e *Engine) Abilities() engine.Ability {
	return engine.History | engine.Reverse | engine.Idempotency | engine.Versions | engine.Delta | engine.Joins | engine.Admission
}

// Local implements engine.Broker and engine.Presence: a call holds one stripe for the time of its work and waits for nothing else.
func (e *Engine) Local() bool { return true }

// Subscribe implements engine.Broker: every publication is given to the receiver anyway.
func (e *Engine) Subscribe(string) {}

// Unsubscribe implements engine.Broker.
func (e *Engine) Unsubscribe(string) {}

// Publish implements engine.Broker. The engine keeps p.Data, or p itself if it carries more than data, and clones the channel's
// name if it has to keep it.
func (e *Engine) Publish(_ context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	result, wake, err := e.publish(channel, p, o)
	if err == nil && result.Suppressed == "" {
		e.receiver.Wake(wake)
	}
	return result, err
}

// publish is Publish up to the wake-up, which has to come after unlocking.
func (e *Engine) publish(channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, engine.Wake, error) {
	hash := e.hash(channel)
	st := e.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	var now time.Duration // plain delivery needs no clock
	if o.HasHistory() || o.IdempotencyKey != "" {
		now = e.clock()
	}
	if o.IdempotencyKey != "" {
		if at, ok := e.recall(st, now, channel, o.IdempotencyKey); ok {
			return engine.PublishResult{StreamPosition: at, Suppressed: engine.SuppressIdempotency}, 0, nil
		}
	}
	var result engine.PublishResult
	var wake engine.Wake
	var err error
	if o.HasHistory() {
		result, wake, err = e.publishKept(st, hash, now, channel, p, o)
	} else {
		wake, err = e.publishPlain(channel, p, o)
	}
	if err != nil || result.Suppressed != "" {
		return result, 0, err
	}
	if o.IdempotencyKey != "" {
		e.remember(st, now, channel, o.IdempotencyKey, result.StreamPosition)
	}
	return result, wake, nil
}

// publishPlain delivers p. The stripe is locked: that keeps the order among publishers of one channel.
func (e *Engine) publishPlain(channel string, p *codec.Publication, o engine.PublishOptions) (engine.Wake, error) {
	if !e.receiver.Admit(channel) {
		return 0, engine.ErrOverloaded
	}
	p.Offset, p.Epoch, p.Version = 0, "", o.Version
	return e.receiver.Publication(channel, p, nil, codec.StreamPosition{}), nil
}

// publishKept puts p into the channel's history and delivers it. The stripe is locked.
func (e *Engine) publishKept(
	st *stripe, hash uint64, now time.Duration, channel string, p *codec.Publication, o engine.PublishOptions,
) (engine.PublishResult, engine.Wake, error) {
	s := st.find(hash, channel, secondOf(now))
	if s != nil && s.supersedes(o) {
		return engine.PublishResult{StreamPosition: s.ring.Position(), Suppressed: engine.SuppressVersion}, 0, nil
	}
	if !e.receiver.Admit(channel) {
		return engine.PublishResult{}, 0, engine.ErrOverloaded
	}
	if s == nil {
		s = e.create(st, hash, strings.Clone(channel))
	}
	s.setVersion(o)
	p.Version = o.Version
	var prev *codec.Publication
	if o.Delta {
		prev = s.ring.Last()
	}
	s.ring.Append(p, o.HistorySize)
	s.clearAt = deadline(now, o.HistoryTTL)
	s.dropAt = never
	if o.HistoryMetaTTL > 0 {
		s.dropAt = deadline(now, o.HistoryMetaTTL)
	}
	st.due = min(st.due, s.due())
	at := s.ring.Position()
	return engine.PublishResult{StreamPosition: at}, e.receiver.Publication(channel, p, prev, at), nil
}

// PublishJoin implements engine.Broker.
func (e *Engine) PublishJoin(_ context.Context, channel string, info *codec.ClientInfo) error {
	return e.tell(channel, info, engine.Receiver.Join)
}

// PublishLeave implements engine.Broker.
func (e *Engine) PublishLeave(_ context.Context, channel string, info *codec.ClientInfo) error {
	return e.tell(channel, info, engine.Receiver.Leave)
}

// tell delivers a join or leave, in order with the publications of the channel.
func (e *Engine) tell(channel string, info *codec.ClientInfo, deliver func(engine.Receiver, string, *codec.ClientInfo) engine.Wake) error {
	wake, err := e.tellLocked(channel, info, deliver)
	if err == nil {
		e.receiver.Wake(wake)
	}
	return err
}

func (e *Engine) tellLocked(
	channel string, info *codec.ClientInfo, deliver func(engine.Receiver, string, *codec.ClientInfo) engine.Wake,
) (engine.Wake, error) {
	st := e.stripe(e.hash(channel))
	st.mu.Lock()
	defer st.mu.Unlock()
	if !e.receiver.Admit(channel) {
		return 0, engine.ErrOverloaded
	}
	return deliver(e.receiver, channel, info), nil
}

// History implements engine.Broker. A channel that this read creates keeps the string channel as its name: give it one that
// lives on anyway, never one that aliases a read buffer. Publications may be shared with everybody who reads them.
func (e *Engine) History(_ context.Context, channel string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	x, at, err := e.excerpt(channel, f)
	return x.Publications(), at, err
}

// excerpt is History up to the list, which is made after unlocking: others wait for a copy of what is kept, no longer.
func (e *Engine) excerpt(channel string, f engine.HistoryFilter) (ring.Excerpt, codec.StreamPosition, error) {
	hash := e.hash(channel)
	st := e.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	now := e.clock()
	s := st.find(hash, channel, secondOf(now))
	if s == nil {
		s = e.create(st, hash, channel)
	}
	at := s.ring.Position()
	if ttl := f.MetaTTL; ttl > 0 {
		if at.Offset == 0 {
			ttl = min(ttl, UnusedTTL)
		}
		s.dropAt = deadline(now, ttl)
		st.due = min(st.due, s.due())
	}
	if since := f.Since; since != nil && since.Epoch != "" && since.Epoch != at.Epoch {
		return ring.Excerpt{}, at, engine.ErrEpoch
	}
	return s.read(f), at, nil
}

// RemoveHistory implements engine.Broker. The position stays, as do the version and the deadline of both.
func (e *Engine) RemoveHistory(_ context.Context, channel string) error {
	hash := e.hash(channel)
	st := e.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if s := st.find(hash, channel, secondOf(e.clock())); s != nil {
		s.clear()
	}
	return nil
}

// Stats are sizes of the engine.
type Stats struct {
	Channels         int   // with a record, that is, with history
	IdempotencyBytes int64 // for keys that are remembered
}

// Stats counts. It takes every stripe's lock in turn, for a moment each.
func (e *Engine) Stats() Stats {
	s := Stats{IdempotencyBytes: e.keyBytes.Load()}
	for i := range e.stripes {
		st := &e.stripes[i]
		st.mu.Lock()
		s.Channels += st.table.count
		st.mu.Unlock()
	}
	return s
}

// create starts the stream of a channel that was not used yet. The stripe is locked.
func (e *Engine) create(st *stripe, hash uint64, name string) *stream {
	s := &st.table.add(e.seed, hash, name).of
	*s = stream{ring: ring.New(newEpoch()), clearAt: never, dropAt: never}
	return s
}
