package websocket

import (
	"stentor/codec"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/metrics"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

// UniConfig is what the endpoint needs for clients that only listen.
type UniConfig struct {
	Config
	JoinPushes     bool // several pushes in a ws frame, a newline between them
	NoDisconnect   bool // no push says why the connection ends
	NoClosingFrame bool // no close frame does
}

// Uni is the endpoint for clients that only listen: they say once, in the query or in their first message, how they connect, and then
// get pushes (spec: client-protocol, section 1.6). Any goroutine may use it.
type Uni struct{ cfg UniConfig }

// NewUni makes an endpoint.
func NewUni(cfg UniConfig) *Uni { return &Uni{cfg} }

// Route decides about a request for this endpoint.
func (e *Uni) Route(h *reactor.Head) reactor.Verdict {
	ticket, v, ok := e.cfg.admit(h)
	if !ok {
		return v
	}
	user, connect := e.cfg.Gate.User(h), gate.ConnectOf(h.Query)
	v.Open = func(c *reactor.Conn) reactor.Receiver { return e.accept(c, user, connect, ticket) }
	return v
}

func (e *Uni) accept(c *reactor.Conn, user string, connect []byte, t gate.Ticket) reactor.Receiver {
	l := &listener{conn: c, cfg: &e.cfg}
	l.session = session.New(e.cfg.Node, l, c.Handle(), session.Options{Form: codec.UniJSON, Transport: metrics.UniWebSocket, HeaderUser: user})
	l.Receiver = e.cfg.Gate.Enter(l.session, t)
	switch {
	case e.cfg.Gate.Draining():
		l.session.Order(codec.DisconnectShutdown)
	case connect != nil:
		l.Receive(connect)
	}
	return l
}

// listener is a client that only listens, as its conn sees it (reactor.Receiver), and its conn as the session sees that.
type listener struct {
	gate.Receiver
	session *session.Session
	conn    *reactor.Conn
	cfg     *UniConfig
	parted  bool // it has been told why the connection ends
}

// Send queues the frame's pushes, each in a ws frame of its own unless they may be joined.
func (l *listener) Send(f *codec.Frame) bool {
	if l.cfg.JoinPushes {
		return (*pipe)(l.conn).Send(f)
	}
	policy, channel := f.Slow()
	return l.conn.WriteDroppable(f.Apart(l.conn.Deflater()), drops[policy], channel)
}

// Reply sends pushes for this client alone (session.Replier).
func (l *listener) Reply(f codec.Form, buf []byte) bool {
	if l.cfg.JoinPushes {
		return (*pipe)(l.conn).Reply(f, buf)
	}
	return l.conn.WriteCopy(codec.SealApart(f, buf))
}

// Part makes the push that says why the connection ends (session.Parting).
func (l *listener) Part(buf []byte) []byte {
	if l.cfg.NoDisconnect {
		return nil
	}
	return codec.Seal(codec.UniJSON, buf)
}

// Farewell makes that push, once: for Close, which may come before the conn knows its receiver, and for a conn that ends by itself.
// Codes of WebSocket itself are for the close frame alone.
func (l *listener) Farewell(code uint16, reason string) []byte {
	if l.parted || uint32(code) < codec.DisconnectConnectionClosed.Code {
		return nil
	}
	l.parted = true
	return l.session.Farewell(code, reason)
}

// Close ends the conn. "Connection closed" never appears on the wire.
func (l *listener) Close(d codec.Disconnect) {
	if d.Code == codec.DisconnectConnectionClosed.Code {
		l.conn.Close(0, "")
		return
	}
	if b := l.Farewell(uint16(d.Code), d.Reason); b != nil {
		l.conn.Write(b)
	}
	if l.cfg.NoClosingFrame {
		l.conn.Close(0, "")
		return
	}
	l.conn.Close(uint16(d.Code), d.Reason)
}

// Ping sends a control frame; the reactor brings the pong of it to the session (session.Pinger).
func (l *listener) Ping() bool { return l.conn.Write(pingFrame) }

// CloseCode tells how the conn ended (session.CloseCoder).
func (l *listener) CloseCode() uint16 { return l.conn.CloseCode() }

// Arm sets the session's deadline.
func (l *listener) Arm(at loop.Time) { l.conn.Arm(at) }

var (
	_ session.Pinger     = (*listener)(nil)
	_ session.Replier    = (*listener)(nil)
	_ session.CloseCoder = (*listener)(nil)
	_ session.Parting    = (*listener)(nil)
)
