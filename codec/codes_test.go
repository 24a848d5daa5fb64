package codec

import (
	"fmt"
	"strings"
	"testing"
)

// TestCodes pins the words that clients see and look at.
func TestCodes(t *testing.T) {
	var b strings.Builder
	for _, e := range []*Error{
		ErrorInternal, ErrorUnauthorized, ErrorUnknownChannel, ErrorPermissionDenied, ErrorMethodNotFound, ErrorAlreadySubscribed,
		ErrorLimitExceeded, ErrorBadRequest, ErrorNotAvailable, ErrorTokenExpired, ErrorExpired, ErrorTooManyRequests,
		ErrorUnrecoverablePosition, ErrorConcurrentPagination,
	} {
		fmt.Fprintf(&b, "%d %v %v\n", e.Code, e, e.Temporary)
	}
	for _, d := range []Disconnect{
		DisconnectConnectionClosed, DisconnectShutdown, DisconnectServerError, DisconnectExpired, DisconnectSubExpired, DisconnectSlow,
		DisconnectWriteError, DisconnectInsufficientState, DisconnectForceReconnect, DisconnectNoPong, DisconnectTooManyRequests,
		DisconnectStateInvalidated, DisconnectInvalidToken, DisconnectBadRequest, DisconnectStale, DisconnectForceNoReconnect,
		DisconnectConnectionLimit, DisconnectChannelLimit, DisconnectInappropriateProtocol, DisconnectPermissionDenied,
		DisconnectNotAvailable, DisconnectTooManyErrors,
	} {
		fmt.Fprintln(&b, d)
	}
	for _, u := range []Unsubscribe{
		UnsubscribeClient, UnsubscribeDisconnected, UnsubscribeServer, UnsubscribeInsufficient, UnsubscribeExpired, UnsubscribeStateInvalidated,
	} {
		fmt.Fprintf(&b, "unsubscribe %d: %s\n", u.Code, u.Reason)
	}
	const want = `100 internal server error true
101 unauthorized false
102 unknown channel false
103 permission denied false
104 method not found false
105 already subscribed false
106 limit exceeded false
107 bad request false
108 not available false
109 token expired false
110 expired false
111 too many requests true
112 unrecoverable position false
113 concurrent pagination true
disconnect 3000: connection closed
disconnect 3001: shutdown
disconnect 3004: internal server error
disconnect 3005: connection expired
disconnect 3006: subscription expired
disconnect 3008: slow
disconnect 3009: write error
disconnect 3010: insufficient state
disconnect 3011: force reconnect
disconnect 3012: no pong
disconnect 3013: too many requests
disconnect 3014: state invalidated
disconnect 3500: invalid token
disconnect 3501: bad request
disconnect 3502: stale
disconnect 3503: force disconnect
disconnect 3504: connection limit
disconnect 3505: channel limit
disconnect 3506: inappropriate protocol
disconnect 3507: permission denied
disconnect 3508: not available
disconnect 3509: too many errors
unsubscribe 0: client unsubscribed
unsubscribe 1: client disconnected
unsubscribe 2000: server unsubscribe
unsubscribe 2500: insufficient state
unsubscribe 2501: subscription expired
unsubscribe 2502: state invalidated
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestMethodString(t *testing.T) {
	var all []string
	for m := MethodNone; m <= MethodUnknown+1; m++ {
		all = append(all, m.String())
	}
	const want = "none connect subscribe unsubscribe publish presence presence_stats history rpc send refresh sub_refresh ping unknown invalid"
	if got := strings.Join(all, " "); got != want {
		t.Errorf("got %s", got)
	}
}
