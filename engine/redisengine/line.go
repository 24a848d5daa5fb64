package redisengine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
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

// Times of losing and finding a connection.
const (
	redialFirst = 10 * time.Millisecond
	redialLast  = time.Second
	// refusedFor is how long nothing is asked of a server that has refused to restore a subscription, and movedFor if it said that
	// another node is the right one.
	refusedFor = time.Second
	movedFor   = 100 * time.Millisecond
)

// line is one connection for subscriptions, and the goroutine that works on it. Only that goroutine sends. What comes is read on a
// goroutine of the library, the only one that delivers: so it stays in order.
type line struct {
	shard   *shard
	address string                             // a certain node of a cluster; empty: any
	sharded bool                               // its channels go by SSUBSCRIBE
	deliver func(*line, rueidis.PubSubMessage) // what to do with messages
	onLost  func()                             // called after a loss; may be nil

	kicked    chan struct{}
	connected atomic.Bool
	heard     atomic.Uint64 // messages that came

	mu        sync.Mutex
	interests []*interest

	// Only the reading goroutine touches these.
	patience patience
	epochs   epochCache

	// Only the goroutine of run touches these.
	conn     rueidis.DedicatedClient
	names    names
	restored map[*interest]uint32    // the epoch of the subscriptions made on this connection
	held     map[*interest]time.Time // until when nothing is sent, after a refusal
	window   time.Time               // since when channels are counted
	inWindow int                     // how many were sent since
	everLost bool
	probe    probe
}

func newLine(s *shard, address string, sharded bool, deliver func(*line, rueidis.PubSubMessage), interests ...*interest) *line {
	l := &line{
		shard: s, address: address, sharded: sharded, deliver: deliver,
		kicked: make(chan struct{}, 1), interests: interests, patience: newPatience(s.link.IOTimeout()),
	}
	for _, p := range interests {
		p.line.Store(l)
	}
	return l
}

// kick makes run look for work.
func (l *line) kick() {
	select {
	case l.kicked <- struct{}{}:
	default:
	}
}

// list is the interests that the line serves now.
func (l *line) list() []*interest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.interests
}

// setInterests gives the line other ones.
func (l *line) setInterests(list []*interest) {
	l.mu.Lock()
	l.interests = list
	l.mu.Unlock()
	l.kick()
}

// run connects and serves until ctx ends.
func (l *line) run(ctx context.Context) {
	for delay := redialFirst; ctx.Err() == nil; delay = min(2*delay, redialLast) {
		err := l.connection(ctx)
		reached := l.connected.Swap(false)
		if ctx.Err() != nil {
			return
		}
		l.lose(reached, err)
		if reached {
			delay = redialFirst
		}
		l.pause(ctx, delay)
	}
}

// lose notes that all subscriptions are gone.
func (l *line) lose(reached bool, err error) {
	for _, p := range l.list() {
		p.renew(false)
	}
	if reached {
		l.everLost = true
		l.log().Warn("the connection for subscriptions is lost; what is published until it is back does not arrive", "error", err)
	}
	patience := l.shard.patience()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		patience = 0 // they have waited long enough
	}
	l.giveUp(patience)
	if l.onLost != nil {
		l.onLost()
	}
}

// log says which connection it is.
func (l *line) log() *slog.Logger {
	of := "channels"
	if l == l.shard.controlLine {
		of = "control"
	}
	if l.address != anyOwner {
		return l.shard.log.With("of", of, "node", l.address)
	}
	return l.shard.log.With("of", of)
}

func (l *line) giveUp(patience time.Duration) {
	for _, p := range l.list() {
		p.giveUp(patience, engine.ErrUnreachable)
	}
}

// pause waits for d, and answers who subscribes meanwhile.
func (l *line) pause(ctx context.Context, d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(l.shard.patience() / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-l.kicked:
		case <-tick.C:
		}
		l.giveUp(l.shard.patience())
	}
}

// connection dials, and serves until the connection is lost. The error says why.
func (l *line) connection(ctx context.Context) error {
	conn, err := l.dial()
	if err != nil {
		return err
	}
	lost := conn.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: func(m rueidis.PubSubMessage) {
			l.heard.Add(1)
			l.deliver(l, m)
		},
		OnSubscription: func(s rueidis.PubSubSubscription) { l.onSubscription(s) },
	})
	defer func() {
		conn.Close()
		for range lost { // until nothing is delivered any more
		}
	}()
	l.conn, l.restored, l.held = conn, make(map[*interest]uint32), make(map[*interest]time.Time)
	l.names = l.shard.names()
	if err := l.openProbe(ctx); err != nil {
		return err
	}
	l.connected.Store(true)
	for first := true; ; first = false {
		if err := l.serve(ctx); err != nil {
			return err
		}
		if first && l.everLost {
			l.log().Info("the connection for subscriptions is back, and all were made anew")
		}
		if err := l.wait(ctx, lost); err != nil {
			return err
		}
	}
}

// dial takes a connection for ourselves alone.
func (l *line) dial() (rueidis.DedicatedClient, error) {
	client, err := l.shard.link.Client()
	if err != nil {
		return nil, err
	}
	if l.address != anyOwner {
		node, known := client.Nodes()[l.address]
		if !known {
			return nil, fmt.Errorf("%w: the cluster has no node %s any more", engine.ErrUnreachable, l.address)
		}
		client = node
	}
	conn, _ := client.Dedicate()
	return conn, nil
}

// serve does what there is to do: it restores what was lost and sends one batch of each interest.
func (l *line) serve(ctx context.Context) error {
	var batches []batch
	for _, p := range l.list() {
		if l.restored[p] != p.current() {
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
		if time.Now().Before(l.held[p]) {
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

// errEnded is why a connection is lost that tells no reason.
var errEnded = errors.New("the connection was closed")

// wait returns when there is something to serve, with an error when there is no connection to do so. The first channel goes at
// once, later ones gather.
func (l *line) wait(ctx context.Context, lost <-chan error) error {
	for {
		due, err := l.due(ctx)
		if err != nil || due <= 0 {
			return err
		}
		timer := time.NewTimer(due)
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case err = <-lost:
			if err == nil {
				err = errEnded
			}
		case <-l.kicked:
		case <-timer.C:
		}
		timer.Stop()
		if err != nil {
			return err
		}
	}
}

// due is when the next batch may go, or when the connection has to be probed.
func (l *line) due(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	next, err := l.checkProbe(ctx, now)
	if err != nil {
		return 0, err
	}
	for _, p := range l.list() {
		waiting, held := p.waiting(), l.held[p].Sub(now)
		switch {
		case l.restored[p] != p.current():
			return 0, nil
		case waiting == 0:
		case held > 0:
			next = min(next, held)
		case waiting >= batchMax || l.inWindow <= stormMin:
			return 0, nil
		default:
			next = min(next, l.window.Add(gatherFor).Sub(now))
		}
	}
	return next, nil
}

// newID makes the name of a connection, for its probe.
func newID() string { return fmt.Sprintf("%016x", rand.Uint64()) }
