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
	"net/url"
	"strings"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/metrics"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

// The subprotocols of the protocol.
const (
	subprotocolJSON     = "centrifuge-json"
	subprotocolProtobuf = "centrifuge-protobuf"
)

// Config is what an endpoint needs.
type Config struct {
	Node            *session.Node
	Gate            *gate.Gate
	MessageBytesMax int  // larger: ws close 1009
	Compression     bool // agree to permessage-deflate; how is reactor.Config.Deflate
}

// Endpoint is one WebSocket endpoint. Any goroutine may use it: a request comes on a loop, or from net/http.
type Endpoint struct{ cfg Config }

// New makes an endpoint.
func New(cfg Config) *Endpoint { return &Endpoint{cfg} }

// Route decides about a request for this endpoint.
func (e *Endpoint) Route(h *reactor.Head) reactor.Verdict {
	ticket, v, ok := e.cfg.admit(h)
	if !ok {
		return v
	}
	form, subprotocol := negotiate(h)
	w := wish{form: form, framePings: asksForFramePings(h.Query), user: e.cfg.Gate.User(h), ticket: ticket}
	v.Protocol = subprotocol
	v.Open = func(c *reactor.Conn) reactor.Receiver { return e.accept(c, w) } // w never changes, so that it is copied into the closure
	return v
}

// admit refuses a request that may not be upgraded, or says what all others get.
func (c *Config) admit(h *reactor.Head) (t gate.Ticket, v reactor.Verdict, ok bool) {
	if !c.Gate.Allowed(h.Header("Origin")) {
		return t, reactor.Verdict{Kind: reactor.Refuse, Status: 403, Body: "origin not allowed\n"}, false
	}
	if t, ok = c.Gate.Admit(h); !ok {
		return t, reactor.Verdict{Kind: reactor.Refuse, Status: 503, Body: gate.Full}, false
	}
	v = reactor.Verdict{Kind: reactor.Upgrade, MessageBytesMax: c.MessageBytesMax}
	if c.Compression {
		v.Deflate = ws.ChooseDeflate(h.Joined("Sec-WebSocket-Extensions"))
	}
	return t, v, true
}

// wish is what a request asks for.
type wish struct {
	form       codec.Form
	framePings bool   // pings of WebSocket instead of those of the protocol
	user       string // named by the trusted header
	ticket     gate.Ticket
}

func (e *Endpoint) accept(c *reactor.Conn, w wish) reactor.Receiver {
	conn := session.Conn((*pipe)(c))
	if w.framePings {
		conn = (*pingedPipe)(c)
	}
	s := session.New(e.cfg.Node, conn, c.Handle(), session.Options{Form: w.form, Transport: metrics.WebSocket, HeaderUser: w.user})
	if e.cfg.Gate.Draining() {
		s.Order(codec.DisconnectShutdown)
	}
	return e.cfg.Gate.Enter(s, w.ticket)
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
