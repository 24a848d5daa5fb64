// Package natsengine carries publications, joins and leaves between nodes through NATS, and their control messages. It keeps
// nothing: what is published while a node has no connection does not come there.
//
//	Publish, PublishJoin ──► batch ──► Run: PUB for each ──► one flush ──► the callers go on
//	Subscribe, Unsubscribe ──► orders ──► Run: SUB, UNSUB for up to 4,096 ──► the same flush ──► Reporter.Subscribed
//	NATS ──► intake ──► queue of a deliverer ──► decoded ──► Receiver.Publication, Join, Leave ──► Wake
//	NATS ──► queue of the bus ──► what Listen was given
//
// One goroutine, that of Run, does all that needs a flush: a PING behind what was written, and the PONG that comes when the server has
// dealt with all of it. A round does so for whatever has gathered, so a hundred publishers who wait at once cost one PING, and a
// hundred thousand subscriptions twenty-five. Hence a publish that returned nil has reached the server, and an error comes within twice
// the write timeout if the server does not answer. As with every server that does not answer, such a publication may have been
// carried all the same.
//
// Connections. A nats.Conn here lives as long as its socket. When that is lost (or silent for three seconds), Run makes
// another one, for ever: it subscribes anew to all channels, only then lets publishes through, and tells Reporter.Resumed.
// Between two connections everything is answered with engine.ErrUnreachable at once. The library could reconnect by itself, but then
// it would take what is published into a buffer whose fate nobody learns, hold its lock while it dials, and give up for good on errors
// that it does not know.
//
// Order and bounds. A channel belongs to one deliverer, a goroutine with a queue, so its messages stay in order; the number of
// goroutines does not depend on that of channels. When the queues are half full, or hold QueueBytesMax, the socket is not read any
// further, and NATS keeps what comes; so a queue never overflows. If a loop does not take more (Receiver.Admit), its deliverer waits, but no
// more than one second in five; then it drops and counts. NATS has no offsets by which anybody could find out.
//
// Subjects. A channel is the subject prefix.client.<channel>, with the message Push of the client protocol in Protobuf; or in
// raw mode a bare subject with nothing but the data. Names that are no subjects (spaces, control characters, empty tokens between dots)
// are refused. With AllowWildcards the tokens * and > in a subscribed channel are those of NATS, and the server does the matching:
// the receiver gets what came as a publication of the pattern, with the channel where it was published in its field Channel. So the
// node must not match patterns by itself on top. Joins and leaves do not go to patterns, as everywhere.
//
// Positions. Whoever keeps history beside NATS gives the offsets, and Hand carries them along: see package redisnats.
//
// A subscription costs some 350 bytes on the heap, most of it in nats.go (TestSubscriptionBytes).
package natsengine

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"stentor/codec"
	"stentor/engine"
)

// Config of an engine. URL is needed, and Prefix unless the defaults are meant.
type Config struct {
	// URL has one server of a cluster or several, separated by commas: nats://host:4222, tls://user:password@host, token@host.
	URL string
	// Prefix begins all subjects; empty: PrefixDefault.
	Prefix string
	// DialTimeout bounds a connect with all its handshakes; 0: TimeoutDefault.
	DialTimeout time.Duration
	// WriteTimeout bounds a write and a flush; 0: TimeoutDefault.
	WriteTimeout time.Duration
	// TLS makes connections secure; nil leaves it to the URL and the server.
	TLS *tls.Config
	// Name is what the server calls this client in its reports.
	Name string
	// AllowWildcards gives * and > in the channels that are subscribed to their meaning in NATS.
	AllowWildcards bool
	// Within reports that a pattern may reach a channel that it matches; nil: each. NATS knows neither namespaces nor private channels.
	Within func(pattern, channel string) bool
	// Raw maps channels to bare subjects.
	Raw Raw
	// Positions says that publications have offsets and epochs, which whoever keeps history has given them: see Hand.
	Positions bool
}

// epochTag carries the epoch of a position. Centrifugo does so, too.
const epochTag = "__centrifugo_epoch"

// Raw is how channels become subjects of others.
type Raw struct {
	Enabled bool
	// Prefix begins the subjects, as it is.
	Prefix string
	// Replacements are made in the channel's name; where several fit, the longest.
	Replacements map[string]string
}

// Defaults of Config.
const (
	PrefixDefault  = "centrifugo"
	TimeoutDefault = time.Second
)

// Engine implements engine.Broker and engine.Bus.
type Engine struct {
	cfg   Config
	node  engine.Node
	log   *slog.Logger
	names names
	stats stats

	orders  orders
	work    chan struct{} // Run has something to do
	live    atomic.Pointer[link]
	started chan struct{} // closed when the first attempt to connect has ended

	// Only Run touches these.
	servers  []string // URLs, those that a server told of included
	failures int      // attempts to connect since the last connection
	subs     map[string]*nats.Subscription
	routes   routes // guards itself

	intake     intake
	deliverers []*deliverer
	bus        bus

	quiet seldom // log lines that could come with every message
}

var (
	_ engine.Broker = (*Engine)(nil)
	_ engine.Bus    = (*Engine)(nil)
)

// New makes an engine for node. It connects when it runs.
func New(cfg Config, node engine.Node, log *slog.Logger) (*Engine, error) {
	cfg.Prefix = cmp.Or(cfg.Prefix, PrefixDefault)
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, TimeoutDefault)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, TimeoutDefault)
	servers, err := servers(cfg.URL)
	if err != nil {
		return nil, err
	}
	n, err := newNames(&cfg)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg:     cfg,
		node:    node,
		log:     log,
		names:   n,
		work:    make(chan struct{}, 1),
		started: make(chan struct{}),
		servers: servers,
		subs:    make(map[string]*nats.Subscription),
		bus:     bus{queue: make(chan *nats.Msg, busQueueItemsMax)},
	}
	for range deliverersCount {
		e.deliverers = append(e.deliverers, &deliverer{engine: e, queue: make(chan *nats.Msg, QueueItemsMax), budget: AdmitWaitMax})
		e.intake.queues = append(e.intake.queues, e.deliverers[len(e.deliverers)-1].queue)
	}
	return e, nil
}

// Abilities implements engine.Broker.
func (e *Engine) Abilities() engine.Ability {
	var can engine.Ability
	if !e.cfg.Raw.Enabled {
		can |= engine.Joins
	}
	if e.cfg.AllowWildcards {
		can |= engine.Wildcards
	}
	return can
}

// Local implements engine.Broker.
func (e *Engine) Local() bool { return false }

// Publish implements engine.Broker. The options about history, idempotency and deltas have no meaning here; a version is carried.
func (e *Engine) Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	p.Offset, p.Epoch, p.Version = 0, "", o.Version
	return engine.PublishResult{}, e.carry(ctx, &codec.Push{Channel: channel, Pub: p})
}

// PublishJoin implements engine.Broker. Who is subscribed to a pattern is in no channel, so there is nothing to be told of.
func (e *Engine) PublishJoin(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return e.announce(ctx, &codec.Push{Channel: channel, Join: &codec.Join{Info: info}})
}

// PublishLeave implements engine.Broker.
func (e *Engine) PublishLeave(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return e.announce(ctx, &codec.Push{Channel: channel, Leave: &codec.Leave{Info: info}})
}

func (e *Engine) announce(ctx context.Context, m *codec.Push) error {
	if e.cfg.Raw.Enabled {
		return engine.ErrNotAvailable
	}
	if e.names.isPattern(m.Channel) {
		return nil
	}
	return e.carry(ctx, m)
}

// carry hands m to the next round and waits until the server has it.
func (e *Engine) carry(ctx context.Context, m *codec.Push) error {
	t, err := e.hand(ctx, m)
	if err != nil {
		return err
	}
	return t.wait(ctx)
}

// Hand puts p, which somebody else gave the position at, behind everything that was handed before. When wait returns nil, the server has
// it. It needs Config.Positions.
func (e *Engine) Hand(ctx context.Context, channel string, p *codec.Publication, at codec.StreamPosition) (wait func(context.Context) error, err error) {
	p.Offset, p.Epoch = at.Offset, ""
	tags := p.Tags
	p.Tags = make(map[string]string, len(tags)+1)
	maps.Copy(p.Tags, tags)
	p.Tags[epochTag] = at.Epoch
	t, err := e.hand(ctx, &codec.Push{Channel: channel, Pub: p})
	return t.wait, err
}

// ticket is a place in a batch.
type ticket struct {
	engine *Engine
	batch  *batch
	at     int
}

func (e *Engine) hand(ctx context.Context, m *codec.Push) (ticket, error) {
	subject, err := e.names.publishSubject(m.Channel)
	if err != nil {
		return ticket{}, err
	}
	l, err := e.linked(ctx)
	if err != nil {
		return ticket{}, err
	}
	b, at, err := l.add(parcel{subject: subject, payload: e.payload(m)})
	if err != nil {
		return ticket{}, err
	}
	e.kick()
	return ticket{e, b, at}, nil
}

// wait waits until the server has what was handed.
func (t ticket) wait(ctx context.Context) error {
	select {
	case <-t.batch.done:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", engine.ErrUnreachable, ctx.Err())
	}
	err := t.batch.parcels[t.at].err
	if err == nil {
		t.engine.stats.published.Add(1)
	}
	return err
}

// payloadSpare is room for what a payload usually has besides data: names of fields, the client that published.
const payloadSpare = 96

// payload is m as it is carried.
func (e *Engine) payload(m *codec.Push) []byte {
	if e.cfg.Raw.Enabled {
		return m.Pub.Data
	}
	size := payloadSpare + len(m.Channel)
	if m.Pub != nil {
		size += len(m.Pub.Data)
	}
	return codec.AppendCarried(make([]byte, 0, size), m)
}

// startWaitMax is how long calls wait at the very beginning, until the first attempt to connect has ended.
const startWaitMax = 5 * time.Second

// linked is the connection, or engine.ErrUnreachable.
func (e *Engine) linked(ctx context.Context) (*link, error) {
	if l := e.live.Load(); l != nil {
		return l, nil
	}
	select {
	case <-e.started:
	default:
		patience := time.NewTimer(startWaitMax)
		defer patience.Stop()
		select {
		case <-e.started:
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	if l := e.live.Load(); l != nil {
		return l, nil
	}
	return nil, engine.ErrUnreachable
}

// History implements engine.Broker.
func (e *Engine) History(context.Context, string, engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	return nil, codec.StreamPosition{}, engine.ErrNotAvailable
}

// RemoveHistory implements engine.Broker.
func (e *Engine) RemoveHistory(context.Context, string) error { return engine.ErrNotAvailable }

// Subscribe implements engine.Broker.
func (e *Engine) Subscribe(channel string) { e.order(channel, true) }

// Unsubscribe implements engine.Broker.
func (e *Engine) Unsubscribe(channel string) { e.order(channel, false) }

func (e *Engine) order(channel string, subscribe bool) {
	e.orders.add(channel, subscribe)
	e.kick()
}

// kick has Run look for work.
func (e *Engine) kick() {
	select {
	case e.work <- struct{}{}:
	default:
	}
}

// stats are counted while the engine works.
type stats struct {
	published, received, dropped, slow, malformed, refused, connects, resubscribed, subscriptions atomic.Int64
}

// Stats are counters since the start, and sizes.
type Stats struct {
	Published    int64 // messages that the server has confirmed, without those of the bus
	Received     int64 // messages of channels
	Dropped      int64 // of those that loops did not take in time
	SlowConsumer int64 // times that control messages came too fast and some were lost
	Malformed    int64 // of those received that could not be read
	Refused      int64 // subscriptions and messages that the server's permissions or limits did not allow
	Connects     int64
	Resubscribed int64 // subscriptions made anew after a loss: what was published meanwhile did not come

	Connected     bool
	Subscriptions int64
}

// Stats counts.
func (e *Engine) Stats() Stats {
	s := &e.stats
	return Stats{
		Published: s.published.Load(), Received: s.received.Load(), Dropped: s.dropped.Load(), SlowConsumer: s.slow.Load(), Malformed: s.malformed.Load(),
		Refused: s.refused.Load(), Connects: s.connects.Load(), Resubscribed: s.resubscribed.Load(),
		Connected: e.live.Load() != nil, Subscriptions: s.subscriptions.Load(),
	}
}

// seldom lets a log line through once in a while.
type seldom struct{ next atomic.Int64 }

// logPause is the least time between two lines of one kind.
const logPause = 10 * time.Second

func (s *seldom) now() bool {
	now, next := time.Now().UnixNano(), s.next.Load()
	return now >= next && s.next.CompareAndSwap(next, now+int64(logPause))
}

// redacted is a URL without its password or token.
func redacted(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		scheme, rest = "nats", url
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "…@" + rest[i+1:]
	}
	return scheme + "://" + rest
}
