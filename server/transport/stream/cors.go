package stream

import (
	"strings"

	"stentor/server/transport/gate"
)

// preflightAge is how long browsers may remember the answer to a preflight, in seconds.
const preflightAge = "300"

// cors is what a page of another origin may see of an answer. The check of the origin decides about that alone: browsers keep the rest
// from the page, and what is no browser was never bound by it.
type cors struct {
	allowed bool
	origin  string // of the page; empty if the request names none
	headers string // that the page wants to send
}

// corsOf asks the gate about the origin of a request. The strings are kept, so they are copied.
func corsOf(g *gate.Gate, h gate.Header) cors {
	origin := h.Header("Origin")
	if !g.Allowed(origin) {
		return cors{}
	}
	headers := h.Header("Access-Control-Request-Headers")
	if headers == "null" {
		headers = ""
	}
	return cors{allowed: true, origin: strings.Clone(origin), headers: strings.Clone(headers)}
}

// fields appends the header fields that say so. The answer to a request without an origin names an empty one, as in the reference.
func (c *cors) fields(dst []Field) []Field {
	if !c.allowed {
		return dst
	}
	dst = append(dst, Field{"Access-Control-Allow-Origin", c.origin}, Field{"Access-Control-Allow-Credentials", "true"})
	if c.headers != "" {
		dst = append(dst, Field{"Access-Control-Allow-Headers", c.headers})
	}
	return dst
}

// lines are the same for the answer that the reactor gives itself.
func (c *cors) lines() []byte { return appendLines(nil, c.fields(nil)) }

// preflight answers OPTIONS.
func (c *cors) preflight(methods string) Answer {
	header := append(c.fields(nil), Field{"Access-Control-Max-Age", preflightAge}, Field{"Access-Control-Allow-Methods", methods})
	return Answer{Status: 204, Header: header}
}

// wrongMethod answers a method that is none of methods.
func (c *cors) wrongMethod(methods string) Answer {
	return Answer{Status: 405, Header: append(c.fields(nil), Field{"Allow", methods})}
}

// refuse answers with a status and why.
func (c *cors) refuse(status int, why string) Answer {
	return Answer{Status: status, Header: c.fields(nil), Body: why}
}
