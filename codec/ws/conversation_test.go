package ws

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"
)

// The tests of the Reader are written as what the peer sends, ws frame by ws frame, and
// what comes out of it, line by line.

var testMask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// testFrame is one ws frame of a client. rsv are the three reserved bits as a number.
func testFrame(op OpCode, fin bool, rsv byte, payload string) []byte {
	b := AppendClientFrame(nil, op, fin, testMask, []byte(payload))
	b[0] |= rsv << 4
	return b
}

func last(op OpCode, payload string) []byte { return testFrame(op, true, 0, payload) }
func more(op OpCode, payload string) []byte { return testFrame(op, false, 0, payload) }

func closing(code uint16, reason string) []byte {
	return last(OpClose, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// show is a line of the transcript. Long payloads are shown by size and checksum.
func show(what string, payload string) string {
	if len(payload) > 300 {
		return fmt.Sprintf("%s %d bytes crc %08x", what, len(payload), crc32.ChecksumIEEE([]byte(payload)))
	}
	return fmt.Sprintf("%s %q", what, payload)
}

func text(s string) string { return show("text", s) }
func bin(s string) string  { return show("binary", s) }
func ping(s string) string { return show("ping", s) }
func pong(s string) string { return show("pong", s) }
func closed(code uint16, reason string) string {
	return show(fmt.Sprintf("close %d", code), reason)
}
func fail(code uint16) string { return fmt.Sprintf("fail %d", code) }

func showEvent(ev Event) string {
	p := string(ev.Payload)
	switch {
	case ev.Kind == EventMessage && ev.OpCode == OpText:
		return text(p)
	case ev.Kind == EventMessage && ev.OpCode == OpBinary:
		return bin(p)
	case ev.Kind == EventPing:
		return ping(p)
	case ev.Kind == EventPong:
		return pong(p)
	case ev.Kind == EventClose:
		return closed(ev.Code, p)
	default:
		return fmt.Sprintf("unexpected %+v", ev)
	}
}

// conversation plays the caller of a Reader and writes down what comes.
type conversation struct {
	t     testing.TB
	r     Reader
	limit int
	eager bool // call Next for every chop, even before need bytes are there
	buf   []byte
	need  int
	lines []string
}

// feed hands over one chop of the stream.
func (c *conversation) feed(chop []byte) {
	c.t.Helper()
	c.buf = append(c.buf, chop...)
	if !c.eager && len(c.buf) < c.need {
		return
	}
	for c.next() {
	}
}

// next calls Next once and checks what must hold after every call. It returns false
// when the Reader waits for more.
func (c *conversation) next() bool {
	c.t.Helper()
	before := bytes.Clone(c.buf)
	ev, consumed, need, err := c.r.Next(c.buf, c.limit)
	if consumed < 0 || consumed > len(c.buf) {
		c.t.Fatalf("consumed %d of %d bytes", consumed, len(c.buf))
	}
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			c.t.Fatalf("error is a %T, not an *Error", err)
		}
		c.lines = append(c.lines, fail(e.Code))
		if ev.Kind != EventNone || ev.Payload != nil {
			c.t.Fatalf("error together with event %+v", ev)
		}
	} else if ev.Kind != EventNone {
		c.lines = append(c.lines, showEvent(ev))
	}
	if !bytes.Equal(before[consumed:], c.buf[consumed:]) {
		c.t.Fatal("bytes that were not consumed have changed")
	}
	c.buf = c.buf[consumed:]
	if ev.Kind != EventNone || err != nil {
		return true
	}
	if need <= len(c.buf) || need > max(c.limit, ControlBytesMax)+HeaderBytesMax {
		c.t.Fatalf("need %d, have %d, limit %d", need, len(c.buf), c.limit)
	}
	if c.r.Held() > c.limit {
		c.t.Fatalf("held %d bytes, limit %d", c.r.Held(), c.limit)
	}
	c.need = need
	return false
}

// transcript feeds the chops to a fresh Reader.
func transcript(t testing.TB, limit int, eager bool, chops ...[]byte) []string {
	t.Helper()
	c := conversation{t: t, limit: limit, eager: eager}
	defer c.r.Release()
	for _, chop := range chops {
		c.feed(chop)
	}
	return c.lines
}

// chopped cuts b into pieces of n bytes.
func chopped(b []byte, n int) (chops [][]byte) {
	for len(b) > n {
		chops, b = append(chops, b[:n]), b[n:]
	}
	return append(chops, b)
}
