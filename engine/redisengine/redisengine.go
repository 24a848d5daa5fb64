// Package redisengine is the engine of nodes that share channels over Redis: its streams or lists keep history, its scripts give offsets,
// its pub/sub carries publications, joins, leaves and the messages of the bus.
//
//	Publish ──► one script: version, offset, XADD, PUBLISH ──► pub/sub ──► line of every node ──► Receiver.Publication
//	PublishJoin, PublishLeave, Publish without history ──► PUBLISH ──► the same way
//	History ──► one script: position and XRANGE
//	Subscribe ──► interest (what is wanted) ──► line ──► SUBSCRIBE of up to 512 channels ──► Reporter.Subscribed
//	a connection is lost ──► line dials ──► SUBSCRIBE of all that was confirmed ──► Reporter.Resumed
//	Broadcast, Send ──► PUBLISH ──► line of the bus ──► handle
//
// Keys, topics and frames are those of Centrifugo, so that nodes of both kinds can share one Redis; names.go and frame.go have them.
// From there come two corners: among others than clusters, the channels "x" and "meta.x" cannot both have history, and an idempotency
// key "b.c" of the channel "a" is the key "c" of the channel "a.b".
//
// Commands go through package redislink. Several shards share the channels by a hash of the name. Nothing that writes is sent twice: when no
// answer comes, which is engine.ErrUnreachable, the publication may have happened, and the caller may repeat it under the same
// idempotency key. What the server says of itself, as that its memory is full, is an error of its own.
//
// A line is one connection for subscriptions. In a cluster any node will do, since PUBLISH reaches all of them; with
// ShardedPubSubPartitions there is one to each node and SPUBLISH stays on the node that keeps the channel. The channels are then put into
// so many partitions, whose number is the hash tag of all names: P.stream.{12}.news. Other names mean other history, so all nodes have
// to agree on the number. It should be well above the number of nodes, as whole partitions are spread among them.
//
// The first channel that is subscribed to goes at once; in a storm, they gather. While there is no connection, who subscribes is told so within
// the I/O time limit. A server that answers nothing is noticed by pings, one that answers but gets no publications any more, by
// a message to ourselves (probe.go). A receiver that has no room makes the reading goroutine wait, for half of the time at most;
// then publications are dropped, and positions show it.
package redisengine

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stentor/engine"
	"stentor/engine/redisengine/redislink"
)

// PrefixDefault begins all names in Redis.
const PrefixDefault = "centrifugo"

// PartitionsMax bounds Config.ShardedPubSubPartitions: a cluster has no more slots than that to spread them on.
const PartitionsMax = slots

// Config of a broker. All nodes that share a Redis need the same.
type Config struct {
	Prefix          string // empty: PrefixDefault
	HistoryUseLists bool   // lists instead of streams: no versions
	// ShardedPubSubPartitions makes a cluster carry publications by sharded pub/sub, in so many partitions. It needs Redis 7, and does
	// nothing without a cluster. 0: PUBLISH, which every node of the cluster passes on to all others.
	ShardedPubSubPartitions int

	probeInterval time.Duration // 0: ProbeInterval
}

// withDefaults is the configuration with nothing left open.
func (c Config) withDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, PrefixDefault)
	c.probeInterval = cmp.Or(c.probeInterval, ProbeInterval)
	return c
}

func (c Config) check() error {
	if c.ShardedPubSubPartitions < 0 || c.ShardedPubSubPartitions > PartitionsMax {
		return fmt.Errorf("the number of partitions for sharded pub/sub is %d: it must be between 0 and %d", c.ShardedPubSubPartitions, PartitionsMax)
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		return fmt.Errorf("the prefix %q of keys in Redis must contain neither { nor }: clusters place keys by what is between them", c.Prefix)
	}
	return nil
}

// historyParts are the parts of names of history and of its position.
func (c Config) historyParts() (history, meta string) {
	if c.HistoryUseLists {
		return listPart, listMetaPart
	}
	return streamPart, streamMetaPart
}

// Broker implements engine.Broker and engine.Bus.
type Broker struct {
	cfg    Config
	link   *redislink.Link
	node   engine.Node
	log    *slog.Logger
	shards []*shard
	byLink map[*redislink.Shard]*shard

	usual, sharded scripts

	counters                             counters
	droppedLog, malformedLog, refusedLog seldom

	listener atomic.Pointer[listener] // nil until Listen
	handling sync.Mutex               // one message of the bus at a time

	working sync.WaitGroup // goroutines that do not belong to one line
}

var _ engine.Broker = (*Broker)(nil)

// New makes a broker that delivers to node. An error means that the configuration is wrong; whether there is a Redis is found out by Run.
func New(cfg Config, link *redislink.Link, node engine.Node, log *slog.Logger) (*Broker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	b := &Broker{
		cfg: cfg, link: link, node: node, log: log,
		byLink: make(map[*redislink.Shard]*shard),
		usual:  newScripts(cfg.HistoryUseLists, false), sharded: newScripts(cfg.HistoryUseLists, true),
	}
	for _, l := range link.Shards() {
		s := newShard(b, l)
		b.shards = append(b.shards, s)
		b.byLink[l] = s
	}
	return b, nil
}

// Run implements engine.Broker. It runs the link, too.
func (b *Broker) Run(ctx context.Context) error {
	linkCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	linkDone := make(chan error, 1)
	go func() { linkDone <- b.link.Run(linkCtx) }()
	for _, s := range b.shards {
		b.working.Go(func() { s.run(ctx) })
	}
	b.working.Wait()
	stop() // after the lines, which have connections from it
	return <-linkDone
}

// Local implements engine.Broker.
func (b *Broker) Local() bool { return false }

// Abilities implements engine.Broker. Lists do not compare versions, as those of other nodes on the same Redis do not.
func (b *Broker) Abilities() engine.Ability {
	can := engine.History | engine.Reverse | engine.Idempotency | engine.Delta | engine.Joins
	if !b.cfg.HistoryUseLists {
		can |= engine.Versions
	}
	return can
}

// scripts are those for a shard whose names are n.
func (b *Broker) scripts(n names) *scripts {
	if n.form == partitionedNames {
		return &b.sharded
	}
	return &b.usual
}

// shard is the one that keeps a channel.
func (b *Broker) shard(channel string) *shard {
	if len(b.shards) == 1 {
		return b.shards[0]
	}
	return b.byLink[b.link.Shard(channel)]
}

// Subscribe implements engine.Broker.
func (b *Broker) Subscribe(channel string) {
	b.shard(channel).interest(channel).subscribe(channel)
}

// Unsubscribe implements engine.Broker.
func (b *Broker) Unsubscribe(channel string) {
	b.shard(channel).interest(channel).unsubscribe(channel)
}
