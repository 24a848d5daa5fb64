// Package nethttp serves the streams of package stream where net/http has read the request: over HTTP/2 and HTTP/3, and over HTTP/1.1
// on connections that have left the loops.
//
//	request ── stream.Open ──► (body) ──► pipe ──► session, on its loop
//	response ◄── one Write and one Flush for all that waits ◄── pipe ◄── frames ──┘
//
// What a request means and what is answered, stream says; the goroutine that net/http calls the handler in is the one that writes.
package nethttp

import (
	"net/http"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/server/session"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
	"stentor/server/transport/stream"
)

// Handler serves one endpoint. Make it with New.
type Handler struct {
	cfg   stream.Config
	pipes *pipe.Pipes
}

// New makes a handler for the requests of e.
func New(e *stream.Endpoint, p *pipe.Pipes) *Handler { return &Handler{e.Config(), p} }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o, a := stream.Open(h.cfg.Transport, h.cfg.Gate, stream.Ask{Method: r.Method, Query: r.URL.RawQuery, Header: stream.HTTPHeader(r.Header)})
	if a.Status == 0 {
		a = h.serve(&o, w, r)
	}
	if a.Status != 0 {
		a.Write(w)
	}
}

// peer is who made a request, as the gate asks about it.
type peer struct{ *http.Request }

// RemoteAddr implements gate.Peer.
func (p peer) RemoteAddr() string { return p.Request.RemoteAddr }

// serve streams until either side ends. It returns an answer if there was no stream.
func (h *Handler) serve(o *stream.Opening, w http.ResponseWriter, r *http.Request) stream.Answer {
	text := o.Connect
	if text == nil {
		var err error
		if text, err = stream.ReadBody(w, r, h.cfg.BodyBytesMax); err != nil {
			return o.Refuse(stream.StatusOfBody(err), "")
		}
	}
	var req codec.ConnectRequest
	if o.Transport.Uni() {
		if a := o.ConnectRequest(text, &req); a.Status != 0 {
			return a
		}
	}
	ticket, ok := h.cfg.Gate.Admit(peer{r})
	if !ok {
		return o.Refuse(http.StatusServiceUnavailable, gate.Full)
	}
	c := &client{handler: h, opening: o, version: version(r), ticket: ticket, text: text, request: &req}
	conn, err := h.pipes.Open(c.enter)
	if err != nil {
		return o.Refuse(http.StatusServiceUnavailable, gate.Full)
	}
	out := &writer{w: w, control: http.NewResponseController(w), opening: o}
	if h.cfg.Refusals == nil {
		_ = out.begin() // the first write tells of an error
	}
	// The time limits of requests that have an end. What is left of the one for reading would be taken for the end of the client.
	_ = out.control.SetReadDeadline(time.Time{})
	_ = out.control.SetWriteDeadline(time.Time{})
	_ = conn.Serve(r.Context(), out)
	if a := c.refusal.Load(); a != nil {
		return *a
	}
	return stream.Answer{}
}

func version(r *http.Request) session.HTTPVersion {
	switch r.ProtoMajor {
	case 2:
		return session.HTTP2
	case 3:
		return session.HTTP3
	}
	return session.HTTP1
}

// client is what a request asks for, on its way to a loop.
type client struct {
	handler *Handler
	opening *stream.Opening
	version session.HTTPVersion
	ticket  gate.Ticket
	text    []byte // the first commands
	request *codec.ConnectRequest

	refusal atomic.Pointer[stream.Answer] // in place of a stream
}

// enter makes a session, on its loop.
func (c *client) enter(conn *pipe.Conn) (pipe.Receiver, func()) {
	cfg, options := &c.handler.cfg, c.opening.Options()
	options.Version = c.version
	under := session.Conn(conn)
	if cfg.Refusals != nil {
		under = &lateConn{Conn: conn, client: c}
	}
	s := session.New(cfg.Node, under, conn.Handle(), options)
	conn.TellBy(s, options.Form)
	return cfg.Gate.Enter(s, c.ticket), func() {
		switch {
		case cfg.Gate.Draining():
			s.Order(codec.DisconnectShutdown)
		case options.Form.Uni():
			s.ConnectUni(c.request)
		default:
			s.Receive(c.text)
		}
		c.text, c.request = nil, nil
	}
}

// lateConn is a conn whose client may be refused with a status as long as nothing has been sent (session.Refuser).
type lateConn struct {
	*pipe.Conn
	client *client
	begun  bool
}

// Send queues a frame.
func (c *lateConn) Send(f *codec.Frame) bool {
	c.begun = true
	return c.Conn.Send(f)
}

// Refuse has the request answered with a status.
func (c *lateConn) Refuse(code uint32, _ string) bool {
	if c.begun {
		return false
	}
	c.begun = true
	a := c.client.handler.cfg.Refusals.Answer(c.client.opening, code)
	c.client.refusal.Store(&a)
	c.HangUp(code)
	return true
}

// Close ends the stream, or the request that has none.
func (c *lateConn) Close(d codec.Disconnect) {
	if !c.Refuse(d.Code, d.Reason) {
		c.Conn.Close(d)
	}
}

// writer writes frames to a response (pipe.Writer).
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	opening *stream.Opening
	begun   bool
}

// begin sends the head of the response.
func (w *writer) begin() error {
	w.begun = true
	header := w.w.Header()
	for _, f := range w.opening.Header() {
		header.Set(f.Name, f.Value)
	}
	w.w.WriteHeader(http.StatusOK)
	if _, err := w.w.Write(w.opening.First()); err != nil {
		return err
	}
	return w.control.Flush()
}

// Write implements pipe.Writer. HTTP/2 ends a stream when its deadline comes, whether anything is being written then or not.
func (w *writer) Write(frames []*codec.Frame, until time.Time) error {
	_ = w.control.SetWriteDeadline(until)
	if err := w.write(frames); err != nil {
		return err
	}
	return w.control.SetWriteDeadline(time.Time{})
}

func (w *writer) write(frames []*codec.Frame) error {
	if !w.begun {
		if err := w.begin(); err != nil {
			return err
		}
	}
	for _, f := range frames {
		b := f.Messages()
		if w.opening.Transport.Events() {
			b = f.EventStream().Bytes()
		}
		if _, err := w.w.Write(b); err != nil {
			return err
		}
	}
	return w.control.Flush()
}

var (
	_ session.Conn       = (*pipe.Conn)(nil)
	_ session.CloseCoder = (*pipe.Conn)(nil)
	_ session.Refuser    = (*lateConn)(nil)
	_ session.CloseCoder = (*lateConn)(nil)
)
