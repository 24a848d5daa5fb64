package redislink

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine"
)

// probeInterval is how often a shard is asked whether it still answers. One that does not, and one that was not reached yet, is tried
// again after retryFirst, then ever later up to retryLast.
const (
	probeInterval = time.Second
	retryFirst    = 50 * time.Millisecond
	retryLast     = time.Second
)

// Shard is one server, one master with its sentinels, or one cluster.
type Shard struct {
	settings settings
	name     string
	log      *slog.Logger

	cluster atomic.Bool                    // once true, it stays
	client  atomic.Pointer[rueidis.Client] // nil while it cannot be reached
	reader  atomic.Pointer[rueidis.Client] // of the replicas, likewise

	// Only the goroutine of Run touches this.
	told string // the kind of failure that was logged last; empty while all is well
}

func newShard(s settings, log *slog.Logger) *Shard {
	shard := &Shard{settings: s, name: s.name(), log: log.With("redis", s.name())}
	shard.cluster.Store(s.kind == kindCluster)
	return shard
}

// Client runs commands on the shard. It is engine.ErrUnreachable until the shard is connected, and while it does not answer.
// The client itself stays the same as long as Run goes on.
func (s *Shard) Client() (rueidis.Client, error) {
	if c := s.client.Load(); c != nil {
		return *c, nil
	}
	return nil, engine.ErrUnreachable
}

// Reader runs commands that only read: on a replica if Config.ReplicaReads is set and one can be reached, else where Client does. What
// it reads may be old.
func (s *Shard) Reader() (rueidis.Client, error) {
	if c := s.reader.Load(); c != nil {
		return *c, nil
	}
	return s.Client()
}

// Cluster reports that keys used together need a hash tag. An address without a word of it may turn out to be a cluster's when it
// is reached: so ask after Client, and each time.
func (s *Shard) Cluster() bool { return s.cluster.Load() }

// Name says in logs which one it is. There is no password in it.
func (s *Shard) Name() string { return s.name }

// run keeps the shard connected until ctx ends.
func (s *Shard) run(ctx context.Context) {
	client := s.dial(ctx, &s.client, s.settings.option())
	if client == nil {
		return
	}
	defer s.close(&s.client, client)
	for s.watch(ctx, client, &s.client) {
	}
}

// dial makes a client and publishes it at place, however long that takes; nil if ctx ends before.
func (s *Shard) dial(ctx context.Context, place *atomic.Pointer[rueidis.Client], option rueidis.ClientOption) rueidis.Client {
	for delay := retryFirst; ; delay = min(2*delay, retryLast) {
		client, err := rueidis.NewClient(option)
		if err == nil {
			if client.Mode() == rueidis.ClientModeCluster {
				s.cluster.Store(true)
			}
			s.tellReached()
			place.Store(&client)
			return client
		}
		if client != nil {
			client.Close()
		}
		s.tellFailure(err)
		if !sleep(ctx, delay) {
			return nil
		}
	}
}

// watch probes the client once and publishes or withdraws it; false if ctx has ended.
func (s *Shard) watch(ctx context.Context, client rueidis.Client, place *atomic.Pointer[rueidis.Client]) bool {
	if !sleep(ctx, probeInterval) {
		return false
	}
	for delay := retryFirst; ; delay = min(2*delay, retryLast) {
		err := s.probe(ctx, client)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			if place.Load() == nil {
				s.tellReached()
				place.Store(&client)
			}
			return true
		}
		place.Store(nil)
		s.tellFailure(err)
		if !sleep(ctx, delay) {
			return false
		}
	}
}

// probe asks the shard for a sign of life.
func (s *Shard) probe(ctx context.Context, client rueidis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, s.settings.ioTimeout)
	defer cancel()
	return client.Do(ctx, client.B().Ping().Build()).Error()
}

func (s *Shard) close(place *atomic.Pointer[rueidis.Client], client rueidis.Client) {
	place.Store(nil)
	client.Close()
}

// sleep waits for d; false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
