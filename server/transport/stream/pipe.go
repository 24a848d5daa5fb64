package stream

import (
	"stentor/codec"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

// pipe is a conn of the reactor as a session sees it that gets lines or Protobuf messages; it is the same object. So is eventPipe.
type pipe reactor.Conn

// eventPipe is one that gets server-sent events.
type eventPipe reactor.Conn

// streamPipe is either of them.
type streamPipe interface {
	session.Conn
	session.Replier
	session.CloseCoder
	session.Parting
}

// pipe is what the client of a conn that streams gets.
func (o *Opening) pipe(c *reactor.Conn) streamPipe {
	if o.Transport.Events() {
		return (*eventPipe)(c)
	}
	return (*pipe)(c)
}

// drops says policies in the reactor's words.
var drops = [...]reactor.Drop{
	codec.SlowDisconnect: reactor.DropNever,
	codec.SlowDropOldest: reactor.DropOldest,
	codec.SlowLatest:     reactor.DropStale,
}

// send queues a frame in the way that the conn takes it.
func send(c *reactor.Conn, f *codec.Frame, s *codec.Stream) bool {
	b := s.Bytes()
	if c.Chunked() {
		b = s.Chunk()
	}
	policy, channel := f.Slow()
	return c.WriteDroppable(b, drops[policy], channel)
}

// dress makes what goes over the wire of buf: HeaderRoom spare bytes, then what is sent. It does so in place if there is room.
func dress(c *reactor.Conn, buf []byte) []byte {
	if c.Chunked() {
		return codec.SealChunk(buf)
	}
	return buf[codec.HeaderRoom:]
}

// end ends a conn with a code, which its receiver says; "connection closed" is never said.
func end(c *reactor.Conn, d codec.Disconnect) {
	if d.Code == codec.DisconnectConnectionClosed.Code {
		c.Close(0, "")
		return
	}
	c.Close(uint16(d.Code), d.Reason)
}

func (p *pipe) conn() *reactor.Conn { return (*reactor.Conn)(p) }

// Send queues the frame's messages.
func (p *pipe) Send(f *codec.Frame) bool { return send(p.conn(), f, f.Stream()) }

// Reply sends replies (session.Replier).
func (p *pipe) Reply(_ codec.Form, buf []byte) bool { return p.conn().WriteCopy(dress(p.conn(), buf)) }

// Part makes the last message (session.Parting).
func (p *pipe) Part(buf []byte) []byte { return dress(p.conn(), buf) }

// Close ends the stream.
func (p *pipe) Close(d codec.Disconnect) { end(p.conn(), d) }

// CloseCode tells how the conn ended (session.CloseCoder).
func (p *pipe) CloseCode() uint16 { return p.conn().CloseCode() }

// Arm sets the session's deadline.
func (p *pipe) Arm(at loop.Time) { p.conn().Arm(at) }

func (p *eventPipe) conn() *reactor.Conn { return (*reactor.Conn)(p) }

// Send queues the frame's messages as events.
func (p *eventPipe) Send(f *codec.Frame) bool { return send(p.conn(), f, f.EventStream()) }

// Reply sends replies (session.Replier).
func (p *eventPipe) Reply(_ codec.Form, buf []byte) bool {
	return p.conn().WriteCopy(dress(p.conn(), codec.SealEvents(buf)))
}

// Part makes the last event (session.Parting).
func (p *eventPipe) Part(buf []byte) []byte { return dress(p.conn(), codec.SealEvents(buf)) }

// Close ends the stream.
func (p *eventPipe) Close(d codec.Disconnect) { end(p.conn(), d) }

// CloseCode tells how the conn ended (session.CloseCoder).
func (p *eventPipe) CloseCode() uint16 { return p.conn().CloseCode() }

// Arm sets the session's deadline.
func (p *eventPipe) Arm(at loop.Time) { p.conn().Arm(at) }

// latePipe is a pipe whose stream begins with the first that there is to send: until then the client may be refused with a status
// (session.Refuser).
type latePipe struct {
	conn     *reactor.Conn
	recv     gate.Receiver
	opening  Opening
	refusals *Refusals
	begun    bool
}

// stream is the pipe that the client gets. It begins the stream if that has not begun.
func (p *latePipe) stream() streamPipe {
	if !p.begun {
		p.begun = true
		p.conn.Stream(p.opening.response(), p.recv) // if the conn has gone, it takes nothing
		p.opening.cors = cors{}
	}
	return p.opening.pipe(p.conn)
}

// Send queues the frame's messages.
func (p *latePipe) Send(f *codec.Frame) bool { return p.stream().Send(f) }

// Reply sends what the session has to say (session.Replier).
func (p *latePipe) Reply(f codec.Form, buf []byte) bool { return p.stream().Reply(f, buf) }

// Part makes the last message (session.Parting).
func (p *latePipe) Part(buf []byte) []byte { return p.stream().Part(buf) }

// Refuse answers with a status (session.Refuser).
func (p *latePipe) Refuse(code uint32, _ string) bool {
	if p.begun {
		return false
	}
	p.begun = true
	a := p.refusals.Answer(&p.opening, code)
	a.Respond(p.conn)
	return true
}

// Close ends the stream, or the request that has none.
func (p *latePipe) Close(d codec.Disconnect) {
	if !p.Refuse(d.Code, d.Reason) {
		end(p.conn, d)
	}
}

// CloseCode tells how the conn ended (session.CloseCoder).
func (p *latePipe) CloseCode() uint16 { return p.conn.CloseCode() }

// Arm sets the session's deadline.
func (p *latePipe) Arm(at loop.Time) { p.conn.Arm(at) }

var (
	_ session.Refuser = (*latePipe)(nil)
	_ streamPipe      = (*latePipe)(nil)
)
