// Package gate is what all transports ask before they let a client in: whether its page may connect, and whether there is room. One
// gate stands before all transports of a node, so that its limits hold for their clients together, whichever way those come.
//
//	request ── Allowed ──► origin of the page (client.allowed_origins)
//	        ── Admit ────► connection_limit_per_ip, connection_limit, connection_rate_limit ──► Ticket
//	session ── Enter ────► receiver that gives its place back when the conn has gone
//
// A session whose end nobody has to count is its own receiver, so that a node without limits pays nothing for them.
package gate

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"stentor/reactor/loop"
	"stentor/reactor/quiet"
	"stentor/server/metrics"
	"stentor/server/session"
)

// Origins decides whether pages of an origin may connect.
type Origins interface {
	Allowed(origin string) bool
}

// Config is what a Gate needs.
type Config struct {
	ConnectionsMax  int    // of this node; 0 is no limit. Those that come at the same moment may pass it by a few
	PerAddressMax   int    // the same of one client address
	ConnectionsRate int    // token bucket: burst, refilled by one a second; 0 is no limit
	UserIDHeader    string // names a trusted user; empty for none
	Draining        *atomic.Bool
	Log             *slog.Logger
	Now             func() time.Time // nil: time.Now
}

// Gate admits clients. Any goroutine may use it: a request comes on a loop, or from net/http.
type Gate struct {
	cfg     Config
	origins atomic.Pointer[Origins]
	rate    *bucket
	open    atomic.Int64 // clients, if there is a limit
	sources *sources     // nil if there is no limit per address

	refusedOrigin, refusedLimit, refusedAddress atomic.Uint64

	strangers quiet.Line // the log line about an origin: anyone can send any
}

// New makes a gate that admits pages of origins.
func New(cfg Config, origins Origins) *Gate {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	g := &Gate{cfg: cfg, rate: newBucket(cfg.ConnectionsRate, cfg.Now)}
	if cfg.PerAddressMax > 0 {
		g.sources = newSources(cfg.PerAddressMax)
	}
	g.SetOrigins(origins)
	return g
}

// SetOrigins replaces the rule for requests that come from now on. Any goroutine may call it.
func (g *Gate) SetOrigins(o Origins) { g.origins.Store(&o) }

// Allowed reports whether a page of this origin may connect; a request without one always may. The log is told of those that may not.
func (g *Gate) Allowed(origin string) bool {
	if origin == "" || (*g.origins.Load()).Allowed(origin) {
		return true
	}
	g.tellOrigin(origin)
	return false
}

// originLoggedMax is how much of an Origin goes to the log, in bytes.
const originLoggedMax = 200

// tellOrigin logs what to change.
func (g *Gate) tellOrigin(origin string) {
	g.refusedOrigin.Add(1)
	g.strangers.SayAt(g.cfg.Now(), g.cfg.Log, slog.LevelInfo,
		"a page of this origin may not connect; to allow it, add the origin to client.allowed_origins",
		"origin", origin[:min(len(origin), originLoggedMax)])
}

// Header is a request's header as a transport has it.
type Header interface {
	// Header is the first value of a field, "" if there is none.
	Header(name string) string
}

// Peer is who asks to be let in.
type Peer interface {
	// RemoteAddr is "host:port".
	RemoteAddr() string
}

// User is the user that the trusted header names, if there is such a header. The string is the caller's.
func (g *Gate) User(h Header) string {
	if g.cfg.UserIDHeader == "" {
		return ""
	}
	return strings.Clone(h.Header(g.cfg.UserIDHeader))
}

// Full is what a client gets to read, with status 503, who is not admitted.
const Full = "connection limit reached\n"

// Ticket admits one client.
type Ticket struct{ from source }

// Admit asks for a place. It is taken when the client enters.
func (g *Gate) Admit(p Peer) (t Ticket, ok bool) {
	if g.sources != nil {
		t.from = sourceOf(p.RemoteAddr())
	}
	if !g.Holds(t) { // before it takes a token from others
		return Ticket{}, false
	}
	if !g.rate.take() {
		g.refusedLimit.Add(1)
		return Ticket{}, false
	}
	return t, true
}

// Holds reports that there still is a place for a ticket. Where a client may take its time between the two, it is asked again before
// the client enters: many may have been admitted while there was one place.
func (g *Gate) Holds(t Ticket) bool {
	if g.sources != nil && g.sources.full(t.from) {
		g.refusedAddress.Add(1)
		return false
	}
	if g.cfg.ConnectionsMax > 0 && g.open.Load() >= int64(g.cfg.ConnectionsMax) {
		g.refusedLimit.Add(1)
		return false
	}
	return true
}

// Refused counts requests of pages that may not connect, and clients that were not admitted, by the limit that they met.
func (g *Gate) Refused() (byOrigin, byLimit, byAddress uint64) {
	return g.refusedOrigin.Load(), g.refusedLimit.Load(), g.refusedAddress.Load()
}

// Receiver is a session as its conn sees it.
type Receiver interface {
	Receive(msg []byte)
	Expire(now loop.Time)
	Order(what any)
	Pong()
	Farewell(code uint16, reason string) []byte
	Transport() metrics.Transport
	Closed()
}

// Draining reports that the node sends everybody away: a session that was just made gets the order codec.DisconnectShutdown once its
// conn is open.
func (g *Gate) Draining() bool { return g.cfg.Draining.Load() }

// Enter takes the place of a ticket for a session that was just made. It returns what the conn has to tell of everything in the
// session's stead, its end included.
func (g *Gate) Enter(s *session.Session, t Ticket) Receiver {
	if g.cfg.ConnectionsMax == 0 && g.sources == nil {
		return s
	}
	g.open.Add(1)
	if g.sources == nil {
		return &counted{s, g}
	}
	g.sources.take(t.from)
	return &sourced{counted{s, g}, t.from}
}

// counted is a session whose end has to be counted, because there is a limit.
type counted struct {
	*session.Session
	gate *Gate
}

// Closed gives the place back.
func (c *counted) Closed() {
	c.gate.open.Add(-1)
	c.Session.Closed()
}

// sourced is one whose source has a limit.
type sourced struct {
	counted
	from source
}

// Closed gives both places back.
func (c *sourced) Closed() {
	c.gate.sources.give(c.from)
	c.counted.Closed()
}

// Open is how many clients are inside, 0 if there is no limit, and from how many sources, 0 if those are not counted.
func (g *Gate) Open() (clients, sources int) {
	if g.sources != nil {
		sources = g.sources.known()
	}
	return int(g.open.Load()), sources
}
