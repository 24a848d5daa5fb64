package redisengine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine"
)

// A connection that is lost is dialled again after redialFirst, then ever later up to redialLast.
const (
	redialFirst = 10 * time.Millisecond
	redialLast  = time.Second
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
		case p.line.Load() != l: // it may have moved on just now
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
