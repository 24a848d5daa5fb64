package redisengine

import "sync/atomic"

// counters are what Stats reads.
type counters struct {
	published, received, dropped, malformed, resubscribed, subscribeCommands atomic.Uint64
}

// Stats are counts since the start, except where they say otherwise.
type Stats struct {
	Published         uint64 // publications, joins and leaves that Redis took, and repeats of them
	Received          uint64 // those that were handed to the node
	Dropped           uint64 // those that the node had no room for in time
	Malformed         uint64 // messages that nobody understands
	Resubscribed      uint64 // subscriptions that were made anew after a loss
	SubscribeCommands uint64 // commands that subscribe or unsubscribe
	Subscriptions     int    // channels that are subscribed to now
	Shards            []ShardStats
}

// ShardStats is the state of one shard.
type ShardStats struct {
	Name      string
	Reachable bool // commands can be sent
	Listening bool // all connections for channels are there
	Bus       bool // that for the bus is there
}

// Stats counts.
func (b *Broker) Stats() Stats {
	c := &b.counters
	s := Stats{
		Published: c.published.Load(), Received: c.received.Load(), Dropped: c.dropped.Load(), Malformed: c.malformed.Load(),
		Resubscribed: c.resubscribed.Load(), SubscribeCommands: c.subscribeCommands.Load(),
	}
	for _, shard := range b.shards {
		_, err := shard.link.Client()
		of := ShardStats{Name: shard.link.Name(), Reachable: err == nil, Listening: true, Bus: shard.controlLine.connected.Load()}
		for _, p := range shard.interests {
			l := p.line.Load()
			of.Listening = of.Listening && l != nil && l.connected.Load()
			s.Subscriptions += p.size()
		}
		s.Shards = append(s.Shards, of)
	}
	return s
}
