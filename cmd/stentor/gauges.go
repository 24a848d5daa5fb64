package main

import (
	"stentor/engine/natsengine"
	"stentor/engine/redisengine"
	"stentor/server/metrics"
)

// shows has the metrics tell of brokers.
func (o *opener) shows(brokers ...func() metrics.BrokerGauges) {
	o.engines.Gauges = func() []metrics.BrokerGauges {
		all := make([]metrics.BrokerGauges, len(brokers))
		for i, read := range brokers {
			all[i] = read()
		}
		return all
	}
}

func redisGauges(b *redisengine.Broker) func() metrics.BrokerGauges {
	return func() metrics.BrokerGauges {
		s := b.Stats()
		g := metrics.BrokerGauges{
			Name: "redis", Published: s.Published, Received: s.Received, Dropped: s.Dropped, Malformed: s.Malformed, Resubscribed: s.Resubscribed,
			Channels: s.Subscriptions,
		}
		for _, shard := range s.Shards {
			g.Servers = append(g.Servers, metrics.BrokerServer{Name: shard.Name, Reachable: shard.Reachable, Listening: shard.Listening})
		}
		return g
	}
}

func natsGauges(e *natsengine.Engine) func() metrics.BrokerGauges {
	return func() metrics.BrokerGauges {
		s := e.Stats()
		return metrics.BrokerGauges{
			Name: "nats", Published: uint64(s.Published), Received: uint64(s.Received), Dropped: uint64(s.Dropped), Malformed: uint64(s.Malformed),
			Resubscribed: uint64(s.Resubscribed), Channels: int(s.Subscriptions),
			Servers: []metrics.BrokerServer{{Name: "nats", Reachable: s.Connected, Listening: s.Connected}},
		}
	}
}
