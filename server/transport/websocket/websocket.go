// Package websocket is the WebSocket mouth of the client protocol (spec: client-protocol, section 1.1): it decides about an
// upgrade, and between a conn of the reactor and a session it turns ws messages into commands and frames into ws frames.
//
//	request head ── Route ──► verdict ── Open ──► session ◄── messages, deadlines, orders ── reactor
package websocket

import (
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/session"
)

// The subprotocols of the protocol.
const (
	subprotocolJSON     = "centrifuge-json"
	subprotocolProtobuf = "centrifuge-protobuf"
)

// Origins decides whether pages of an origin may connect.
type Origins interface {
	Allowed(origin string) bool
}

// Config is what an endpoint needs.
type Config struct {
	Node            *session.Node
	MessageBytesMax int    // larger: ws close 1009
	UserIDHeader    string // names a trusted user; empty for none
	ConnectionsMax  int    // of this node; 0 is no limit. Over it: 503. Upgrades that meet may pass it by one a loop
	ConnectionsRate int    // token bucket: burst, refilled by one a second; 0 is no limit. Over it: 503
	Draining        *atomic.Bool
	Log             *slog.Logger
	Now             func() time.Time // nil: time.Now
}

// Endpoint is one WebSocket endpoint. Any goroutine may use it: a request comes on a loop, or from net/http.
type Endpoint struct {
	cfg     Config
	origins atomic.Pointer[Origins]
	rate    *bucket
	open    atomic.Int64 // sessions, if there is a limit

	refusedOrigin, refusedLimit atomic.Uint64
	toldAt                      atomic.Int64 // unix seconds of the last log line about an origin
}

// New makes an endpoint that admits pages of origins.
func New(cfg Config, origins Origins) *Endpoint {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Endpoint{cfg: cfg, rate: newBucket(cfg.ConnectionsRate, cfg.Now)}
	e.SetOrigins(origins)
	return e
}

// SetOrigins replaces the rule for requests that come from now on. Any goroutine may call it.
func (e *Endpoint) SetOrigins(o Origins) { e.origins.Store(&o) }

// Route decides about a request for this endpoint.
func (e *Endpoint) Route(h *reactor.Head) reactor.Verdict {
	if origin := h.Header("Origin"); origin != "" && !(*e.origins.Load()).Allowed(origin) {
		e.tellOrigin(origin)
		return reactor.Verdict{Kind: reactor.Refuse, Status: 403, Body: "origin not allowed\n"}
	}
	if e.full() {
		e.refusedLimit.Add(1)
		return reactor.Verdict{Kind: reactor.Refuse, Status: 503, Body: "connection limit reached\n"}
	}
	form, subprotocol := negotiate(h)
	user := ""
	if e.cfg.UserIDHeader != "" {
		user = strings.Clone(h.Header(e.cfg.UserIDHeader))
	}
	return reactor.Verdict{
		Kind:            reactor.Upgrade,
		Protocol:        subprotocol,
		MessageBytesMax: e.cfg.MessageBytesMax,
		Open:            func(c *reactor.Conn) reactor.Receiver { return e.accept(c, form, user) },
	}
}

// Refused counts upgrades that were not made, by reason.
func (e *Endpoint) Refused() (byOrigin, byLimit uint64) {
	return e.refusedOrigin.Load(), e.refusedLimit.Load()
}

// tellOrigin logs what to change, once a second at most: anyone can send any origin.
func (e *Endpoint) tellOrigin(origin string) {
	e.refusedOrigin.Add(1)
	now := e.cfg.Now().Unix()
	if last := e.toldAt.Load(); last != now && e.toldAt.CompareAndSwap(last, now) {
		e.cfg.Log.Info("a page of this origin may not connect; to allow it, add the origin to client.allowed_origins",
			"origin", origin[:min(len(origin), originLoggedMax)])
	}
}

// originLoggedMax is how much of an Origin goes to the log, in bytes.
const originLoggedMax = 200

func (e *Endpoint) full() bool {
	if e.cfg.ConnectionsMax > 0 && e.open.Load() >= int64(e.cfg.ConnectionsMax) {
		return true
	}
	return !e.rate.take()
}

func (e *Endpoint) accept(c *reactor.Conn, form codec.Form, user string) reactor.Receiver {
	s := session.New(e.cfg.Node, (*pipe)(c), c.Handle(), form, user)
	if e.cfg.Draining.Load() {
		s.Order(codec.DisconnectShutdown)
	}
	if e.cfg.ConnectionsMax == 0 {
		return s
	}
	e.open.Add(1)
	return &counted{s, &e.open}
}

// counted is a session whose end has to be counted, because the endpoint has a limit.
type counted struct {
	*session.Session
	open *atomic.Int64
}

func (c *counted) Closed() {
	c.open.Add(-1)
	c.Session.Closed()
}

// negotiate chooses form and subprotocol. A client that offers both gets JSON; the query may ask for Protobuf without one.
func negotiate(h *reactor.Head) (codec.Form, string) {
	offered := ""
	for list := range h.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(list, ",") {
			switch name = strings.TrimSpace(name); name {
			case subprotocolJSON:
				offered = subprotocolJSON
			case subprotocolProtobuf:
				if offered == "" {
					offered = subprotocolProtobuf
				}
			}
		}
	}
	if offered == subprotocolProtobuf || asksForProtobuf(h.Query) {
		return codec.Protobuf, offered
	}
	return codec.JSON, offered
}

func asksForProtobuf(query string) bool {
	if !strings.Contains(query, "protobuf") && !strings.Contains(query, "%") {
		return false // what nearly every query comes to, without taking it apart
	}
	values, _ := url.ParseQuery(query) // pairs that are malformed are left out
	return values.Get("format") == "protobuf" || values.Get("cf_protocol") == "protobuf"
}

// pipe is a conn of the reactor as a session sees it; it is the same object.
type pipe reactor.Conn

func (p *pipe) conn() *reactor.Conn { return (*reactor.Conn)(p) }

// Send queues the frame's ws frame.
func (p *pipe) Send(f *codec.Frame) bool { return p.conn().Write(f.WebSocket()) }

// Close ends the conn with the code in a close frame; "connection closed" never appears on the wire.
func (p *pipe) Close(d codec.Disconnect) {
	if d.Code == codec.DisconnectConnectionClosed.Code {
		p.conn().Close(0, "")
		return
	}
	p.conn().Close(uint16(d.Code), d.Reason)
}

// Arm sets the session's deadline.
func (p *pipe) Arm(at loop.Time) { p.conn().Arm(at) }
