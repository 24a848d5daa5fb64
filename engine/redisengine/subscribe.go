package redisengine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine"
)

// Sizes and times of subscribing.
const (
	batchMax  = 512                  // channels of one SUBSCRIBE: a server does nothing else meanwhile
	gatherFor = 5 * time.Millisecond // how long channels are gathered for one in a storm
	stormMin  = 8                    // more channels than this in that time are a storm; fewer go as they come
)

// refusedFor is how long nothing is asked of a server that has refused a subscription, and movedFor if it said that another node is
// the right one.
const (
	refusedFor = time.Second
	movedFor   = 100 * time.Millisecond
)

// serve does what there is to do: it restores what was lost and sends one batch of each interest.
func (l *line) serve(ctx context.Context) error {
	list := l.list()
	for _, p := range list {
		if l.restored[p] == p.current() || p.line.Load() != l { // it may have moved on just now
			continue
		}
		l.restored[p] = p.renew(true)
		if err := p.restore(func(b batch) error {
			if err := l.send(ctx, []batch{b}); err != nil {
				return err
			}
			return l.sendQueued(ctx, p)
		}); err != nil {
			return err
		}
	}
	var batches []batch
	for _, p := range list {
		if time.Now().Before(l.held[p]) || p.line.Load() != l {
			continue
		}
		if b := p.take(l.names.check); !b.empty() {
			batches = append(batches, b)
		}
	}
	return l.send(ctx, batches)
}

// sendQueued lets new channels through while many old ones are restored.
func (l *line) sendQueued(ctx context.Context, p *interest) error {
	if b := p.take(l.names.check); !b.empty() {
		return l.send(ctx, []batch{b})
	}
	return nil
}

// send sends batches and notes what came of them. An error means that the connection is of no use any more.
func (l *line) send(ctx context.Context, batches []batch) error {
	if len(batches) == 0 {
		return nil
	}
	if now := time.Now(); now.Sub(l.window) > gatherFor {
		l.window, l.inWindow = now, 0
	}
	for _, b := range batches {
		l.inWindow += len(b.subscribe) + len(b.unsubscribe)
	}
	commands, parts := l.commands(batches)
	l.shard.broker.counters.subscribeCommands.Add(uint64(len(commands)))
	limited, cancel := context.WithTimeout(ctx, l.shard.link.IOTimeout())
	defer cancel()
	answers := l.conn.DoMulti(limited, commands...)
	for i, answer := range answers {
		if err := answer.NonRedisError(); err != nil {
			for _, part := range parts[i:] {
				part.of.lost(part)
			}
			return err
		}
		l.settle(parts[i], answer.Error())
	}
	return nil
}

// commands makes commands of batches, and says which part of them is in each.
func (l *line) commands(batches []batch) (commands []rueidis.Completed, parts []batch) {
	for _, b := range batches {
		for rest := b.unsubscribe; len(rest) > 0; {
			n := min(len(rest), batchMax)
			commands = append(commands, l.command(false, l.topics(b.of, rest[:n])))
			parts = append(parts, batch{of: b.of, epoch: b.epoch, unsubscribe: rest[:n:n]})
			rest = rest[n:]
		}
		for rest := b.subscribe; len(rest) > 0; {
			n := min(len(rest), batchMax)
			commands = append(commands, l.command(true, l.topics(b.of, rest[:n])))
			parts = append(parts, batch{of: b.of, epoch: b.epoch, subscribe: rest[:n:n]})
			rest = rest[n:]
		}
	}
	return commands, parts
}

func (l *line) topics(p *interest, channels []string) []string {
	if p.topics {
		return channels
	}
	topics := make([]string, len(channels))
	for i, channel := range channels {
		topics[i] = l.names.topic(channel)
	}
	return topics
}

func (l *line) command(subscribe bool, topics []string) rueidis.Completed {
	build := l.conn.B()
	switch {
	case l.sharded && subscribe:
		return build.Ssubscribe().Channel(topics...).Build()
	case l.sharded:
		return build.Sunsubscribe().Channel(topics...).Build()
	case subscribe:
		return build.Subscribe().Channel(topics...).Build()
	default:
		return build.Unsubscribe().Channel(topics...).Build()
	}
}

// settle notes the answer to one command.
func (l *line) settle(b batch, refused error) {
	switch {
	case len(b.unsubscribe) > 0:
		b.of.left(b)
	case refused == nil:
		l.shard.broker.counters.resubscribed.Add(uint64(b.of.confirm(b)))
	default:
		l.refused(b, refused)
	}
}

// refused notes that the server does not take subscriptions: because the partition has moved to another node, or because it is not allowed.
func (l *line) refused(b batch, err error) {
	hold := refusedFor
	if said, is := rueidis.IsRedisErr(err); is && strings.HasPrefix(said.Error(), "MOVED ") {
		hold = movedFor
		err = fmt.Errorf("%w: %w", engine.ErrUnreachable, err)
	}
	err = l.shard.failed("subscribe to", b.subscribe[0], err)
	if hold == refusedFor && l.shard.broker.refusedLog.due() {
		l.log().Warn("Redis refuses subscriptions", "channels", len(b.subscribe), "error", err)
	}
	b.of.refuse(b, err)
	l.held[b.of] = time.Now().Add(hold)
	if l.onLost != nil {
		l.onLost()
	}
}

// onSubscription watches for what Redis unsubscribes by itself: channels whose slot has moved. Runs on the reading goroutine.
func (l *line) onSubscription(s rueidis.PubSubSubscription) {
	if s.Kind != "sunsubscribe" {
		return
	}
	channel, ok := l.shard.names().channel(s.Channel)
	if !ok {
		return
	}
	if p := l.shard.interest(channel); p.line.Load() == l && p.gone(channel) {
		if l.onLost != nil {
			l.onLost()
		}
		l.kick()
	}
}
