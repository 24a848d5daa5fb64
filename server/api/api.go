package api

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/quiet"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/metrics"
)

// Broker is where publications go, and where they are kept.
type Broker interface {
	// Publish owns p after the call. engine.ErrOverloaded means that nothing happened.
	Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error)
	// History reads what a channel keeps, and its position. A Since of another epoch is engine.ErrEpoch.
	History(ctx context.Context, channel string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error)
	// RemoveHistory drops what a channel keeps, but for its position.
	RemoveHistory(ctx context.Context, channel string) error
	// Local reports that Publish never waits, so that it is not worth a goroutine.
	Local() bool
}

// Presence knows who is in a channel.
type Presence interface {
	// Presence is who is there, by client id.
	Presence(ctx context.Context, channel string) (map[string]*codec.ClientInfo, error)
	PresenceStats(ctx context.Context, channel string) (engine.PresenceStats, error)
}

// Target says which sessions an order is for: those of a user, narrowed by what else is set. A user "" is the anonymous one. An
// order for a session or client that has gone is no error.
type Target struct {
	User      string
	Client    string   // public client id
	Session   string   // secret session id
	Whitelist []string // client ids that are spared
}

// Clients gives orders to the sessions of all nodes. An error means that some of them may not get the order.
type Clients interface {
	Disconnect(ctx context.Context, to Target, why codec.Disconnect) error
	// Unsubscribe ends the subscriptions to channel, or all of them when it is empty.
	Unsubscribe(ctx context.Context, to Target, channel string, why codec.Unsubscribe) error
	Subscribe(ctx context.Context, to Target, order Subscribe) error
	Refresh(ctx context.Context, to Target, order Refresh) error
}

// Subscribe is what sessions are to be subscribed to.
type Subscribe struct {
	Channel  string
	Info     []byte // of the client in this channel; nil is none
	Data     []byte // for the client's subscribe push; nil is none
	ExpireAt int64  // unix seconds at which the subscription expires; 0 is never
	// RecoverSince is where to recover from; nil is nowhere.
	RecoverSince *codec.StreamPosition
	Override     auth.Override
}

// Refresh is how sessions are to go on.
type Refresh struct {
	Expired  bool   // they end
	ExpireAt int64  // unix seconds at which they expire; 0 is never
	Info     []byte // of the connection from now on; nil leaves it
}

// Node knows what goes on in the cluster.
type Node interface {
	// Channels are the channels with subscribers that match a glob pattern, and how many those are, on all nodes together. A bad
	// pattern is ErrPattern. After any error nothing is returned: some of the nodes would be better than none only for a person.
	Channels(ctx context.Context, pattern string) (map[string]int, error)
	// Info describes the nodes, at least this one.
	Info() []NodeInfo
}

// Config is what an API is made of.
type Config struct {
	// Protocol names the mouth in metrics: "http", "grpc".
	Protocol string
	Broker   Broker
	Presence Presence
	Clients  Clients
	Node     Node
	Metrics  *metrics.Metrics
	Log      *slog.Logger
	// QueueBytesMax is what a connection may have queued; 0 is 1 MiB. It bounds publications: a larger one would not arrive but
	// disconnect every subscriber as slow.
	QueueBytesMax int
}

// API is the server API. Any goroutine may use it.
type API struct {
	cfg     Config
	counts  *metrics.API
	rules   atomic.Pointer[channel.Rules]
	helpers chan struct{} // one place for each goroutine that helps

	failures quiet.Line // one request may have as many as it has channels

	publicationBytesMax int
	responseBytesMax    int // ResponseBytesMax; less in tests
}

// New makes an API over what cfg names. All fields but QueueBytesMax are needed.
func New(cfg Config, rules *channel.Rules) *API {
	if cfg.QueueBytesMax <= 0 {
		cfg.QueueBytesMax = 1 << 20
	}
	a := &API{
		cfg:     cfg,
		counts:  cfg.Metrics.API(cfg.Protocol, metricNames()),
		helpers: make(chan struct{}, HelpersMax),

		publicationBytesMax: cfg.QueueBytesMax - cfg.QueueBytesMax/publicationRoom,
		responseBytesMax:    ResponseBytesMax,
	}
	a.rules.Store(rules)
	return a
}

// SetRules replaces the channel rules for requests that come from now on. Any goroutine may call it.
func (a *API) SetRules(rules *channel.Rules) { a.rules.Store(rules) }

func (a *API) now() time.Time { return time.Now() }

// done counts a call. It is deferred, so that err is what the call answered.
func (a *API) done(m int, began time.Time, err **Error) {
	a.counts.Command(m, time.Since(began))
	if *err != nil {
		a.counts.Error(m, (*err).Code)
	}
}

// bad is error 107. Whoever wonders what was bad turns debug logs on: the wire says no more than the reference does.
func (a *API) bad(m int, why string, args ...any) *Error {
	a.cfg.Log.Debug("bad API request: "+why, append(args, "method", methods[m].name)...)
	return ErrorBadRequest
}

// resolve finds what holds for a channel, or error 102.
func (a *API) resolve(name string) (channel.Channel, *Error) {
	ch, err := a.rules.Load().Resolve(name)
	if err != nil {
		a.cfg.Log.Debug("API request for a channel of an unknown namespace; add it to channel.namespaces", "channel", name,
			"namespace", ch.Namespace)
		return ch, errorOf(err)
	}
	return ch, nil
}

// failure makes an answer of what an engine said.
func (a *API) failure(what, channel string, err error) *Error {
	var known *codec.Error
	switch {
	case errors.As(err, &known):
		return errorOf(known)
	case errors.Is(err, engine.ErrOverloaded):
		a.cfg.Metrics.Overloaded()
		return ErrorInternal
	case errors.Is(err, engine.ErrNotAvailable):
		return ErrorNotAvailable
	case errors.Is(err, context.Canceled): // the caller has gone
		return ErrorInternal
	}
	a.failures.Say(a.cfg.Log, slog.LevelError, "API call failed", "call", what, "channel", channel, "error", err)
	return ErrorInternal
}
