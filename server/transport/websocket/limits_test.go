package websocket

import (
	"testing"

	"stentor/codec/ws"
	"stentor/server/pipetest"
	"stentor/server/transport/gate"
)

// TestPerAddress: a place comes free when a connection ends. That nobody is forgotten, open sees to at its end.
func TestPerAddress(t *testing.T) {
	h := open(t, pipetest.Config{Gate: func(g *gate.Config) { g.PerAddressMax = 2 }}, nil)
	a, b := h.dial(ws.ClientRequest{}), h.dial(ws.ClientRequest{})
	if a.status != 101 || b.status != 101 {
		t.Fatalf("statuses %d and %d", a.status, b.status)
	}
	for range 2 { // the header of a proxy changes nothing
		if c := h.dial(ws.ClientRequest{Header: "X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n"}); c.status != 503 {
			t.Errorf("status %d over the limit", c.status)
		}
	}
	if origin, limit, address := h.Gate.Refused(); origin != 0 || limit != 0 || address != 2 {
		t.Errorf("%d, %d and %d refused", origin, limit, address)
	}
	// An upgrade that is not right takes no place.
	b.Close()
	h.Eventually("a place comes free", func() bool { return h.inside() == 1 })
	for range 3 {
		if c := h.dial(ws.ClientRequest{Header: "Sec-WebSocket-Version: 12\r\n"}); c.status != 426 {
			t.Fatalf("status %d", c.status)
		}
	}
	if c := h.dial(ws.ClientRequest{}); c.status != 101 {
		t.Errorf("status %d after a place came free", c.status)
	}
}

// TestAddressLimitComesFirst: an address that is full takes no place of the connection rate from others.
func TestAddressLimitComesFirst(t *testing.T) {
	var still clock
	h := open(t, pipetest.Config{Gate: func(g *gate.Config) { g.PerAddressMax, g.ConnectionsRate, g.Now = 1, 2, still.now }}, nil)
	a := h.dial(ws.ClientRequest{})
	for range 5 {
		if c := h.dial(ws.ClientRequest{}); c.status != 503 {
			t.Fatalf("status %d over the limit", c.status)
		}
	}
	a.Close()
	h.Eventually("the place comes free", func() bool { return h.inside() == 0 })
	if c := h.dial(ws.ClientRequest{}); c.status != 101 {
		t.Errorf("status %d for who has a token", c.status)
	}
}
