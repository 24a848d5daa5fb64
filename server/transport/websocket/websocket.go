// Package websocket is the WebSocket mouth of the client protocol (spec: client-protocol, section 1.1): it decides about an
// upgrade, and between a conn of the reactor and a session it turns ws messages into commands and frames into ws frames.
//
//	request head ── Route ──► verdict ── Open ──► session ◄── messages, deadlines, orders ── reactor
//
// The pipe under a session is the reactor's conn itself, under one of two types: that of a client that asked for pings of WebSocket
// has a Ping. Which frames are compressed for it, and what may become of them if the client is slow, the pipe asks the frame.
package websocket

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/metrics"
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
	Compression     bool   // agree to permessage-deflate; how is reactor.Config.Deflate
	UserIDHeader    string // names a trusted user; empty for none
	ConnectionsMax  int    // of this node; 0 is no limit. Over it: 503. Upgrades that meet may pass it by one a loop
	PerAddressMax   int    // the same of one client address
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
	sources *sources     // nil if there is no limit per address

	refusedOrigin, refusedLimit, refusedAddress atomic.Uint64

	toldAt atomic.Int64 // unix seconds of the last log line about an origin
}

// New makes an endpoint that admits pages of origins.
func New(cfg Config, origins Origins) *Endpoint {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Endpoint{cfg: cfg, rate: newBucket(cfg.ConnectionsRate, cfg.Now)}
	if cfg.PerAddressMax > 0 {
		e.sources = newSources(cfg.PerAddressMax)
	}
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
	var from source
	if e.sources != nil {
		if from = sourceOf(h.RemoteAddr()); e.sources.full(from) {
			return tooMany(&e.refusedAddress) // before it takes a token from others
		}
	}
	if e.full() {
		return tooMany(&e.refusedLimit)
	}
	form, subprotocol := negotiate(h)
	w := wish{form: form, framePings: asksForFramePings(h.Query), user: e.headerUser(h), from: from}
	v := reactor.Verdict{
		Kind:            reactor.Upgrade,
		Protocol:        subprotocol,
		MessageBytesMax: e.cfg.MessageBytesMax,
		Open:            func(c *reactor.Conn) reactor.Receiver { return e.accept(c, w) }, // w never changes, so that it is copied into the closure
	}
	if e.cfg.Compression {
		v.Deflate = ws.ChooseDeflate(h.Joined("Sec-WebSocket-Extensions"))
	}
	return v
}

// wish is what a request asks for.
type wish struct {
	form       codec.Form
	framePings bool   // pings of WebSocket instead of those of the protocol
	user       string // named by the trusted header
	from       source // if the endpoint counts sources
}

// headerUser is the user that the trusted header names, if there is such a header.
func (e *Endpoint) headerUser(h *reactor.Head) string {
	if e.cfg.UserIDHeader == "" {
		return ""
	}
	return strings.Clone(h.Header(e.cfg.UserIDHeader))
}

// tooMany refuses a request and counts it.
func tooMany(counter *atomic.Uint64) reactor.Verdict {
	counter.Add(1)
	return reactor.Verdict{Kind: reactor.Refuse, Status: 503, Body: "connection limit reached\n"}
}

// Refused counts upgrades that were not made, by reason.
func (e *Endpoint) Refused() (byOrigin, byLimit, byAddress uint64) {
	return e.refusedOrigin.Load(), e.refusedLimit.Load(), e.refusedAddress.Load()
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

func (e *Endpoint) accept(c *reactor.Conn, w wish) reactor.Receiver {
	conn := session.Conn((*pipe)(c))
	if w.framePings {
		conn = (*pingedPipe)(c)
	}
	s := session.New(e.cfg.Node, conn, c.Handle(), session.Options{Form: w.form, Transport: metrics.WebSocket, HeaderUser: w.user})
	if e.cfg.Draining.Load() {
		s.Order(codec.DisconnectShutdown)
	}
	if e.cfg.ConnectionsMax == 0 && e.sources == nil {
		return s
	}
	e.open.Add(1)
	if e.sources == nil {
		return &counted{s, e}
	}
	e.sources.take(w.from)
	return &sourced{counted{s, e}, w.from}
}

// counted is a session whose end has to be counted, because the endpoint has a limit.
type counted struct {
	*session.Session
	endpoint *Endpoint
}

func (c *counted) Closed() {
	c.endpoint.open.Add(-1)
	c.Session.Closed()
}

// sourced is one whose source has a limit.
type sourced struct {
	counted
	from source
}

func (c *sourced) Closed() {
	c.endpoint.sources.give(c.from)
	c.counted.Closed()
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

func asksForFramePings(query string) bool {
	if !strings.Contains(query, "ping_pong") && !strings.Contains(query, "%") {
		return false
	}
	values, _ := url.ParseQuery(query)
	return values.Get("cf_ws_frame_ping_pong") == "true"
}

// pipe is a conn of the reactor as a session sees it; it is the same object.
type pipe reactor.Conn

func (p *pipe) conn() *reactor.Conn { return (*reactor.Conn)(p) }

// Send queues the frame's ws frame, compressed if the client takes that.
func (p *pipe) Send(f *codec.Frame) bool {
	c := p.conn()
	b := f.WebSocket()
	if d := c.Deflater(); d != nil {
		b = f.Deflated(d)
	}
	policy, channel := f.Slow()
	return c.WriteDroppable(b, drops[policy], channel)
}

// Reply sends replies (session.Replier).
func (p *pipe) Reply(f codec.Form, buf []byte) bool {
	c := p.conn()
	if c.Deflater() != nil {
		return p.Send(codec.NewFrame(f, bytes.Clone(buf)))
	}
	return c.WriteCopy(codec.Seal(f, buf))
}

// drops says policies in the reactor's words.
var drops = [...]reactor.Drop{
	codec.SlowDisconnect: reactor.DropNever,
	codec.SlowDropOldest: reactor.DropOldest,
	codec.SlowLatest:     reactor.DropStale,
}

// Close ends the conn with the code in a close frame; "connection closed" never appears on the wire.
func (p *pipe) Close(d codec.Disconnect) {
	if d.Code == codec.DisconnectConnectionClosed.Code {
		p.conn().Close(0, "")
		return
	}
	p.conn().Close(uint16(d.Code), d.Reason)
}

// CloseCode tells how the conn ended (session.CloseCoder).
func (p *pipe) CloseCode() uint16 { return p.conn().CloseCode() }

// Arm sets the session's deadline.
func (p *pipe) Arm(at loop.Time) { p.conn().Arm(at) }

// pingedPipe is a pipe that pings with control frames (session.Pinger); the reactor brings their pongs to the session.
type pingedPipe pipe

func (p *pingedPipe) Send(f *codec.Frame) bool { return (*pipe)(p).Send(f) }

func (p *pingedPipe) Reply(f codec.Form, buf []byte) bool { return (*pipe)(p).Reply(f, buf) }

func (p *pingedPipe) Close(d codec.Disconnect) { (*pipe)(p).Close(d) }

func (p *pingedPipe) CloseCode() uint16 { return (*pipe)(p).CloseCode() }

func (p *pingedPipe) Arm(at loop.Time) { (*pipe)(p).Arm(at) }

func (p *pingedPipe) Ping() bool { return (*pipe)(p).conn().Write(pingFrame) }

// pingFrame is the same for all.
var pingFrame = ws.AppendFrame(nil, ws.OpPing, nil)

var (
	_ session.Pinger       = (*pingedPipe)(nil)
	_ session.Replier      = (*pipe)(nil)
	_ session.Replier      = (*pingedPipe)(nil)
	_ session.CloseCoder   = (*pipe)(nil)
	_ session.CloseCoder   = (*pingedPipe)(nil)
	_ reactor.PongReceiver = (*session.Session)(nil)
)
