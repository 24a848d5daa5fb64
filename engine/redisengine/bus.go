package redisengine

import (
	"context"

	"github.com/redis/rueidis"

	"stentor/engine"
	"stentor/engine/redisengine/redislink"
)

var _ engine.Bus = (*Broker)(nil)

// listener is who listens to the bus.
type listener struct {
	all, own string // topics
	first    int    // the shard to send by
	handle   func(message []byte)
}

// Listen implements engine.Bus. The topics of all shards are read: nodes of another make send by any.
func (b *Broker) Listen(node string, handle func(message []byte)) {
	l := &listener{
		all: b.cfg.Prefix + controlPart, own: b.cfg.Prefix + nodePart + node,
		first: redislink.Bucket(node, len(b.shards)), handle: handle,
	}
	b.listener.Store(l)
	for _, s := range b.shards {
		s.control.insist(l.all)
		s.control.insist(l.own)
	}
}

// receiveControl hands a message of the bus to whoever listens, one at a time although each shard has a line of its own.
func (b *Broker) receiveControl(_ *line, m rueidis.PubSubMessage) {
	l := b.listener.Load()
	if l == nil || m.Channel != l.all && m.Channel != l.own {
		return // a probe
	}
	b.handling.Lock()
	defer b.handling.Unlock()
	l.handle(bytesOf(m.Message))
}

// Broadcast implements engine.Bus.
func (b *Broker) Broadcast(ctx context.Context, message []byte) error {
	return b.sendControl(ctx, controlPart, message)
}

// Send implements engine.Bus.
func (b *Broker) Send(ctx context.Context, node string, message []byte) error {
	return b.sendControl(ctx, nodePart+node, message)
}

// sendControl publishes on one shard, and in a cluster on one node of it. All that a node sends goes the same way, since only so it
// arrives in order; which way that is differs from node to node. While a shard cannot be reached the next takes its place.
func (b *Broker) sendControl(ctx context.Context, part string, message []byte) error {
	first, route := 0, b.cfg.Prefix+controlPart
	if l := b.listener.Load(); l != nil {
		first, route = l.first, l.own
	}
	topic := b.cfg.Prefix + part
	var err error
	for i := range b.shards {
		s := b.shards[(first+i)%len(b.shards)]
		var client rueidis.Client
		if client, err = s.link.Client(); err != nil {
			continue
		}
		command := func() rueidis.Completed {
			return client.B().Publish().Channel(topic).Message(string(message)).Build().SetSlot(route)
		}
		answer := client.Do(ctx, command())
		if notSent(ctx, answer) {
			answer = client.Do(ctx, command())
		}
		return s.failed("publish to", topic, answer.Error())
	}
	return b.shards[first].failed("publish to", topic, err)
}
