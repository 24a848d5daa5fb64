package codec

// Unsubscribe ends a subscription: the push that tells a client so, and the reason as others of the channel see it.
// Codes below 2500 are final; from 2500 on the client subscribes again.
type Unsubscribe struct {
	Code   uint32
	Reason string
}

// The unsubscribes of the protocol.
var (
	UnsubscribeClient           = Unsubscribe{0, "client unsubscribed"}   // asked for by the client; never sent
	UnsubscribeDisconnected     = Unsubscribe{1, "client disconnected"}   // the session is over; never sent
	UnsubscribeServer           = Unsubscribe{2000, "server unsubscribe"} // asked for by the application
	UnsubscribeInsufficient     = Unsubscribe{2500, "insufficient state"} // the client's position was lost
	UnsubscribeExpired          = Unsubscribe{2501, "subscription expired"}
	UnsubscribeStateInvalidated = Unsubscribe{2502, "state invalidated"}
)
