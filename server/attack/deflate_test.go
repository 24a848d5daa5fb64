package attack

import (
	"bytes"
	"compress/flate"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/reactor/loop"
	"stentor/server/config"
)

// deflated is the payload of a compressed message.
func deflated(r reporter, s string) string {
	r.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write([]byte(s))
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		r.Fatalf("compress: %v", err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// marked sets the bit of a frame that says "compressed".
func marked(frame string) string { return string([]byte{frame[0] | 0x40}) + frame[1:] }

// squeezed is one ws frame with a compressed text.
func squeezed(r reporter, s string) string {
	r.Helper()
	return marked(text(deflated(r, s)))
}

const deflateAnswer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// squeezing is a client that is connected, has subscribed, and may compress.
func squeezing(r reporter, h *house, offer, channel string) *client {
	r.Helper()
	c := dial(r, h)
	c.say(strings.Replace(upgradeRequest, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: "+offer+"\r\n\r\n", 1))
	if status, head := c.head(); status != 101 || !strings.Contains(head, "\r\n"+deflateAnswer+"\r\n") {
		r.Fatalf("no compression:\n%s", head)
	}
	c.join(channel)
	return c
}

const (
	messageMax  = 64 << 10
	inflatedMax = 10 * messageMax
	// bombText is a command with a field that nobody reads: what it takes to inflate it is all that it costs.
	bombText = `{"id":9,"presence":{"channel":"bombed"},"pad":"%s"}`
)

// bomb is a valid command that becomes as large as a message may be.
func bomb() string {
	return fmt.Sprintf(bombText, strings.Repeat("a", inflatedMax-len(bombText)+len("%s")))
}

// TestCompression is group 14.
func TestCompression(t *testing.T) {
	h := newHouse(t, func(cfg *config.Config) { cfg.WebSocket.Compression = true })
	s := attack(t, h)
	hello := deflated(t, `{"id":5,"unsubscribe":{"channel":"other"}}`)
	for _, test := range []struct {
		name, frames string
		code         uint16
	}{
		{"1 KB that becomes 1 MB", squeezed(t, strings.Repeat(" ", 1<<20)), ws.CodeMessageTooBig},
		{"one byte over the limit", squeezed(t, bomb()+" "), ws.CodeMessageTooBig},
		{"64 KB that become 64 MB", squeezed(t, strings.Repeat(" ", 63<<20)), ws.CodeMessageTooBig},
		{"a compressed message over the limit of plain ones", marked(text(strings.Repeat("x", messageMax+1))), ws.CodeMessageTooBig},
		{"bit on a continuation", marked(frame(ws.OpText, false, hello[:5])) + marked(frame(ws.OpContinuation, true, hello[5:])), ws.CodeProtocolError},
		{"bit on the continuation only", frame(ws.OpText, false, "{}") + marked(frame(ws.OpContinuation, true, hello)), ws.CodeProtocolError},
		{"compressed ping", marked(frame(ws.OpPing, true, deflated(t, "a"))), ws.CodeProtocolError},
		{"compressed pong", marked(frame(ws.OpPong, true, deflated(t, "a"))), ws.CodeProtocolError},
		{"compressed close", marked(frame(ws.OpClose, true, "\x03\xe8")), ws.CodeProtocolError},
		{"another reserved bit", "\xe1" + text(hello)[1:], ws.CodeProtocolError},
		{"truncated", marked(text(hello[:len(hello)-3])), ws.CodeInvalidPayload},
		{"truncated in a block without compression", marked(text("\x00\x10\x00\xef\xff{}")), ws.CodeInvalidPayload},
		{"nothing", marked(text("")), ws.CodeInvalidPayload},
		{"garbage", marked(text("\xff\xfe\xfd\xfc")), ws.CodeInvalidPayload},
		{"more behind the last block", marked(text("\x03\x00" + hello)), ws.CodeInvalidPayload},
		{"not UTF-8", squeezed(t, "\xff\xfe"), ws.CodeInvalidPayload},
		{"not what it says", marked(text(`{"id":5,"unsubscribe":{"channel":"other"}}`)), ws.CodeInvalidPayload},
		// It refers to bytes of the message before it, whose window nobody has kept.
		{"context takeover", squeezed(t, `{"id":9,"presence":{"channel":"x"}}`) + marked(text("\xf2\x00\x11\x00\x00")), ws.CodeInvalidPayload},
	} {
		s.row(test.name, func(t *testing.T) {
			time.Sleep(loop.TickPeriod + loop.TickPeriod/10) // for each tick a loop takes few bombs, see the next rows
			c := squeezing(t, h, "permessage-deflate; client_max_window_bits", "squeezed")
			c.say(test.frames)
			op, payload, err := c.hear()
			for err == nil && op == ws.OpText {
				op, payload, err = c.hear()
			}
			code, reason, _ := ws.ParseClose([]byte(payload))
			if err != nil || op != ws.OpClose || code != test.code {
				t.Fatalf("heard %v %d %q (%v), want close %d", op, code, reason, err, test.code)
			}
			if code == ws.CodeMessageTooBig && reason != "message size limit" {
				t.Errorf("the reason is %q, SDKs wait for \"message size limit\"", reason)
			}
			c.expectEndAfterClose()
		})
	}
	s.row("window bits", func(t *testing.T) { windowBits(t, h) })
	s.row("many bombs at once", func(t *testing.T) { manyBombs(t, s) })
	s.row("a bomb costs what the limit allows", func(t *testing.T) { costOfBomb(t, h) })
}

// windowBits: a window of ours that is smaller than our compressor's cannot be had. The trap is 8, which zlib takes for 9.
func windowBits(t *testing.T, h *house) {
	for bits := 7; bits <= 14; bits++ {
		c := dial(t, h)
		c.say(strings.Replace(upgradeRequest, "\r\n\r\n", fmt.Sprintf("\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=%d\r\n\r\n", bits), 1))
		if status, head := c.head(); status != 101 || strings.Contains(head, "Extensions") {
			t.Fatalf("%d bits:\n%s", bits, head)
		}
		c.join("squeezed")
		c.say(squeezed(t, "{}"))
		c.expectClose(ws.CodeProtocolError, anyReason)
	}
	c := squeezing(t, h, "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits=8", "squeezed")
	c.say(squeezed(t, `{"id":9,"presence":{"channel":"x"}}`))
	c.expectReply(9, codec.ErrorNotAvailable.Code)
	c.say(closing(1000))
	c.expectClose(1000, "")
}

// manyBombs: each of them is within the limit. Whoever sends too many is closed, and ordinary messages go on beside them.
func manyBombs(t *testing.T, s *scene) {
	const clients, bombs = 8, 50
	ordinary := squeezing(t, s.house, "permessage-deflate", "squeezed")
	all := strings.Repeat(squeezed(t, bomb()), bombs)
	attackers := make([]*client, clients)
	for i := range attackers {
		attackers[i] = squeezing(t, s.house, "permessage-deflate", "bombed")
	}
	for _, c := range attackers {
		_ = c.trySay(all) // it may be thrown out in the middle
		ordinary.say(squeezed(t, `{"id":9,"presence":{"channel":"x"}}`))
		ordinary.expectReply(9, codec.ErrorNotAvailable.Code)
		s.witness()
	}
	for _, c := range attackers {
		op, payload, err := c.hear()
		for answers := 0; err == nil && op == ws.OpText; answers++ {
			if op, payload, err = c.hear(); answers > bombs {
				t.Fatal("all bombs were answered")
			}
		}
		if code, _, _ := ws.ParseClose([]byte(payload)); err != nil || op != ws.OpClose || code != ws.CodePolicyViolation {
			t.Errorf("heard %v %d (%v), want close %d", op, code, err, ws.CodePolicyViolation)
		}
		c.Close()
	}
	ordinary.say(closing(1000))
	ordinary.expectClose(1000, "")
}

// costOfBomb: the buffer of a message grows to the limit and no further.
func costOfBomb(t *testing.T, h *house) {
	const bombs = 5
	worst := squeezed(t, strings.Repeat(" ", 63<<20))
	attackers := make([]*client, bombs)
	for i := range attackers {
		attackers[i] = squeezing(t, h, "permessage-deflate", "squeezed")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, c := range attackers {
		c.say(worst)
		if op, _, err := c.hear(); err != nil || op != ws.OpClose {
			t.Fatalf("heard %v (%v)", op, err)
		}
	}
	runtime.ReadMemStats(&after)
	// What grows by doubling takes twice its size; the rest is for sockets and for this test.
	if each := (after.TotalAlloc - before.TotalAlloc) / bombs; each > 3*inflatedMax {
		t.Errorf("a bomb allocates %d bytes, the limit is %d", each, inflatedMax)
	}
	for _, c := range attackers {
		c.expectEndAfterClose()
	}
}
