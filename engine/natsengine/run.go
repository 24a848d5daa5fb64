package natsengine

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"stentor/engine"
)

// retryPause lies between two attempts to connect. As much again comes on top by chance, so that nodes do not all come at once.
const retryPause = 250 * time.Millisecond

// livedEnough is how long a connection has to have lived for the next one to be tried without a pause.
const livedEnough = 5 * time.Second

// ordersPerRound is how many subscriptions begin or end with one flush.
const ordersPerRound = 4096

// Run implements engine.Broker. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	var works sync.WaitGroup
	for _, d := range e.deliverers {
		works.Go(func() { d.run(ctx) })
	}
	works.Go(func() { e.bus.run(ctx) })
	pause := false
	for ctx.Err() == nil {
		l := e.reach(ctx, pause)
		if l == nil {
			break
		}
		began := time.Now()
		e.serve(ctx, l)
		pause = time.Since(began) < livedEnough
	}
	works.Wait()
	return nil
}

// reach connects, however long that takes and perhaps after a pause, and turns down all orders meanwhile. It returns nil when ctx ends.
func (e *Engine) reach(ctx context.Context, pause bool) *link {
	for ; ctx.Err() == nil; pause = true {
		if pause {
			pausing, cancel := context.WithTimeout(ctx, retryPause+rand.N(retryPause))
			e.refuseUntil(pausing.Done())
			cancel()
		}
		var l *link
		done := make(chan struct{})
		go func() {
			defer close(done)
			l = e.attempt(ctx)
		}()
		if e.refuseUntil(done); l != nil {
			return l
		}
		e.start()
	}
	return nil
}

// attemptsBetweenLogs is after how many failures another line is logged: some 30 seconds.
const attemptsBetweenLogs = 64

// attempt connects, or returns nil.
func (e *Engine) attempt(ctx context.Context) *link {
	l, err := e.connect(ctx)
	if err == nil {
		e.failures = 0
		return l
	}
	if ctx.Err() == nil && e.failures%attemptsBetweenLogs == 0 {
		e.log.Error("NATS cannot be reached; trying on", "url", redactedAll(e.servers), "attempts", e.failures+1, "error", err)
	}
	e.failures++
	return nil
}

// start ends the waiting of those who came before the first attempt to connect.
func (e *Engine) start() {
	select {
	case <-e.started:
	default:
		close(e.started)
	}
}

// refuseUntil turns down orders until done. Before the first attempt to connect has ended they wait.
func (e *Engine) refuseUntil(done <-chan struct{}) {
	work := e.work
	select {
	case <-e.started:
	default:
		work = nil
	}
	for {
		select {
		case <-done:
			return
		case <-work:
			for more := true; more; {
				var list []*order
				list, more = e.orders.take(ordersPerRound)
				for _, o := range list {
					e.forget(o.channel)
					e.tell(o, engine.ErrUnreachable)
				}
			}
		}
	}
}

func redactedAll(servers []string) string {
	list := make([]string, len(servers))
	for i, one := range servers {
		list[i] = redacted(one)
	}
	return strings.Join(list, ",")
}

// serve works with a connection until it or ctx ends.
func (e *Engine) serve(ctx context.Context, l *link) {
	defer func() {
		e.start()
		e.live.Store(nil)
		l.end()
	}()
	if err := e.resume(l); err != nil {
		if ctx.Err() == nil {
			e.log.Error("the connection to NATS was lost while subscribing anew", "error", err)
		}
		return
	}
	e.live.Store(l)
	e.start()
	e.log.Info(e.connected(), "url", redacted(l.nc.ConnectedUrlRedacted()), "server", l.nc.ConnectedServerName(), "subscriptions", len(e.subs))
	for {
		select {
		case <-ctx.Done():
			e.round(l)
			_ = l.nc.FlushTimeout(e.cfg.WriteTimeout) // the last words to other nodes, for which nobody waits
			return
		case <-l.ended:
			e.log.Error("the connection to NATS was lost", "error", l.nc.LastError())
			e.servers = append(e.configured(), l.nc.DiscoveredServers()...)
			return
		case <-e.work:
			e.round(l)
		}
	}
}

// connected says that the engine works.
func (e *Engine) connected() string {
	if e.stats.connects.Load() > 1 {
		return "connected to NATS again"
	}
	return "connected to NATS"
}

// configured are the servers that the configuration names.
func (e *Engine) configured() []string {
	list, _ := servers(e.cfg.URL) // New has looked
	return list
}

// resume makes all subscriptions on a new connection, and tells of them if there were any.
func (e *Engine) resume(l *link) error {
	e.stats.connects.Add(1)
	if err := e.subscribeBus(l); err != nil {
		return err
	}
	names := slices.Collect(maps.Keys(e.subs))
	for some := range slices.Chunk(names, ordersPerRound) {
		for _, channel := range some {
			if err := e.subscribe(l, channel); err != nil {
				return err
			}
		}
		refused, err := l.flush(e.cfg.WriteTimeout)
		if err != nil {
			return err
		}
		if n := len(refused.subscribe); n > 0 || refused.full != nil {
			e.log.Error("NATS refuses subscriptions that it had taken before; their channels are silent", "count", n, "limit", refused.full)
		}
	}
	for some := range slices.Chunk(names, ordersPerRound) {
		e.node.Resumed(some)
	}
	e.stats.resubscribed.Add(int64(len(names)))
	return nil
}

// round carries out orders and confirms publishes, all with one flush.
func (e *Engine) round(l *link) {
	list, more := e.orders.take(ordersPerRound)
	if more {
		e.kick()
	}
	if !l.bus && e.bus.listening() {
		if err := e.subscribeBus(l); err != nil {
			e.log.Error("NATS: the subjects of the nodes cannot be subscribed to", "error", err)
		}
	}
	waiting := list[:0]
	for _, o := range list {
		if e.carryOut(l, o) {
			waiting = append(waiting, o)
		}
	}
	b := l.take()
	if len(waiting) == 0 && b == nil {
		return
	}
	if b != nil {
		l.write(b)
	}
	refused, err := l.flush(e.cfg.WriteTimeout)
	if b != nil {
		b.finish(refused.publish, err)
	}
	for _, o := range waiting {
		e.conclude(o, refused, err)
	}
}

// carryOut begins or ends a subscription. It reports whether the outcome has to wait for the flush.
func (e *Engine) carryOut(l *link, o *order) bool {
	_, is := e.subs[o.channel]
	switch {
	case o.subscribe && !is:
		if err := e.subscribe(l, o.channel); err != nil {
			e.tell(o, err)
			return false
		}
		return true
	case !o.subscribe && is:
		e.forget(o.channel)
	}
	e.tell(o, nil)
	return false
}

// conclude tells the outcome of a subscription that was begun.
func (e *Engine) conclude(o *order, refused refusals, err error) {
	if err == nil {
		err = refused.full
	}
	if err == nil {
		if s := e.subs[o.channel]; s != nil {
			err = refused.subscribe[s.Subject]
		}
	}
	if err != nil {
		e.forget(o.channel)
	}
	e.tell(o, err)
}

// tell tells the outcome of an order as often as it was given.
func (e *Engine) tell(o *order, err error) {
	for range o.calls {
		e.node.Subscribed(o.channel, err)
	}
}

// seed is of this process, so that nobody can choose channels that meet at one deliverer.
var seed = maphash.MakeSeed()

// subscribe has the messages of channel put into the queue of its deliverer.
func (e *Engine) subscribe(l *link, channel string) error {
	subject, err := e.names.subject(channel)
	if err != nil {
		return err
	}
	queue := e.deliverers[maphash.String(seed, channel)%deliverersCount].queue
	subscribe := func() (*nats.Subscription, error) { return l.nc.ChanSubscribe(subject, queue) }
	var s *nats.Subscription
	if e.names.replace == nil {
		s, err = subscribe()
	} else {
		s, err = e.routes.add(channel, subscribe)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", engine.ErrUnreachable, err)
	}
	if e.names.replace == nil {
		channel = s.Subject[len(e.names.base):] // the same text, held once
	}
	e.routes.remove(e.subs[channel])
	delete(e.subs, channel) // or the name, which is a part of the old subject, would stay as the key
	e.subs[channel] = s
	e.stats.subscriptions.Store(int64(len(e.subs)))
	return nil
}

// forget ends a subscription.
func (e *Engine) forget(channel string) {
	s := e.subs[channel]
	if s == nil {
		return
	}
	_ = s.Unsubscribe() // its connection may have ended before it
	e.routes.remove(s)
	delete(e.subs, channel)
	if len(e.subs) == 0 {
		e.subs = make(map[string]*nats.Subscription) // a map never gives memory back by itself
	}
	e.stats.subscriptions.Store(int64(len(e.subs)))
}
