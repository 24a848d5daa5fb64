package metrics

import "stentor/codec"

// Transport is the way of a client's messages.
type Transport uint8

// The transports, as the label "transport" names them.
const (
	WebSocket Transport = iota
	SSE
	HTTPStream
	WebTransport
	UniWebSocket
	UniSSE
	UniHTTPStream
	UniGRPC

	numTransports
)

var transportNames = [numTransports]string{
	"websocket", "sse", "http_stream", "webtransport", "uni_websocket", "uni_sse", "uni_http_stream", "uni_grpc",
}

// String names the transport as its label does.
func (t Transport) String() string { return transportNames[t] }

// FrameType is what one message between client and server is.
type FrameType uint8

// The frame types, as the label "frame_type" names them.
const (
	FrameServerPing FrameType = iota
	FrameClientPong
	FramePushConnect
	FramePushSubscribe
	FramePushPublication
	FramePushJoin
	FramePushLeave
	FramePushUnsubscribe
	FramePushMessage
	FramePushRefresh
	FramePushDisconnect
	FrameConnect
	FrameSubscribe
	FrameUnsubscribe
	FramePublish
	FramePresence
	FramePresenceStats
	FrameHistory
	FrameRPC
	FrameSend
	FrameRefresh
	FrameSubRefresh
	FrameUnknown

	numFrameTypes
)

var frameTypeNames = [numFrameTypes]string{
	"server_ping", "client_pong",
	"push_connect", "push_subscribe", "push_publication", "push_join", "push_leave", "push_unsubscribe", "push_message",
	"push_refresh", "push_disconnect",
	"connect", "subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history", "rpc", "send", "refresh",
	"sub_refresh", "unknown",
}

// String names the frame type as its label does.
func (f FrameType) String() string { return frameTypeNames[f] }

// FrameOf is the frame type of a command, and of its reply.
func FrameOf(m codec.Method) FrameType {
	switch {
	case m == codec.MethodNone:
		return FrameClientPong
	case m >= codec.MethodConnect && m <= codec.MethodSubRefresh:
		return FrameConnect + FrameType(m-codec.MethodConnect)
	default:
		return FrameUnknown
	}
}

// MessageType is what goes between channels and sessions, or between nodes.
type MessageType uint8

// The message types, as the label "type" names them.
const (
	MessagePublication MessageType = iota
	MessageJoin
	MessageLeave
	MessageControl

	numMessageTypes
)

var messageTypeNames = [numMessageTypes]string{"publication", "join", "leave", "control"}

// String names the message type as its label does.
func (t MessageType) String() string { return messageTypeNames[t] }

// numMethods is how many values codec.Method has.
const numMethods = int(codec.MethodUnknown) + 1

// codes maps the codes of a protocol's table to dense indexes. Codes outside it share the last one: backends may choose
// their own, and each would be a series.
type codes struct {
	ranges []codeRange
	other  string // label of all other codes
}

type codeRange struct{ first, last uint32 }

// size is how many indexes there are.
func (c *codes) size() int {
	n := 1
	for _, r := range c.ranges {
		n += int(r.last - r.first + 1)
	}
	return n
}

func (c *codes) index(code uint32) int {
	n := 0
	for _, r := range c.ranges {
		if code >= r.first && code <= r.last {
			return n + int(code-r.first)
		}
		n += int(r.last - r.first + 1)
	}
	return n
}

// label is the text of index i.
func (c *codes) label(i int) string {
	for _, r := range c.ranges {
		n := int(r.last - r.first + 1)
		if i < n {
			return utoa(uint64(r.first) + uint64(i))
		}
		i -= n
	}
	return c.other
}

// The tables that count by code (spec: client-protocol, section 12), with room for codes to come. Close frames also have the codes
// of WebSocket itself; and whatever ends a client, those of errors, too, and 0 for none.
var (
	errorCodes       = codes{ranges: []codeRange{{100, 119}}, other: "custom"}
	disconnectCodes  = codes{ranges: []codeRange{{3000, 3019}, {3500, 3519}}, other: "custom"}
	closeCodes       = codes{ranges: []codeRange{{1000, 1015}, {3000, 3019}, {3500, 3519}}, other: "custom"}
	endCodes         = codes{ranges: []codeRange{{0, 0}, {100, 119}, {1000, 1015}, {3000, 3019}, {3500, 3519}}, other: "custom"}
	unsubscribeCodes = codes{ranges: []codeRange{{0, 1}, {2000, 2009}, {2500, 2509}}, other: "custom"}
)
