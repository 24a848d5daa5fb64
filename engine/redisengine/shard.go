package redisengine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine"
	"stentor/engine/redisengine/redislink"
)

// shard is one shard of the link and what this node wants of it.
type shard struct {
	broker *Broker
	link   *redislink.Shard
	log    *slog.Logger

	interests []*interest // in channels: one, or one for each partition
	control   *interest   // in the topics of the bus

	line        *line  // without partitions
	fleet       *fleet // with partitions
	controlLine *line
}

func newShard(b *Broker, link *redislink.Shard) *shard {
	s := &shard{broker: b, link: link, log: b.log.With("redis", link.Name())}
	s.control = newInterest(nil, 0, func() {})
	s.controlLine = newLine(s, anyOwner, false, b.receiveControl, s.control)
	if b.cfg.ShardedPubSubPartitions == 0 {
		s.interests = []*interest{newInterest(b.node, 0, func() {})}
		s.line = newLine(s, anyOwner, false, s.receive, s.interests...)
		return s
	}
	s.fleet = newFleet(s)
	for i := range b.cfg.ShardedPubSubPartitions {
		s.interests = append(s.interests, newInterest(b.node, i, s.fleet.wake))
	}
	return s
}

// run serves all subscriptions of the shard until ctx ends.
func (s *shard) run(ctx context.Context) {
	var working sync.WaitGroup
	working.Go(func() { s.controlLine.run(ctx) })
	if s.fleet != nil {
		working.Go(func() { s.fleet.run(ctx) })
	} else {
		working.Go(func() { s.line.run(ctx) })
	}
	working.Wait()
}

// patience is how long who subscribes waits for a connection that is just not there, before it is told so.
func (s *shard) patience() time.Duration { return s.link.IOTimeout() / 2 }

func (s *shard) names() names { return s.broker.cfg.names(s.link) }

// interest is the one that a channel belongs to.
func (s *shard) interest(channel string) *interest {
	if len(s.interests) == 1 {
		return s.interests[0]
	}
	return s.interests[redislink.Bucket(channel, len(s.interests))]
}

// ready gives what a command for channel needs.
func (s *shard) ready(channel string) (rueidis.Client, names, error) {
	client, err := s.link.Client()
	if err != nil {
		return nil, names{}, err
	}
	n := s.names()
	return client, n, n.check(channel)
}

// failed says what could not be done; nil stays nil.
func (s *shard) failed(what, name string, err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, engine.ErrUnreachable) { // the link has not said so already
		err = redislink.Failure(err)
	}
	return fmt.Errorf("%s %s, Redis at %s: %w", what, name, s.link.Name(), err)
}
