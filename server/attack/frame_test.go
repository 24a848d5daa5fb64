package attack

import (
	"strings"
	"testing"

	"stentor/codec"
	"stentor/codec/ws"
)

// header is the header of a masked text frame with a length as it is written on the wire.
func header(length ...byte) string {
	length[0] |= 0x80 // the bit that says "masked"
	return "\x81" + string(length) + "\x01\x02\x03\x04"
}

// violations are ws frames that RFC 6455 forbids, and the code that answers them.
var violations = []struct {
	name   string
	frames string
	code   uint16
}{
	// Group 10: lengths.
	{"length 2^63", header(127, 0x80, 0, 0, 0, 0, 0, 0, 0), ws.CodeProtocolError},
	{"length 2^64-1", header(127, 255, 255, 255, 255, 255, 255, 255, 255), ws.CodeProtocolError},
	{"length 2^63-1", header(127, 0x7f, 255, 255, 255, 255, 255, 255, 255), ws.CodeMessageTooBig},
	{"length 2^62", header(127, 0x40, 0, 0, 0, 0, 0, 0, 0), ws.CodeMessageTooBig},
	{"length 2^32", header(127, 0, 0, 0, 1, 0, 0, 0, 0), ws.CodeMessageTooBig},
	{"length 2^31", header(127, 0, 0, 0, 0, 0x80, 0, 0, 0), ws.CodeMessageTooBig},
	{"length 2^31-1", header(127, 0, 0, 0, 0, 0x7f, 255, 255, 255), ws.CodeMessageTooBig},
	{"length one over the limit", header(127, 0, 0, 0, 0, 0, 1, 0, 1), ws.CodeMessageTooBig},
	{"64-bit length for 65,535", header(127, 0, 0, 0, 0, 0, 0, 255, 255), ws.CodeProtocolError},
	{"64-bit length for 1", header(127, 0, 0, 0, 0, 0, 0, 0, 1), ws.CodeProtocolError},
	{"16-bit length for 125", header(126, 0, 125), ws.CodeProtocolError},
	{"16-bit length for 0", header(126, 0, 0), ws.CodeProtocolError},
	{"fragments over the limit", frame(ws.OpText, false, strings.Repeat(" ", 60_000)) + frame(ws.OpContinuation, true, strings.Repeat(" ", 5_537)), ws.CodeMessageTooBig},
	{"fragment announced over the limit", frame(ws.OpText, false, strings.Repeat(" ", 60_000)) + "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", ws.CodeMessageTooBig},

	// Group 11: the rules of frames.
	{"unmasked text", "\x81\x02{}", ws.CodeProtocolError},
	{"unmasked ping", "\x89\x01a", ws.CodeProtocolError},
	{"unmasked close", "\x88\x02\x03\xe8", ws.CodeProtocolError},
	{"reserved bit 1", "\xc1" + text("{}")[1:], ws.CodeProtocolError},
	{"reserved bit 2", "\xa1" + text("{}")[1:], ws.CodeProtocolError},
	{"reserved bit 3", "\x91" + text("{}")[1:], ws.CodeProtocolError},
	{"reserved bit of a ping", "\xc9" + frame(ws.OpPing, true, "a")[1:], ws.CodeProtocolError},
	{"reserved opcode 3", "\x83" + text("{}")[1:], ws.CodeProtocolError},
	{"reserved opcode 7", "\x87" + text("{}")[1:], ws.CodeProtocolError},
	{"reserved opcode 11", "\x8b" + text("{}")[1:], ws.CodeProtocolError},
	{"reserved opcode 15", "\x8f" + text("{}")[1:], ws.CodeProtocolError},
	{"fragmented ping", frame(ws.OpPing, false, "a"), ws.CodeProtocolError},
	{"fragmented pong", frame(ws.OpPong, false, "a"), ws.CodeProtocolError},
	{"fragmented close", frame(ws.OpClose, false, "\x03\xe8"), ws.CodeProtocolError},
	{"ping of 126 bytes", frame(ws.OpPing, true, strings.Repeat("a", 126)), ws.CodeProtocolError},
	{"pong of 65,536 bytes", frame(ws.OpPong, true, strings.Repeat("a", 1<<16)), ws.CodeProtocolError},
	{"close of 126 bytes", frame(ws.OpClose, true, "\x03\xe8"+strings.Repeat("a", 124)), ws.CodeProtocolError},
	{"close of one byte", frame(ws.OpClose, true, "\x03"), ws.CodeProtocolError},
	{"close with code 0", frame(ws.OpClose, true, "\x00\x00"), ws.CodeProtocolError},
	{"close with code 999", frame(ws.OpClose, true, "\x03\xe7"), ws.CodeProtocolError},
	{"close with code 1004", frame(ws.OpClose, true, "\x03\xec"), ws.CodeProtocolError},
	{"close with code 1005", frame(ws.OpClose, true, "\x03\xed"), ws.CodeProtocolError},
	{"close with code 1006", frame(ws.OpClose, true, "\x03\xee"), ws.CodeProtocolError},
	{"close with code 1015", frame(ws.OpClose, true, "\x03\xf7"), ws.CodeProtocolError},
	{"close with code 2999", frame(ws.OpClose, true, "\x0b\xb7"), ws.CodeProtocolError},
	{"close with code 5000", frame(ws.OpClose, true, "\x13\x88"), ws.CodeProtocolError},
	{"close with a reason that is not UTF-8", frame(ws.OpClose, true, "\x03\xe8\xff"), ws.CodeInvalidPayload},
	{"close with half a letter", frame(ws.OpClose, true, "\x03\xe8\xe2\x82"), ws.CodeInvalidPayload},
	{"continuation without a start", frame(ws.OpContinuation, true, "{}"), ws.CodeProtocolError},
	{"continuation after the end", frame(ws.OpText, false, `{"id":2,`) + frame(ws.OpContinuation, true, `"unsubscribe":{"channel":"c"}}`) + frame(ws.OpContinuation, true, "x"), ws.CodeProtocolError},
	{"new message inside a message", frame(ws.OpText, false, "{") + text("}"), ws.CodeProtocolError},
	{"new fragment inside a message", frame(ws.OpText, false, "{") + frame(ws.OpBinary, false, "}"), ws.CodeProtocolError},

	// Group 13: UTF-8, also split over fragments. The message does not end: it must fail early.
	{"invalid UTF-8", text("\xff"), ws.CodeInvalidPayload},
	{"half a letter", text("\xe2\x82"), ws.CodeInvalidPayload},
	{"half a letter at the end of fragments", frame(ws.OpText, false, `{"`) + frame(ws.OpContinuation, true, "\xe2\x82"), ws.CodeInvalidPayload},
	{"invalid in the first fragment", frame(ws.OpText, false, "\xff"), ws.CodeInvalidPayload},
	{"split letter goes on wrong", frame(ws.OpText, false, "\xe2") + frame(ws.OpContinuation, false, "\x82") + frame(ws.OpContinuation, false, "\xff"), ws.CodeInvalidPayload},
	{"split letter goes on with a letter", frame(ws.OpText, false, "\xe2\x82") + frame(ws.OpContinuation, false, "a"), ws.CodeInvalidPayload},
	{"overlong", frame(ws.OpText, false, "\xc0") + frame(ws.OpContinuation, false, "\xaf"), ws.CodeInvalidPayload},
	{"overlong of three bytes", frame(ws.OpText, false, "\xe0") + frame(ws.OpContinuation, false, "\x80"), ws.CodeInvalidPayload},
	{"surrogate", frame(ws.OpText, false, "\xed") + frame(ws.OpContinuation, false, "\xa0"), ws.CodeInvalidPayload},
	{"over U+10FFFF", frame(ws.OpText, false, "\xf4") + frame(ws.OpContinuation, false, "\x90"), ws.CodeInvalidPayload},
	{"a byte at a time", frame(ws.OpText, false, "\xf0") + frame(ws.OpContinuation, false, "\x9f") + frame(ws.OpPing, true, "") +
		frame(ws.OpContinuation, false, "") + frame(ws.OpContinuation, false, "\x98") + frame(ws.OpContinuation, false, "x"), ws.CodeInvalidPayload},
}

// TestFrames is groups 10, 11 and 13, against a client in session.
func TestFrames(t *testing.T) {
	s := attack(t, common)
	for _, test := range violations {
		s.row(test.name, func(t *testing.T) {
			c := joined(t, common, codec.JSON, "violated")
			_ = c.trySay(test.frames + text(`{"id":9,"publish":{"channel":"violated","data":"never"}}`))
			op, payload, err := c.hear()
			for op == ws.OpText && strings.HasPrefix(payload, `{"id":2,`) || op == ws.OpPong { // what came before the violation
				op, payload, err = c.hear()
			}
			code, _, _ := ws.ParseClose([]byte(payload))
			if err != nil || op != ws.OpClose || code != test.code {
				t.Fatalf("heard %v %q (%v), want close %d", op, payload, err, test.code)
			}
			if code == ws.CodeMessageTooBig && !strings.HasSuffix(payload, "message size limit") {
				t.Errorf("the reason is %q, SDKs wait for \"message size limit\"", payload[2:])
			}
			c.expectEndAfterClose()
		})
	}
	s.row("letters split over fragments", func(t *testing.T) {
		c := joined(t, common, codec.JSON, "violated")
		whole := `{"id":9,"publish":{"channel":"violated","data":"€😀é"}}`
		frames := frame(ws.OpText, false, "")
		for _, b := range []byte(whole) {
			frames += frame(ws.OpContinuation, false, string([]byte{b}))
		}
		c.say(frames + frame(ws.OpContinuation, true, ""))
		c.expectPush("violated", `"€😀é"`)
		c.expectReply(9, 0)
		c.say(closing(1000))
		c.expectClose(1000, "")
	})
}

// TestAnnouncedLengths is the other half of group 10: a length that is within the limit costs no memory before its bytes are there.
func TestAnnouncedLengths(t *testing.T) {
	s := attack(t, common)
	announced := "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04" // 65,536, the limit
	all := make([]quiet, fleetSize)
	defer func() {
		for _, q := range all {
			q.close()
		}
	}()
	for i := range all {
		all[i] = dialQuiet(t, common)
		all[i].say(t, upgradeRequest)
		all[i].hearUpgrade(t)
	}
	s.witness()
	before := measure()
	for _, q := range all {
		q.say(t, announced)
	}
	err := s.await("all lengths have been read", func(m map[string]int64) bool { return m["stentor_queued_bytes"] >= 1024*int64(len(all)) }) // buffers are counted in KiB
	if err != nil {
		t.Fatal(err)
	}
	after := measure()
	if each := (int64(after.heap) - int64(before.heap)) / int64(len(all)); each > 4096 {
		t.Errorf("an announced length costs %d bytes", each)
	}
}
