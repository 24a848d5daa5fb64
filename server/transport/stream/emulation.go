package stream

import (
	"bytes"
	"net/http"

	"stentor/codec"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

const emulationMethods = "POST, OPTIONS"

// EmulationConfig is what an Emulation needs.
type EmulationConfig struct {
	Node         *session.Node
	Gate         *gate.Gate
	BodyBytesMax int // longer request bodies: 413
	// Others are the ways to other nodes.
	Others *Others
}

// Emulation is the endpoint where clients send their commands whose pipes go one way. A command is known by the secret of its session
// alone, so that any node takes it, and passes it on to the one that has the session. Any goroutine may use it.
type Emulation struct{ cfg EmulationConfig }

// NewEmulation makes the endpoint.
func NewEmulation(cfg EmulationConfig) *Emulation { return &Emulation{cfg} }

// post is a request for the endpoint.
type post struct {
	form codec.Form
	cors cors
}

// open looks at the head of a request. It is answered at once if the answer has a status.
func (e *Emulation) open(method string, h gate.Header) (p post, a Answer) {
	p.cors = corsOf(e.cfg.Gate, h)
	switch method {
	case "POST":
	case "OPTIONS":
		return p, p.cors.preflight(emulationMethods)
	default:
		return p, p.cors.wrongMethod(emulationMethods)
	}
	if isProtobuf(h) {
		p.form = codec.Protobuf
	}
	return p, Answer{}
}

// take takes a whole request. Status 0 is that another node has been asked: answered is told what came of it, on whatever goroutine. It
// is 204 whether there is such a session or not.
func (e *Emulation) take(p *post, body []byte, answered func(status int)) (status int) {
	var m codec.EmulationRequest
	if codec.DecodeEmulationRequest(p.form, body, &m) != nil {
		return http.StatusBadRequest
	}
	if m.Node == e.cfg.Node.UID {
		if m.Data != nil { // what is no string of commands is nothing
			e.cfg.Node.Emulate(m.Session, m.Data)
		}
		return http.StatusNoContent
	}
	if !e.cfg.Others.pass(p.form, &m, answered) {
		return http.StatusServiceUnavailable
	}
	return 0
}

// Route decides about a request for this endpoint.
func (e *Emulation) Route(h *reactor.Head) reactor.Verdict {
	p, a := e.open(h.Method, h)
	v := reactor.Verdict{
		Kind:         reactor.Exchange,
		BodyBytesMax: e.cfg.BodyBytesMax,
		Serve:        func(c *reactor.Conn, body []byte) { e.serve(c, &p, body) },
		Header:       func() []byte { return p.cors.lines() },
	}
	if a.Status != 0 {
		v.Serve = func(c *reactor.Conn, _ []byte) { a.Respond(c) }
	}
	return v
}

// serve answers a whole request, later if it is for another node.
func (e *Emulation) serve(c *reactor.Conn, p *post, body []byte) {
	l, h := c.Loop(), c.Handle()
	status := e.take(p, body, func(status int) { l.Order(h, passed(status)) })
	if status == 0 {
		c.Await(&passing{conn: c, cors: p.cors})
		return
	}
	a := p.cors.refuse(status, "")
	a.Respond(c)
}

// passed is what came of a request that was for another node.
type passed int

// passing is such a request (reactor.Receiver).
type passing struct {
	conn *reactor.Conn
	cors cors
}

// Order answers the request.
func (p *passing) Order(what any) {
	if status, ok := what.(passed); ok {
		a := p.cors.refuse(int(status), "")
		a.Respond(p.conn)
	}
}

// Receive does nothing: there are no messages.
func (p *passing) Receive([]byte) {}

// Expire does nothing: whoever asks another node has a deadline.
func (p *passing) Expire(loop.Time) {}

// Closed does nothing: the order then finds nobody.
func (p *passing) Closed() {}

// ServeHTTP serves requests that net/http has read.
func (e *Emulation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, a := e.open(r.Method, HTTPHeader(r.Header))
	if a.Status == 0 {
		a = e.serveHTTP(&p, w, r)
	}
	a.Write(w)
}

func (e *Emulation) serveHTTP(p *post, w http.ResponseWriter, r *http.Request) Answer {
	body, err := ReadBody(w, r, e.cfg.BodyBytesMax)
	if err != nil {
		return p.cors.refuse(StatusOfBody(err), "")
	}
	answered := make(chan int, 1)
	status := e.take(p, body, func(status int) { answered <- status })
	if status == 0 {
		select {
		case status = <-answered:
		case <-r.Context().Done():
			status = statusClientGone
		}
	}
	return p.cors.refuse(status, "")
}

// statusClientGone is for nobody to read.
const statusClientGone = 499

// HTTPHeader is a header of net/http.
type HTTPHeader http.Header

// Header is the first value of a field.
func (h HTTPHeader) Header(name string) string { return http.Header(h).Get(name) }

// ReadBody reads the body of a request that net/http serves, of limit bytes at most.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	var body bytes.Buffer
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, int64(limit)))
	return body.Bytes(), err
}

// StatusOfBody is what is answered to a body that could not be read.
func StatusOfBody(err error) int {
	if _, large := err.(*http.MaxBytesError); large {
		return http.StatusRequestEntityTooLarge
	}
	return statusClientGone
}
