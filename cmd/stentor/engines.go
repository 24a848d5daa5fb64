package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"

	"stentor/engine"
	"stentor/engine/credentials"
	"stentor/engine/memengine"
	"stentor/engine/natsengine"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
	"stentor/engine/redisnats"
	"stentor/server"
	"stentor/server/channel"
	"stentor/server/config"
)

// openEngines makes what the configuration names: engine.type is broker and presence at once, broker and presence_manager replace
// their part. The broker carries the messages between nodes, too.
func openEngines(cfg *config.Config, log *slog.Logger) func(engine.Node, string) (server.Engines, error) {
	return func(node engine.Node, uid string) (server.Engines, error) {
		o := &opener{cfg: cfg, log: log, node: node, uid: uid}
		err := o.broker()
		if err == nil {
			err = o.presence()
		}
		return o.engines, err
	}
}

// checkEngines makes the engines and runs none, to see whether their addresses and certificates can be read.
func checkEngines(cfg *config.Config) error {
	_, err := openEngines(cfg, slog.New(slog.DiscardHandler))(nil, "checked")
	return err
}

// opener makes the engines of one node.
type opener struct {
	cfg  *config.Config
	log  *slog.Logger
	node engine.Node
	uid  string

	memory  *memengine.Engine          // nil until a part is played by it
	links   map[string]*redislink.Link // by the path of their block
	engines server.Engines
}

// runs has work run as long as the node.
func (o *opener) runs(work func(context.Context) error) {
	o.engines.Run = append(o.engines.Run, work)
}

func (o *opener) broker() error {
	switch kind := o.cfg.BrokerType(); kind {
	case "memory":
		o.engines.Broker = o.inMemory()
		return nil
	case "nats":
		e, err := o.nats(o.node, false)
		if err != nil {
			return err
		}
		o.engines.Broker, o.engines.Bus = e, e
		o.shows(natsGauges(e))
		o.runs(e.Run)
		return nil
	case "redis":
		b, err := o.redis(o.node)
		if err != nil {
			return err
		}
		o.engines.Broker, o.engines.Bus = b, b
		o.shows(redisGauges(b))
		o.runs(b.Run)
		return nil
	case "redisnats":
		return o.redisNATS()
	default:
		return fmt.Errorf("the %s broker is not built yet", kind)
	}
}

func (o *opener) presence() error {
	switch kind := o.cfg.PresenceType(); kind {
	case "memory":
		o.engines.Presence = o.inMemory()
		return nil
	case "redis":
		return o.redisPresence()
	default:
		return fmt.Errorf("presence in %s is not built yet", kind)
	}
}

// redis keeps channels in the Redis of broker.redis, or of engine.redis.
func (o *opener) redis(node engine.Node) (*redisengine.Broker, error) {
	path, prefix, connection, options := "engine.redis", o.cfg.Engine.Redis.Prefix, &o.cfg.Engine.Redis.RedisConnection, &o.cfg.Engine.Redis.RedisBrokerOptions
	if o.cfg.Broker.Enabled {
		c := &o.cfg.Broker.Redis
		path, prefix, connection, options = "broker.redis", c.Prefix, &c.RedisConnection, &c.RedisBrokerOptions
	}
	link, err := o.link(path, connection)
	if err != nil {
		return nil, err
	}
	b, err := redisengine.New(redisengine.Config{
		Prefix: prefix, HistoryUseLists: options.HistoryUseLists, ShardedPubSubPartitions: options.ShardedPubSubPartitions,
	}, link, node, o.log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// redisNATS keeps channels in Redis and carries publications by NATS.
func (o *opener) redisNATS() error {
	sorter := redisnats.NewSorter(o.node)
	carrier, err := o.nats(sorter, true)
	if err != nil {
		return err
	}
	store, err := o.redis(o.node) // which is told nothing: there are no subscriptions in Redis
	if err != nil {
		return err
	}
	b := redisnats.New(store, carrier, sorter)
	o.engines.Broker, o.engines.Bus = b, carrier
	o.shows(redisGauges(store), natsGauges(carrier))
	o.runs(b.Run)
	return nil
}

// redisPresence keeps presence in the Redis of presence_manager.redis, or of engine.redis.
func (o *opener) redisPresence() error {
	path, prefix, connection, options := "engine.redis", o.cfg.Engine.Redis.Prefix, &o.cfg.Engine.Redis.RedisConnection, &o.cfg.Engine.Redis.RedisPresenceOptions
	if o.cfg.PresenceManager.Enabled {
		c := &o.cfg.PresenceManager.Redis
		path, prefix, connection, options = "presence_manager.redis", c.Prefix, &c.RedisConnection, &c.RedisPresenceOptions
	}
	shared := o.links[path] != nil // the broker runs it
	link, err := o.link(path, connection)
	if err != nil {
		return err
	}
	if !shared {
		o.runs(link.Run)
	}
	o.engines.Presence = redisengine.NewPresence(redisengine.PresenceConfig{
		Prefix: prefix, UserMapping: options.PresenceUserMapping, HashFieldTTL: options.PresenceHashFieldTTL,
	}, link, o.log)
	return nil
}

// link is the way to the Redis of a block. Parts that share a block share it.
func (o *opener) link(path string, c *config.RedisConnection) (*redislink.Link, error) {
	if l := o.links[path]; l != nil {
		return l, nil
	}
	settings, err := redisLink(path, c)
	if err != nil {
		return nil, err
	}
	l, err := redislink.New(settings, o.log)
	if err != nil {
		return nil, fmt.Errorf("%s.%w", path, err)
	}
	if o.links == nil {
		o.links = make(map[string]*redislink.Link)
	}
	o.links[path] = l
	return l, nil
}

// inMemory is the one engine in memory, whatever parts it plays.
func (o *opener) inMemory() *memengine.Engine {
	if o.memory == nil {
		o.memory = memengine.New(memengine.Config{}, o.node)
		o.runs(o.memory.Run)
	}
	return o.memory
}

// nats carries publications, and their positions if somebody gives them some. These are of single channels, so there are no patterns then.
func (o *opener) nats(node engine.Node, positions bool) (*natsengine.Engine, error) {
	c := &o.cfg.Broker.NATS
	secure, err := clientTLS("broker.nats.tls", &c.TLS)
	if err != nil {
		return nil, err
	}
	rules, err := channel.NewRules(o.cfg)
	if err != nil {
		return nil, err
	}
	return natsengine.New(natsengine.Config{
		URL:            c.URL,
		Prefix:         c.Prefix,
		DialTimeout:    c.DialTimeout.Std(),
		WriteTimeout:   c.WriteTimeout.Std(),
		TLS:            secure,
		Name:           cmp.Or(o.cfg.Node.Name, "stentor-"+o.uid),
		AllowWildcards: c.AllowWildcards && !positions,
		Within:         within(rules),
		Raw:            natsengine.Raw{Enabled: c.RawMode.Enabled && !positions, Prefix: c.RawMode.Prefix, Replacements: c.RawMode.ChannelReplacements},
		Positions:      positions,
	}, node, o.log)
}

// within keeps a pattern to its own namespace, and from private channels unless it is private itself. Changes of these rules, which are
// about names, reach the engine at the next start.
func within(rules *channel.Rules) func(pattern, channel string) bool {
	return func(pattern, channel string) bool {
		scope := rules.Scope(pattern)
		return rules.Scope(channel) == scope && channel[:scope] == pattern[:scope]
	}
}

// clientTLS is how to speak TLS with another server; nil if the block at path says that we do not.
func clientTLS(path string, c *config.TLSConfig) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	secure, err := credentials.Options{
		CertPEM: string(c.CertPEM), KeyPEM: string(c.KeyPEM), ServerCAPEM: string(c.ServerCAPEM),
		ServerName: c.ServerName, InsecureSkipVerify: c.InsecureSkipVerify,
	}.Config()
	if err != nil {
		return nil, fmt.Errorf("%s.%w", path, err)
	}
	return secure, nil
}
