package stream

import (
	"cmp"
	"net/http"

	"stentor/reactor"
)

// Field is one header field of a response.
type Field struct{ Name, Value string }

// Answer is a whole response. Status 0 is none.
type Answer struct {
	Status int
	Header []Field
	Body   string
	// Type is what the body is; plain text if it is empty.
	Type string
}

// fields are those of the header, with the type of the body if there is one.
func (a *Answer) fields() []Field {
	if a.Body == "" {
		return a.Header
	}
	return append(a.Header, Field{"Content-Type", cmp.Or(a.Type, typeText)})
}

// Respond answers a request that is served on a loop.
func (a *Answer) Respond(c *reactor.Conn) {
	c.Respond(reactor.Response{Status: a.Status, Header: appendLines(nil, a.fields()), Body: []byte(a.Body)})
}

// Write answers one that net/http has read.
func (a *Answer) Write(w http.ResponseWriter) {
	setFields(w.Header(), a.fields())
	w.WriteHeader(a.Status)
	_, _ = w.Write([]byte(a.Body)) // the client may have gone
}

// appendLines appends fields as they are sent over HTTP/1.
func appendLines(dst []byte, fields []Field) []byte {
	for _, f := range fields {
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// setFields puts fields into a header of net/http.
func setFields(h http.Header, fields []Field) {
	for _, f := range fields {
		h.Set(f.Name, f.Value)
	}
}

// fixed are the fields of every stream: nobody on the way may hold it back, or keep it. "Expire" is the name in the reference.
var fixed = []Field{
	{"X-Accel-Buffering", "no"},
	{"Cache-Control", "private, no-cache, no-store, must-revalidate, max-age=0"},
	{"Pragma", "no-cache"},
	{"Expire", "0"},
}

// Types of content.
const (
	typeText     = "text/plain; charset=utf-8"
	typeEvents   = "text/event-stream"
	typeJSON     = "application/json"
	typeProtobuf = "application/octet-stream"
)

// eventsBegin are the first bytes of a stream of events: they have proxies and browsers see that the response is there.
var eventsBegin = []byte("\r\n")
