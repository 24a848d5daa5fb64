package reactor

import (
	"strings"
	"testing"
)

// holderOf is the one conn of loop 0 that holds memory for what it has sent, if there is one.
func holderOf(r *Reactor) (c *Conn) {
	onLoop(r, 0, func() {
		for c = range r.drivers[0].holders {
			return
		}
	})
	return c
}

// Who sends a byte of a body and no more does not get the memory of the body before; what a body has is accounted for.
func TestMemoryOfBodies(t *testing.T) {
	r := start(t, Config{}, serving(parrot))
	d, large := r.drivers[0], strings.Repeat("x", bodyKeptMax)
	c := dial(t, r)
	kept := 0
	for range 100 { // one that comes in pieces may get memory that is too large to keep
		c.say(post("/x", large))
		c.expectAnswer(200, "POST /x "+large)
		if onLoop(r, 0, func() { kept = cap(d.body) }); kept >= bodyKeptMax/2 {
			break
		}
	}
	if kept < bodyKeptMax/2 {
		t.Fatalf("of a body only %d bytes are kept", kept)
	}
	for _, size := range []int{1, 100, 3000, 40000} {
		c.say("POST /x" + tail + "Content-Length: 60000\r\n\r\n" + large[:min(size, len(large))])
		if size > len(large) {
			c.say(strings.Repeat("x", size-len(large)))
		}
		var body []byte
		eventually(t, "it has come", func() bool {
			if holder := holderOf(r); holder != nil {
				onLoop(r, 0, func() { body = holder.recv.(*exchange).body })
			}
			return len(body) == size
		})
		onLoop(r, 0, func() {
			if size == 1 && (cap(body) > 64 || cap(d.body) != kept) {
				t.Errorf("%d bytes have %d, and the loop keeps %d, not %d", size, cap(body), cap(d.body), kept)
			}
		})
		if n := r.Stats().QueuedBytes; n != int64(bufferBytes(cap(body))) {
			t.Errorf("%d bytes in %d are accounted for as %d", size, cap(body), n)
		}
		c.say(strings.Repeat("x", 60000-size))
		c.expectAnswer(200, "POST /x "+strings.Repeat("x", 60000))
	}
}

// A body that is not taken after all is let go of while its client is told so.
func TestMemoryOfRefusedBodies(t *testing.T) {
	r := start(t, Config{}, serving(parrot))
	c := dial(t, r)
	c.say("POST /x" + tail + "Transfer-Encoding: chunked\r\n\r\nc000\r\n" + strings.Repeat("x", 40000))
	eventually(t, "it has come", func() bool { return r.Stats().QueuedBytes >= 40000 })
	conn := holderOf(r)
	c.say(strings.Repeat("x", 0xc000-40000) + "!")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
		t.Errorf("answered with %q", head)
	}
	onLoop(r, 0, func() {
		if x, ok := conn.recv.(*exchange); ok && x.body != nil {
			t.Errorf("%d bytes are kept, and %d accounted for", cap(x.body), conn.held)
		}
	})
}
