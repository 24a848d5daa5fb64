package config

import (
	"fmt"
	"strings"
	"time"
)

// BrokerType is the engine that carries publications: memory, redis, nats, redisnats or postgres.
func (c *Config) BrokerType() string {
	if c.Broker.Enabled {
		return c.Broker.Type
	}
	return c.Engine.Type
}

// PresenceType is the engine that keeps presence: memory or redis.
func (c *Config) PresenceType() string {
	if c.PresenceManager.Enabled {
		return c.PresenceManager.Type
	}
	return c.Engine.Type
}

// PresenceTTL is how long presence in Redis keeps a client that is not said anew.
func (c *Config) PresenceTTL() time.Duration {
	if c.PresenceManager.Enabled {
		return c.PresenceManager.Redis.PresenceTTL.Std()
	}
	return c.Engine.Redis.PresenceTTL.Std()
}

// engines checks that the engines that are chosen exist. To go on with another one would keep in memory, and on one node, what is meant
// for all.
func (p *checker) engines() {
	c := p.cfg
	switch {
	case c.Broker.Enabled && c.Broker.Type == "postgres":
		p.fail("broker.type", c.Broker.Type, "the PostgreSQL broker is not built yet", "use redis or nats")
	case c.Broker.Enabled && c.Broker.Type == "redisnats" && !c.EnableUnreleasedFeatures:
		p.fail("broker.type", c.Broker.Type, "needs enable_unreleased_features", "set that, or use redis or nats")
	case c.Broker.Enabled && c.Broker.Type == "redisnats" && c.Broker.NATS.RawMode.Enabled:
		p.fail("broker.nats.raw_mode.enabled", "true", "carries no offsets, which redisnats needs", "turn it off, or use nats")
	}
	if c.Controller.Enabled {
		if c.Controller.Type == "" {
			p.fail("controller.type", "", "is missing while controller.enabled is true", "turn it off: control messages go through the broker")
		} else {
			p.fail("controller.type", c.Controller.Type, "the PostgreSQL controller is not built yet", "turn it off: control messages go through the broker")
		}
	}
}

// promise is an option by which clients rely on something.
type promise struct {
	option string
	on     bool
}

// positions are those that promise to notice what is missing.
func (o *ChannelOptions) positions() []promise {
	return []promise{
		{"force_positioning", o.ForcePositioning},
		{"allow_positioning", o.AllowPositioning},
		{"force_recovery", o.ForceRecovery},
		{"allow_recovery", o.AllowRecovery},
	}
}

// lacks refuses what the broker cannot do at all. Without history there are no positions, so every client that asks for what the
// namespace promises would get error 108.
func (p *checker) lacks(path string, o *ChannelOptions) {
	if p.cfg.BrokerType() != "nats" {
		return
	}
	for _, promise := range o.positions() {
		if promise.on {
			p.fail(path+"."+promise.option, "true", "needs history, which NATS does not keep",
				"remove it, or use an engine with history (broker.type redis)")
		}
	}
}

// engineAdvice tells of options that the engines leave without effect, or with less than is meant.
func (c *Config) engineAdvice() (list []Warning) {
	say := func(path, text string) { list = append(list, Warning{Topic: Advice, Path: path, Text: text}) }
	c.eachChannel(func(path string, o *ChannelOptions) {
		if c.BrokerType() == "nats" {
			c.natsAdvice(path, o, say)
		}
		if o.Presence && c.PresenceType() == "memory" && c.BrokerType() != "memory" {
			say(path+".presence", path+".presence: each node knows its own clients alone, because presence is in memory; set presence_manager.type redis "+
				"to have that of all nodes")
		}
	})
	if n := c.Broker.NATS; c.BrokerType() == "redisnats" && n.AllowWildcards {
		say("broker.nats.allow_wildcards", "broker.nats.allow_wildcards has no effect with redisnats: there are no patterns")
	}
	if c.PresenceType() == "redis" && c.PresenceTTL() <= c.Client.PresenceUpdateInterval.Std() {
		path := "engine.redis.presence_ttl"
		if c.PresenceManager.Enabled {
			path = "presence_manager.redis.presence_ttl"
		}
		say(path, path+" is not above client.presence_update_interval, so clients that are there vanish from presence between two updates; "+
			"let it be at least twice as long")
	}
	return list
}

// natsAdvice is about one namespace with the NATS broker.
func (c *Config) natsAdvice(path string, o *ChannelOptions, say func(path, text string)) {
	var idle []string
	for _, option := range []struct {
		name string
		on   bool
	}{
		{"history_size", o.HistorySize > 0},
		{"history_ttl", o.HistoryTTL > 0},
		{"allow_history_for_client", o.AllowHistoryForClient},
		{"allow_history_for_subscriber", o.AllowHistoryForSubscriber},
		{"allowed_delta_types", len(o.AllowedDeltaTypes) > 0},
		{"delta_publish", o.DeltaPublish},
	} {
		if option.on {
			idle = append(idle, path+"."+option.name)
		}
	}
	if len(idle) > 0 {
		say(idle[0], "NATS keeps no history, so these options have no effect and calls for history are answered with error 108: "+strings.Join(idle, ", "))
	}
	if c.Broker.NATS.RawMode.Enabled && (o.JoinLeave || o.ForcePushJoinLeave) {
		say(path+".join_leave", path+": joins and leaves are not carried in broker.nats.raw_mode")
	}
	if c.Broker.NATS.AllowWildcards && o.AllowUserLimitedChannels {
		say(path+".allow_user_limited_channels", fmt.Sprintf("broker.nats.allow_wildcards is set: who may subscribe in %s reads the channels of all its users by a pattern", path))
	}
}
