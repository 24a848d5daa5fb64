package stream

import (
	"net/http"

	"stentor/reactor"
	"stentor/server/transport/gate"
)

const initMethods = "GET, HEAD, OPTIONS"

// Init is the endpoint that a page asks before it connects, so that a proxy in front can set the cookie by which it finds the same
// node again. It has nothing else to say.
type Init struct{ gate *gate.Gate }

// NewInit makes the endpoint.
func NewInit(g *gate.Gate) *Init { return &Init{g} }

func (i *Init) answer(method string, c *cors) Answer {
	switch method {
	case "GET", "HEAD":
		return Answer{
			Status: 200,
			Header: append(c.fields(nil), Field{"Cache-Control", "no-store"}), // each client is to get its own cookie
			Body:   "{}",
			Type:   typeJSON,
		}
	case "OPTIONS":
		return c.preflight(initMethods)
	}
	return c.wrongMethod(initMethods)
}

// Route decides about a request for this endpoint.
func (i *Init) Route(h *reactor.Head) reactor.Verdict {
	o := corsOf(i.gate, h)
	a := i.answer(h.Method, &o)
	return reactor.Verdict{
		Kind:         reactor.Exchange,
		BodyBytesMax: initBodyBytesMax,
		Serve:        func(c *reactor.Conn, _ []byte) { a.Respond(c) },
		Header:       func() []byte { return o.lines() },
	}
}

// initBodyBytesMax is how large a body may be that nobody reads.
const initBodyBytesMax = 4 << 10

// ServeHTTP serves requests that net/http has read.
func (i *Init) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := corsOf(i.gate, HTTPHeader(r.Header))
	a := i.answer(r.Method, &c)
	a.Write(w)
}
