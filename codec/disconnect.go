package codec

import "strconv"

// Disconnect ends a session: a close code and its reason. Clients reconnect after codes 3000–3499 and 4000–4499 and from
// 5000 on, and give up after 3500–3999 and 4500–4999.
type Disconnect struct {
	Code   uint32
	Reason string
}

// Error makes Disconnect an error, so that a function can say "close" where others say "answer" with *Error.
func (d Disconnect) Error() string {
	return "disconnect " + strconv.FormatUint(uint64(d.Code), 10) + ": " + d.Reason
}

// The disconnects of the protocol after which a client reconnects.
var (
	DisconnectConnectionClosed  = Disconnect{3000, "connection closed"} // the client left; never on the wire
	DisconnectShutdown          = Disconnect{3001, "shutdown"}
	DisconnectServerError       = Disconnect{3004, "internal server error"}
	DisconnectExpired           = Disconnect{3005, "connection expired"}
	DisconnectSubExpired        = Disconnect{3006, "subscription expired"}
	DisconnectSlow              = Disconnect{3008, "slow"}
	DisconnectWriteError        = Disconnect{3009, "write error"}
	DisconnectInsufficientState = Disconnect{3010, "insufficient state"}
	DisconnectForceReconnect    = Disconnect{3011, "force reconnect"}
	DisconnectNoPong            = Disconnect{3012, "no pong"}
	DisconnectTooManyRequests   = Disconnect{3013, "too many requests"}
	DisconnectStateInvalidated  = Disconnect{3014, "state invalidated"}
)

// The disconnects of the protocol after which a client gives up.
var (
	DisconnectInvalidToken          = Disconnect{3500, "invalid token"}
	DisconnectBadRequest            = Disconnect{3501, "bad request"}
	DisconnectStale                 = Disconnect{3502, "stale"}
	DisconnectForceNoReconnect      = Disconnect{3503, "force disconnect"}
	DisconnectConnectionLimit       = Disconnect{3504, "connection limit"}
	DisconnectChannelLimit          = Disconnect{3505, "channel limit"}
	DisconnectInappropriateProtocol = Disconnect{3506, "inappropriate protocol"}
	DisconnectPermissionDenied      = Disconnect{3507, "permission denied"}
	DisconnectNotAvailable          = Disconnect{3508, "not available"}
	DisconnectTooManyErrors         = Disconnect{3509, "too many errors"}
)
