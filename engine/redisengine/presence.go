package redisengine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/redisengine/redislink"
)

// PresenceConfig is how presence is kept. All nodes that share a Redis need the same.
type PresenceConfig struct {
	Prefix string // empty: PrefixDefault
	// UserMapping keeps the users of each channel beside its clients, so that PresenceStats counts without looking at every client.
	UserMapping bool
	// HashFieldTTL leaves expiry to Redis, from version 7.4 on: one key for a channel instead of two.
	HashFieldTTL bool
}

// Presence implements engine.Presence: who is in a channel is a hash in Redis, from client to Protobuf ClientInfo, and a sorted set says
// until when each of them is there. The commands of all callers go out in batches, each is one script.
//
//	P.presence.data.<channel>           client ──► info
//	P.presence.expire.<channel>         client ──► until when; not with HashFieldTTL
//	P.presence.user.clients.<channel>   user ──► number of clients; with UserMapping
//	P.presence.user.expire.<channel>    user ──► until when; with UserMapping, not with HashFieldTTL
//
// A client that was not said anew in time is gone for whoever reads. Its entry is removed little by little, by those who come and
// those who read: never so many at once that Redis stands still. The number of a user counts too high when a client went without
// being removed; then the user seems to be there after the last of its clients, until its own time is over.
type Presence struct {
	cfg     PresenceConfig
	link    *redislink.Link
	log     *slog.Logger
	scripts presenceScripts

	// Parts of the names of the keys of a channel.
	clients []string // who is there
	all     []string // and its users, with UserMapping

	tooOld, broken seldom // for the log
}

var _ engine.Presence = (*Presence)(nil)

// NewPresence makes presence over link, which somebody else runs.
func NewPresence(cfg PresenceConfig, link *redislink.Link, log *slog.Logger) *Presence {
	cfg.Prefix = cmp.Or(cfg.Prefix, PrefixDefault)
	p := &Presence{cfg: cfg, link: link, log: log, scripts: newPresenceScripts(cfg.HashFieldTTL)}
	p.clients = []string{presencePart, presenceTimesPart}
	users := []string{presenceUsersPart, presenceUserTimesPart}
	if cfg.HashFieldTTL {
		p.clients, users = p.clients[:1], users[:1]
	}
	p.all = p.clients
	if cfg.UserMapping {
		p.all = slices.Concat(p.clients, users)
	}
	return p
}

// Local implements engine.Presence.
func (p *Presence) Local() bool { return false }

// Parts of names.
const (
	presencePart          = ".presence.data."
	presenceTimesPart     = ".presence.expire."
	presenceUsersPart     = ".presence.user.clients."
	presenceUserTimesPart = ".presence.user.expire."
)

// An entry that is gone costs memory until it is removed. One in cleanSeldom of those who say that a client is there removes up to
// cleanMax, which is more than come in the meantime; so do those who read.
const (
	cleanSeldom = 16
	cleanMax    = "200"
	cleanNone   = "0"
)

// names of the shard. With sharded pub/sub, too, they go by channel.
func (p *Presence) names(s *redislink.Shard) names {
	n := names{prefix: p.cfg.Prefix, form: plainNames}
	if s.Cluster() {
		n.form = taggedNames
	}
	return n
}

// ready gives what a command for channel needs.
func (p *Presence) ready(channel string) (*redislink.Shard, rueidis.Client, names, error) {
	s := p.link.Shard(channel)
	client, err := s.Client()
	if err != nil {
		return s, nil, names{}, err
	}
	n := p.names(s)
	return s, client, n, n.check(channel)
}

// channelKeys adds the keys that a channel has for these parts.
func (c *call) channelKeys(n names, channel string, parts []string) {
	for _, part := range parts {
		c.key(n, part, channel)
	}
}

// AddPresence implements engine.Presence. It keeps nothing.
func (p *Presence) AddPresence(ctx context.Context, channel string, client [16]byte, info engine.PresenceInfo, ttl time.Duration) error {
	s, redis, n, err := p.ready(channel)
	if err != nil {
		return err
	}
	c := newCall()
	c.channelKeys(n, channel, p.all)
	id := c.clientID(client)
	from := len(c.buf)
	c.buf = codec.AppendStoredClientInfo(c.buf, &codec.ClientInfo{
		User: info.User, Client: id, ConnInfo: info.ConnInfo, ChanInfo: info.ChanInfo,
	})
	c.arg(c.text(from))
	c.milliseconds(max(ttl, time.Millisecond))
	if rand.IntN(cleanSeldom) == 0 {
		c.arg(cleanMax)
	} else {
		c.arg(cleanNone)
	}
	c.arg(info.User)
	answer := p.scripts.add.run(ctx, redis, n, c)
	defer c.done(answer)
	return p.failed("add to the presence of", channel, s, answer.Error())
}

// clientID adds a client as an argument, and returns it.
func (c *call) clientID(client [16]byte) string {
	from := len(c.buf)
	c.buf = engine.AppendClientID(c.buf, client)
	id := c.text(from)
	c.arg(id)
	return id
}

// RemovePresence implements engine.Presence.
func (p *Presence) RemovePresence(ctx context.Context, channel string, client [16]byte, user string) error {
	s, redis, n, err := p.ready(channel)
	if err != nil {
		return err
	}
	c := newCall()
	c.channelKeys(n, channel, p.all)
	c.clientID(client)
	c.arg(user)
	answer := p.scripts.remove.run(ctx, redis, n, c)
	defer c.done(answer)
	return p.failed("remove from the presence of", channel, s, answer.Error())
}

// errTooOld tells what to do about a server that lacks what the configuration asks for.
var errTooOld = errors.New("the server cannot expire fields of a hash, which takes Redis 7.4: update it, or turn presence_hash_field_ttl off")

// failed says what could not be done; nil stays nil, and so does what scripts that answer nothing answer.
func (p *Presence) failed(what, channel string, s *redislink.Shard, err error) error {
	if err == nil || rueidis.IsRedisNil(err) {
		return nil
	}
	if said, is := rueidis.IsRedisErr(err); is && p.cfg.HashFieldTTL && strings.Contains(strings.ToLower(said.Error()), "unknown") {
		err = errTooOld
		if p.tooOld.due() {
			p.log.Error("presence does not work", "redis", s.Name(), "error", err)
		}
	} else {
		err = redislink.Failure(err)
	}
	return fmt.Errorf("%s %s, Redis at %s: %w", what, channel, s.Name(), err)
}
