package websocket

import (
	"testing"

	"stentor/codec/ws"
)

// known is how many sources have connections.
func (t *sources) known() (n int) {
	for i := range t.stripes {
		st := &t.stripes[i]
		st.mu.Lock()
		n += len(st.open)
		st.mu.Unlock()
	}
	return n
}

func TestSourceOf(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1000", "192.0.2.1:2000", true},
		{"192.0.2.1:1000", "192.0.2.2:1000", false},
		{"192.0.2.1:1000", "[::ffff:192.0.2.1]:1000", true},
		{"[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:2", true},
		{"[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
		{"192.0.2.1:1000", "[::192.0.2.1]:1000", false},
		{"[::1]:1", "127.0.0.1:1", false},
		{"", "nonsense", true},
		{"", "127.0.0.1:1", false},
	} {
		if same := sourceOf(tt.a) == sourceOf(tt.b); same != tt.same {
			t.Errorf("%q and %q: same %v, want %v", tt.a, tt.b, same, tt.same)
		}
	}
}

func TestSources(t *testing.T) {
	s := newSources(2)
	a, b := sourceOf("192.0.2.1:1"), sourceOf("192.0.2.2:1")
	for range 2 {
		if s.full(a) {
			t.Fatal("full too early")
		}
		s.take(a)
	}
	if !s.full(a) || s.full(b) {
		t.Errorf("full: %v and %v, want true and false", s.full(a), s.full(b))
	}
	s.give(a)
	if s.full(a) || s.known() != 1 {
		t.Errorf("full %v, %d known", s.full(a), s.known())
	}
	s.give(a)
	if s.known() != 0 {
		t.Errorf("%d sources without connections are remembered", s.known())
	}
}

// TestPerAddress: a place comes free when a connection ends. That nobody is forgotten, open sees to at its end.
func TestPerAddress(t *testing.T) {
	h := open(t, nil, func(c *Config) { c.PerAddressMax = 2 })
	a, b := h.dial(ws.ClientRequest{}), h.dial(ws.ClientRequest{})
	if a.status != 101 || b.status != 101 {
		t.Fatalf("statuses %d and %d", a.status, b.status)
	}
	for range 2 { // the header of a proxy changes nothing
		if c := h.dial(ws.ClientRequest{Header: "X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n"}); c.status != 503 {
			t.Errorf("status %d over the limit", c.status)
		}
	}
	if origin, limit, address := h.endpoint.Refused(); origin != 0 || limit != 0 || address != 2 {
		t.Errorf("%d, %d and %d refused", origin, limit, address)
	}
	// An upgrade that is not right takes no place.
	b.Close()
	eventually(t, "a place comes free", func() bool { return h.endpoint.open.Load() == 1 })
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
	h := open(t, nil, func(c *Config) { c.PerAddressMax, c.ConnectionsRate = 1, 2 }) // on a clock that stands still
	a := h.dial(ws.ClientRequest{})
	for range 5 {
		if c := h.dial(ws.ClientRequest{}); c.status != 503 {
			t.Fatalf("status %d over the limit", c.status)
		}
	}
	a.Close()
	eventually(t, "the place comes free", func() bool { return h.endpoint.open.Load() == 0 })
	if c := h.dial(ws.ClientRequest{}); c.status != 101 {
		t.Errorf("status %d for who has a token", c.status)
	}
}
