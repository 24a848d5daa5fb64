package swarm

import (
	"fmt"
	"slices"
	"strings"
)

// Transport is what carries the messages between clients and server.
type Transport string

// The transports. Bidirectional ones over HTTP get what clients say after their first request by POST to the emulation endpoint;
// unidirectional clients say nothing after it.
const (
	WebSocket     Transport = "websocket"
	HTTPStream    Transport = "http_stream"
	SSE           Transport = "sse"
	UniWebSocket  Transport = "uni_websocket"
	UniHTTPStream Transport = "uni_http_stream"
	UniSSE        Transport = "uni_sse"
)

// Transports are all of them.
var Transports = []Transport{WebSocket, HTTPStream, SSE, UniSSE, UniHTTPStream, UniWebSocket}

// EmulationPath is where servers take the commands of clients on SSE and HTTP streams, unless they are configured otherwise.
const EmulationPath = "/emulation"

// Path is where servers have the transport, unless they are configured otherwise.
func (t Transport) Path() string { return "/connection/" + string(t) }

// Uni is true if clients only listen.
func (t Transport) Uni() bool { return strings.HasPrefix(string(t), "uni_") }

// Framed is true if messages come in ws frames, and not in the body of a response.
func (t Transport) Framed() bool { return t == WebSocket || t == UniWebSocket }

// Emulated is true if clients say by POST what they say after their first request.
func (t Transport) Emulated() bool { return t == HTTPStream || t == SSE }

// Binary is true if the transport carries Protobuf too.
func (t Transport) Binary() bool { return t == WebSocket || t == HTTPStream }

// ParseTransport finds a transport by its name.
func ParseTransport(name string) (Transport, error) {
	if t := Transport(name); slices.Contains(Transports, t) {
		return t, nil
	}
	names := make([]string, len(Transports))
	for i, t := range Transports {
		names[i] = string(t)
	}
	return "", fmt.Errorf("%q is not one of %s", name, strings.Join(names, ", "))
}
