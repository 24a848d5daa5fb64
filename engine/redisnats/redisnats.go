// Package redisnats is a broker made of two: one keeps history and gives offsets, the other carries what was published to all nodes.
//
//	Publish ──► a lock of the channel ──► store.Publish (offset, epoch) ──► carrier.Hand ──► unlock ──► wait for the carrier
//	carrier ──► Sorter: by offset ──► Receiver.Publication
//	History, RemoveHistory ──► store        PublishJoin, PublishLeave, Subscribe, the bus ──► carrier
//
// It is meant for history in Redis and the publish/subscribe of NATS: publications then cost Redis nothing but their keeping.
//
// Between the two steps of a publish another node can be quicker, so what two nodes publish to one channel may arrive in the wrong order.
// The Sorter keeps what came too early, for HoldTime at most, and also what comes first until somebody has read where the stream
// stands. If the first step succeeds and the second does not, the publication is in
// history and the publisher gets an error; subscribers find the gap with the next publication, or when their positions are
// compared. A repeat under the same idempotency key then succeeds, and delivers nothing more.
package redisnats

import (
	"context"
	"hash/maphash"
	"sync"

	"stentor/codec"
	"stentor/engine"
)

// Carrier is a broker without history that carries positions which others have given.
type Carrier interface {
	engine.Broker
	// Hand puts p, which has the position at, behind everything that was handed before. When wait returns nil, it has gone to all nodes.
	Hand(ctx context.Context, channel string, p *codec.Publication, at codec.StreamPosition) (wait func(context.Context) error, err error)
}

// locksCount is how many locks share the channels. One is held while the store is asked.
const locksCount = 1024

// Broker implements engine.Broker.
type Broker struct {
	store   engine.Broker
	carrier Carrier
	sorter  *Sorter

	seed  maphash.Seed
	locks [locksCount]sync.Mutex
}

var _ engine.Broker = (*Broker)(nil)

// New makes a broker of the two. The carrier delivers to sorter; what the store delivers goes nowhere.
func New(store engine.Broker, carrier Carrier, sorter *Sorter) *Broker {
	return &Broker{store: store, carrier: carrier, sorter: sorter, seed: maphash.MakeSeed()}
}

// Abilities implements engine.Broker: what the store keeps, and the joins of the carrier. The publication before is not carried along.
func (b *Broker) Abilities() engine.Ability {
	const ofStore = engine.History | engine.Reverse | engine.Idempotency | engine.Versions
	return b.store.Abilities()&ofStore | b.carrier.Abilities()&engine.Joins
}

// Local implements engine.Broker.
func (b *Broker) Local() bool { return false }

// Publish implements engine.Broker.
func (b *Broker) Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	if !o.HasHistory() && o.IdempotencyKey == "" {
		return b.carrier.Publish(ctx, channel, p, o)
	}
	p.Version, o.Delta = o.Version, false
	result, wait, err := b.keep(ctx, channel, p, o)
	if err != nil || wait == nil {
		return result, err
	}
	if err := wait(ctx); err != nil {
		return engine.PublishResult{}, err
	}
	return result, nil
}

// keep stores p and hands it on, in one order for all of this node. wait is nil if there is nothing to be handed on.
func (b *Broker) keep(
	ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions,
) (result engine.PublishResult, wait func(context.Context) error, err error) {
	lock := &b.locks[maphash.String(b.seed, channel)%locksCount]
	lock.Lock()
	defer lock.Unlock()
	kept := *p // the store owns what it gets
	if result, err = b.store.Publish(ctx, channel, &kept, o); err != nil || result.Suppressed != "" {
		return result, nil, err
	}
	wait, err = b.carrier.Hand(ctx, channel, p, result.StreamPosition)
	if err != nil {
		return engine.PublishResult{}, nil, err
	}
	return result, wait, nil
}

// History implements engine.Broker.
func (b *Broker) History(ctx context.Context, channel string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	pubs, top, err := b.store.History(ctx, channel, f)
	if err == nil {
		b.sorter.learn(channel, top)
	}
	return pubs, top, err
}

// RemoveHistory implements engine.Broker.
func (b *Broker) RemoveHistory(ctx context.Context, channel string) error {
	return b.store.RemoveHistory(ctx, channel)
}

// PublishJoin implements engine.Broker.
func (b *Broker) PublishJoin(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return b.carrier.PublishJoin(ctx, channel, info)
}

// PublishLeave implements engine.Broker.
func (b *Broker) PublishLeave(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return b.carrier.PublishLeave(ctx, channel, info)
}

// Subscribe implements engine.Broker.
func (b *Broker) Subscribe(channel string) {
	b.sorter.begin(channel)
	b.carrier.Subscribe(channel)
}

// Unsubscribe implements engine.Broker.
func (b *Broker) Unsubscribe(channel string) {
	b.carrier.Unsubscribe(channel)
	b.sorter.end(channel)
}

// Run implements engine.Broker: it runs all three.
func (b *Broker) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 3)
	for _, run := range []func(context.Context) error{b.store.Run, b.carrier.Run, b.sorter.run} {
		go func() { ended <- run(ctx) }()
	}
	var first error
	for range cap(ended) {
		if err := <-ended; err != nil && first == nil {
			first = err
		}
		stop() // none of them ends before ctx, unless it has failed
	}
	return first
}
