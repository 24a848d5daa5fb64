package session

import (
	"context"
	"maps"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
)

// farStore is what all nodes share: engines in memory, of which a channel uses one until its epoch is lost. Presence has its time here.
type farStore struct {
	crowd   *farCrowd
	engines []*memengine.Engine
	of      map[string]int // 0 if a channel is not here
	present map[string]map[[16]byte]loop.Time
}

func newFarStore(c *farCrowd) *farStore {
	s := &farStore{crowd: c, of: map[string]int{}, present: map[string]map[[16]byte]loop.Time{}}
	s.add()
	return s
}

func (s *farStore) add() {
	clock := func() time.Duration { return time.Duration(s.crowd.now) * loop.TickPeriod }
	s.engines = append(s.engines, memengine.New(memengine.Config{Stripes: 1, Clock: clock}, farWire{s.crowd}))
}

// engine is the one that keeps a channel.
func (s *farStore) engine(channel string) *memengine.Engine { return s.engines[s.of[channel]] }

// flush makes a channel begin anew, as if somebody had emptied the server.
func (s *farStore) flush(x *farStream) {
	if s.of[x.name]++; s.of[x.name] == len(s.engines) {
		s.add()
	}
	x.changed = s.crowd.now
	s.crowd.trace.Flushed++
}

// enter is a client that is present until its time is over.
func (s *farStore) enter(ctx context.Context, channel string, client [16]byte, info engine.PresenceInfo, ttl time.Duration) error {
	if s.present[channel] == nil {
		s.present[channel] = map[[16]byte]loop.Time{}
	}
	if s.crowd.near == nearPresence {
		ttl = 1000 * time.Hour // it means nothing then
	}
	s.present[channel][client] = s.crowd.now.After(ttl)
	return s.engines[0].AddPresence(ctx, channel, client, info, ttl)
}

func (s *farStore) leave(ctx context.Context, channel string, client [16]byte, user string) error {
	delete(s.present[channel], client)
	return s.engines[0].RemovePresence(ctx, channel, client, user)
}

// who is present in a channel.
func (s *farStore) who(ctx context.Context, channel string) (map[string]*codec.ClientInfo, error) {
	maps.DeleteFunc(s.present[channel], func(client [16]byte, until loop.Time) bool {
		over := until <= s.crowd.now
		if over {
			_ = s.engines[0].RemovePresence(ctx, channel, client, "") // fails never
			s.crowd.trace.Forgotten++
		}
		return over
	})
	return s.engines[0].Presence(ctx, channel)
}

// farWire is the way from the store to the nodes (engine.Receiver).
type farWire struct{ crowd *farCrowd }

func (farWire) Admit(string) bool { return true }
func (farWire) Wake(engine.Wake)  {}

func (w farWire) Publication(channel string, p, prev *codec.Publication, at codec.StreamPosition) engine.Wake {
	post := w.crowd.happened(channel, p, at)
	w.send(farMessage{channel: channel, post: post, pub: p, prev: prev, at: at})
	return 0
}

func (w farWire) Join(channel string, info *codec.ClientInfo) engine.Wake {
	w.send(farMessage{channel: channel, info: info})
	return 0
}

func (w farWire) Leave(channel string, info *codec.ClientInfo) engine.Wake {
	w.send(farMessage{channel: channel, info: info, leaves: true})
	return 0
}

func (w farWire) send(m farMessage) {
	m.sent = w.crowd.now
	for _, h := range w.crowd.houses {
		h.link.send(m)
	}
}

// farCalls are a node's calls to the store (engine.Broker). They take time, and fail now and then: before they have done anything, or
// after.
type farCalls struct {
	*farLink
	house       *farHouse
	unreachable bool
}

func (f *farCalls) Local() bool { return f.house.crowd.near == nearBroker }

func (f *farCalls) Abilities() engine.Ability { return engine.History | engine.Delta | engine.Joins }

func (f *farCalls) Run(context.Context) error { return nil }

// call has effect done to a channel, perhaps.
func (f *farCalls) call(ctx context.Context, local bool, channel string, effect func() error) error {
	c := f.house.crowd
	switch {
	case local:
		return effect()
	case c.onLoop:
		c.fault("a loop waits for the engine")
	case f.unreachable || c.mishap(40):
		f.house.work.blame()
		return engine.ErrUnreachable
	case c.mishap(200):
		f.panic()
	}
	f.house.meanwhile(channel)
	if err := effect(); err != nil {
		return err
	}
	f.house.meanwhile(channel)
	switch {
	case c.mishap(60):
		f.house.work.blame()
		return engine.ErrUnreachable
	case c.mishap(200):
		f.panic()
	case ctx.Err() != nil:
		f.house.work.blame()
	}
	return ctx.Err()
}

func (f *farCalls) panic() {
	f.house.work.blame()
	f.house.crowd.trace.Panics++
	panic(errSim)
}

func (f *farCalls) Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (got engine.PublishResult, err error) {
	err = f.call(ctx, f.Local(), channel, func() (err error) {
		got, err = f.house.crowd.store.engine(channel).Publish(ctx, channel, p, o)
		return err
	})
	return got, err
}

func (f *farCalls) History(
	ctx context.Context, channel string, filter engine.HistoryFilter,
) (pubs []*codec.Publication, top codec.StreamPosition, err error) {
	read := func() (err error) {
		pubs, top, err = f.house.crowd.store.engine(channel).History(ctx, channel, filter)
		f.house.crowd.read(channel, top)
		return err
	}
	if ctx.Value(farCheck{}) != nil {
		return pubs, top, f.checks(channel, read)
	}
	err = f.call(ctx, f.Local(), channel, read)
	return pubs, top, err
}

// checks is call for the periodic check, by many at once: whether it fails must not depend on their order.
func (f *farCalls) checks(channel string, read func() error) error {
	c := f.house.crowd
	if !c.calm && (f.unreachable || (int(c.now)+len(channel)+int(channel[0]))%7 == 0) {
		return engine.ErrUnreachable
	}
	return read()
}

func (f *farCalls) RemoveHistory(context.Context, string) error { return engine.ErrNotAvailable }

func (f *farCalls) PublishJoin(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return f.call(ctx, f.Local(), channel, func() error { return f.house.crowd.store.engine(channel).PublishJoin(ctx, channel, info) })
}

func (f *farCalls) PublishLeave(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return f.call(ctx, f.Local(), channel, func() error { return f.house.crowd.store.engine(channel).PublishLeave(ctx, channel, info) })
}

// farPresent are a node's calls to the store about presence (engine.Presence).
type farPresent struct{ calls *farCalls }

func (f farPresent) Local() bool { return f.calls.house.crowd.near == nearPresence }

func (f farPresent) store() *farStore { return f.calls.house.crowd.store }

func (f farPresent) AddPresence(ctx context.Context, channel string, client [16]byte, info engine.PresenceInfo, ttl time.Duration) error {
	return f.calls.call(ctx, f.Local(), channel, func() error { return f.store().enter(ctx, channel, client, info, ttl) })
}

func (f farPresent) RemovePresence(ctx context.Context, channel string, client [16]byte, user string) error {
	return f.calls.call(ctx, f.Local(), channel, func() error { return f.store().leave(ctx, channel, client, user) })
}

func (f farPresent) Presence(ctx context.Context, channel string) (all map[string]*codec.ClientInfo, err error) {
	err = f.calls.call(ctx, f.Local(), channel, func() (err error) {
		all, err = f.store().who(ctx, channel)
		return err
	})
	return all, err
}

func (f farPresent) PresenceStats(ctx context.Context, channel string) (stats engine.PresenceStats, err error) {
	err = f.calls.call(ctx, f.Local(), channel, func() (err error) {
		if _, err = f.store().who(ctx, channel); err == nil {
			stats, err = f.store().engines[0].PresenceStats(ctx, channel)
		}
		return err
	})
	return stats, err
}
