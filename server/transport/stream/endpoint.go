package stream

import (
	"stentor/codec"
	"stentor/reactor"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

// Config is what an Endpoint needs.
type Config struct {
	Transport    Transport
	Node         *session.Node
	Gate         *gate.Gate
	BodyBytesMax int // longer request bodies: 413
	// Refusals are the statuses for clients that could not connect. Without them the stream says why.
	Refusals *Refusals
}

// Endpoint is one endpoint for streams. Any goroutine may use it.
type Endpoint struct{ cfg Config }

// New makes an endpoint.
func New(cfg Config) *Endpoint { return &Endpoint{cfg} }

// Config is what the endpoint was made of, for those who serve it elsewhere than on the loops.
func (e *Endpoint) Config() Config { return e.cfg }

// Route decides about a request for this endpoint.
func (e *Endpoint) Route(h *reactor.Head) reactor.Verdict {
	o, a := Open(e.cfg.Transport, e.cfg.Gate, Ask{h.Method, h.Query, h})
	v := reactor.Verdict{
		Kind:         reactor.Exchange,
		BodyBytesMax: e.cfg.BodyBytesMax,
		Serve:        func(c *reactor.Conn, body []byte) { e.serve(c, &o, body) },
		Header:       func() []byte { return o.cors.lines() },
	}
	if a.Status != 0 {
		v.Serve = func(c *reactor.Conn, _ []byte) { a.Respond(c) }
	}
	return v
}

// serve begins a stream for a client whose request is whole.
func (e *Endpoint) serve(c *reactor.Conn, o *Opening, body []byte) {
	text := body
	if o.Connect != nil {
		text = o.Connect
	}
	var req codec.ConnectRequest
	if o.Transport.Uni() {
		if a := o.ConnectRequest(text, &req); a.Status != 0 {
			a.Respond(c)
			return
		}
	}
	ticket, ok := e.cfg.Gate.Admit(c)
	if !ok {
		a := o.Refuse(503, gate.Full)
		a.Respond(c)
		return
	}
	s := e.enter(c, o, ticket)
	switch {
	case e.cfg.Gate.Draining():
		s.Order(codec.DisconnectShutdown)
	case o.Transport.Uni():
		s.ConnectUni(&req)
	default:
		s.Receive(text)
	}
}

// enter makes a session of a conn. Its stream begins now or, if it may be refused with a status, with the first that it has to send.
func (e *Endpoint) enter(c *reactor.Conn, o *Opening, t gate.Ticket) *session.Session {
	if e.cfg.Refusals != nil {
		p := &latePipe{conn: c, opening: *o, refusals: e.cfg.Refusals}
		p.opening.Connect = nil // it lives as long as the client
		s := session.New(e.cfg.Node, p, c.Handle(), o.Options())
		p.recv = e.cfg.Gate.Enter(s, t)
		c.Await(p.recv)
		return s
	}
	s := session.New(e.cfg.Node, o.pipe(c), c.Handle(), o.Options())
	if recv := e.cfg.Gate.Enter(s, t); !c.Stream(o.response(), recv) {
		recv.Closed() // the conn has gone
	}
	return s
}

// Options are those of the client's session.
func (o *Opening) Options() session.Options {
	return session.Options{
		Form:       o.Form,
		Transport:  o.Transport.Label(),
		HeaderUser: o.User,
		Emulated:   !o.Transport.Uni(),
	}
}

// response begins the stream.
func (o *Opening) response() reactor.Response {
	return reactor.Response{Header: appendLines(nil, o.Header()), Body: o.First()}
}
