package talk

import "testing"

// TestBoth plays what clients do that send commands.
func TestBoth(t *testing.T) {
	playAll(t, "both", []way{overWebSocket, overHTTPStream, overSSE, overSSEPost, overHTTP2Stream, overHTTP2SSE, overWebTransport})
}

// TestListen plays what clients do that only listen.
func TestListen(t *testing.T) {
	playAll(t, "listen", []way{overUniWebSocket, overUniHTTPStream, overUniSSE, overUniSSEPost, overHTTP2UniStream, overHTTP2UniSSE, overUniGRPC})
}
