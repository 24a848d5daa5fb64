// Package redislink keeps the connections to Redis: it reads the addresses, dials, goes on dialling, and knows at any moment which
// servers can be asked.
//
//	Config ── New ──► settings of each shard ──► Link
//	Run ──► each shard: dial until it works ──► probe every second ──► Shard.Client answers, or says engine.ErrUnreachable
//	a channel ── Link.Shard ──► its shard ── Client ──► commands of all callers in one pipeline
//
// A shard is whatever holds a share of the channels: one server, a master that sentinels watch, or a whole cluster. Several of them
// share the channels by a consistent hash of the name.
//
// Dialling is Run's business alone, so a server that is down makes nobody wait: until it is reached, and again from the moment on that
// it no longer answers a probe, Client answers at once. What was under way when a server stopped to answer fails within the I/O
// time limit. Nothing is ever sent twice: a command without an answer may have been carried out or not, and only its caller
// knows whether a second time does harm.
//
// Commands of any number of goroutines share one connection to each server and leave it in batches: that costs the server
// and us fewer system calls than several connections do. What waits for an answer is bounded by the size of the pipeline.
package redislink

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"
)

// Config says which servers there are. One of the three lists of addresses is used: ClusterAddress if it has any, then SentinelAddress,
// then Address.
type Config struct {
	// Address are the shards: host:port, redis://, rediss://, tcp://, unix://, redis+sentinel://, rediss+sentinel://,
	// redis+cluster:// or rediss+cluster:// with user, password, database and options. What a URL says holds for its shard, the fields
	// below for everything else. Empty: AddressDefault.
	Address []string

	ConnectTimeout time.Duration // for dialling, TLS and log-in together; 0: ConnectTimeoutDefault
	IOTimeout      time.Duration // for any answer; 0: IOTimeoutDefault
	DB             int
	User           string
	Password       string
	ClientName     string
	ForceRESP2     bool
	TLS            *tls.Config // nil: plain text

	// ClusterAddress are clusters, one an entry: the host:port of some of its nodes, separated by commas.
	ClusterAddress []string

	// SentinelAddress are groups of sentinels, one an entry, written like ClusterAddress. Each watches a master of the same name.
	SentinelAddress    []string
	SentinelUser       string
	SentinelPassword   string
	SentinelMasterName string
	SentinelClientName string
	SentinelTLS        *tls.Config

	// ReplicaReads makes Shard.Reader read from replicas.
	ReplicaReads bool
}

// Defaults.
const (
	AddressDefault        = "redis://127.0.0.1:6379"
	ConnectTimeoutDefault = time.Second
	IOTimeoutDefault      = 4 * time.Second
)

// ShardsMax bounds the number of shards: each has connections and a goroutine of its own.
const ShardsMax = 1024

// Link is the way to all shards. New makes it.
type Link struct {
	shards []*Shard
}

// New reads the addresses. An error means that the configuration is wrong; whether there are servers is found out by Run.
func New(cfg Config, log *slog.Logger) (*Link, error) {
	list, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	l := &Link{}
	for _, s := range list {
		for _, name := range s.unknown {
			log.Warn("an address of Redis has an option that is not known and does nothing", "redis", s.name(), "option", name)
		}
		l.shards = append(l.shards, newShard(s, log))
	}
	return l, nil
}

// Run connects to all shards and keeps them connected until ctx ends, then closes them. It returns nil.
func (l *Link) Run(ctx context.Context) error {
	var working sync.WaitGroup
	for _, s := range l.shards {
		working.Go(func() { s.run(ctx) })
	}
	working.Wait()
	return nil
}

// Shards are all of them, in the order of the configuration. The slice must not be changed.
func (l *Link) Shards() []*Shard { return l.shards }

// Shard is the one that keeps a channel.
func (l *Link) Shard(channel string) *Shard {
	if len(l.shards) == 1 {
		return l.shards[0]
	}
	return l.shards[Bucket(channel, len(l.shards))]
}

// Bucket puts a name into one of n buckets. It is how channels are shared among shards, and among the partitions of sharded
// pub/sub, by all nodes on the same Redis: it must never change.
func Bucket(name string, n int) int { return jump(hash(name), n) }

// hash is FNV-1a, 64 bits.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// jump is the jump consistent hash (Lamping and Veach, 2014): of n buckets, one more takes only 1/(n+1) of the keys away.
func jump(key uint64, n int) int {
	at, next := int64(-1), int64(0)
	for next < int64(n) {
		at = next
		key = key*2862933555777941757 + 1
		next = int64(float64(at+1) * (float64(int64(1)<<31) / float64((key>>33)+1)))
	}
	return int(at)
}

func (c Config) connectTimeout() time.Duration {
	return cmp.Or(c.ConnectTimeout, ConnectTimeoutDefault)
}
func (c Config) ioTimeout() time.Duration { return cmp.Or(c.IOTimeout, IOTimeoutDefault) }
