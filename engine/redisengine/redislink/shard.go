package redislink

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine"
	"stentor/engine/pause"
)

// Shard is one server, one master with its sentinels, or one cluster.
type Shard struct {
	settings settings
	name     string
	log      *slog.Logger

	cluster  atomic.Bool // once true, it stays
	main     line
	replicas line // used only if there is to be reading from them
}

func newShard(s settings, log *slog.Logger) *Shard {
	shard := &Shard{settings: s, name: s.name(), log: log.With("redis", s.name())}
	shard.cluster.Store(s.kind == kindCluster)
	shard.main = line{
		shard: shard, option: s.option(),
		lost: "Redis cannot be reached; trying again", back: "Redis is reached",
	}
	shard.replicas = line{
		shard: shard, option: s.option(),
		lost: "replicas of Redis cannot be reached; reading from the master, and trying again", back: "replicas of Redis are reached",
	}
	shard.replicas.option.ReplicaOnly = true
	return shard
}

// Client runs commands on the shard. It is engine.ErrUnreachable until the shard is connected, and while it does not answer. Ask for
// it each time: after a loss it may be another.
func (s *Shard) Client() (rueidis.Client, error) {
	if c := s.main.client.Load(); c != nil {
		return *c, nil
	}
	return nil, engine.ErrUnreachable
}

// Reader runs commands that only read: on replicas if Config.ReplicaReads is set and they answer, else where Client writes. What replicas
// have may be old. When one does not answer, ask Client.
func (s *Shard) Reader() (rueidis.Client, error) {
	if c := s.replicas.client.Load(); c != nil {
		return *c, nil
	}
	return s.Client()
}

// Cluster reports that keys used together need a hash tag. An address without a word of it may turn out to be a cluster's when it
// is reached: so ask after Client, and each time.
func (s *Shard) Cluster() bool { return s.cluster.Load() }

// IOTimeout is how long an answer of the shard is waited for at most.
func (s *Shard) IOTimeout() time.Duration { return s.settings.ioTimeout }

// Name says in logs which one it is. There is no password in it.
func (s *Shard) Name() string { return s.name }

// run keeps the shard connected until ctx ends.
func (s *Shard) run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	if s.settings.replicaReads {
		working.Go(func() { s.runReplicas(ctx) })
	}
	s.main.run(ctx)
}

// runReplicas is run for reading from replicas, if there is somebody who says where they are.
func (s *Shard) runReplicas(ctx context.Context) {
	if s.settings.kind == kindPlain || s.settings.kind == kindUnix {
		for s.main.client.Load() == nil {
			if !pause.For(ctx, retryFirst) {
				return
			}
		}
		if !s.Cluster() {
			s.log.Warn("a single server does not say where its replicas are: replica_client does nothing without sentinels or a cluster")
			return
		}
	}
	s.replicas.run(ctx)
}
