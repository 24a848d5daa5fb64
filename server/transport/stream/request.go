package stream

import (
	"strings"

	"stentor/codec"
	"stentor/server/metrics"
	"stentor/server/transport/gate"
)

// Transport is one of the ways of this package.
type Transport uint8

// The transports. A form of bare pushes belongs to those that are unidirectional.
const (
	SSE Transport = iota
	HTTPStream
	UniSSE
	UniHTTPStream

	numTransports
)

// ways is what the transports differ in.
var ways = [numTransports]struct {
	label    metrics.Transport
	get      bool // the connect command may be in the query
	events   bool // messages are server-sent events
	uni      bool
	protobuf bool // the type of the request's content may ask for Protobuf
	methods  string
}{
	SSE:           {metrics.SSE, true, true, false, false, "GET, POST, OPTIONS"},
	HTTPStream:    {metrics.HTTPStream, false, false, false, true, "POST, OPTIONS"},
	UniSSE:        {metrics.UniSSE, true, true, true, false, "GET, POST, OPTIONS"},
	UniHTTPStream: {metrics.UniHTTPStream, false, false, true, false, "POST, OPTIONS"},
}

// Label names the transport in metrics.
func (t Transport) Label() metrics.Transport { return ways[t].label }

// Uni reports a transport on which clients only listen.
func (t Transport) Uni() bool { return ways[t].uni }

// Events reports that messages are server-sent events.
func (t Transport) Events() bool { return ways[t].events }

// Ask is what an answer depends on in the head of a request.
type Ask struct {
	Method string
	Query  string
	Header gate.Header
}

// Opening is a client that wants a stream. It keeps nothing of the request's head.
type Opening struct {
	Transport Transport
	Form      codec.Form // of what the client gets
	User      string     // that a trusted header names
	// Connect is what came in the query: commands or, of a unidirectional client, a request to connect. If it is nil, the body of the
	// request is.
	Connect []byte

	cors cors
}

// Open looks at the head of a request. It is answered at once if the answer has a status.
func Open(t Transport, g *gate.Gate, ask Ask) (o Opening, a Answer) {
	way := &ways[t]
	o = Opening{Transport: t, cors: corsOf(g, ask.Header)}
	switch {
	case ask.Method == "OPTIONS":
		return o, o.cors.preflight(way.methods)
	case ask.Method == "GET" && way.get:
		if o.Connect = gate.ConnectOf(ask.Query); o.Connect == nil {
			if !way.uni {
				return o, o.cors.refuse(400, "no connect command: give it in cf_connect, or in the body of a POST\n")
			}
			o.Connect = noRequest
		}
	case ask.Method != "POST":
		return o, o.cors.wrongMethod(way.methods)
	}
	if way.protobuf && isProtobuf(ask.Header) {
		o.Form = codec.Protobuf
	}
	if way.uni {
		o.Form = o.Form.Bare()
	}
	o.User = g.User(ask.Header)
	return o, Answer{}
}

// noRequest asks for nothing.
var noRequest = []byte("{}")

// isProtobuf reports that a request's body is Protobuf.
func isProtobuf(h gate.Header) bool {
	media, _, _ := strings.Cut(h.Header("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), typeProtobuf)
}

// Header is the header of the stream; its status is 200.
func (o *Opening) Header() []Field {
	dst := make([]Field, 0, len(fixed)+4)
	contentType := typeText
	switch {
	case ways[o.Transport].events:
		contentType = typeEvents
	case o.Form.Encoding() == codec.Protobuf:
		contentType = typeProtobuf
	}
	dst = append(dst, Field{"Content-Type", contentType})
	return o.cors.fields(append(dst, fixed...))
}

// First are the first bytes of the stream.
func (o *Opening) First() []byte {
	if ways[o.Transport].events {
		return eventsBegin
	}
	return nil
}

// Refuse is an answer in place of the stream.
func (o *Opening) Refuse(status int, why string) Answer { return o.cors.refuse(status, why) }

// ConnectRequest reads what a unidirectional client has sent. It is answered if the answer has a status.
func (o *Opening) ConnectRequest(text []byte, req *codec.ConnectRequest) Answer {
	if err := codec.DecodeConnectRequest(o.Form, text, req); err != nil {
		return o.cors.refuse(400, "malformed connect request\n")
	}
	return Answer{}
}
