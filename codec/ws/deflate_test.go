package ws

import (
	"bytes"
	stdflate "compress/flate"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// deflated is what another compressor makes of text: that of the standard library, flushed and without its tail.
func deflated(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := stdflate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte(deflateTail))
}

// fromHex reads digits with blanks among them.
func fromHex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInflate has the examples of RFC 7692 section 7.2.3, and what is none.
func TestInflate(t *testing.T) {
	var z Inflater
	for _, test := range []struct {
		name, payload, want string
		code                uint16
	}{
		{"fixed codes", "f2 48 cd c9 c9 07 00", "Hello", 0},
		{"a block without compression", "00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello", 0},
		{"a last block", "f3 48 cd c9 c9 07 00 00", "Hello", 0},
		{"two blocks", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello", 0},
		{"the same with the window of the message before", "f2 00 11 00 00", "", CodeInvalidPayload},
		{"an empty message", "00", "", 0},
		{"an empty message in the fixed codes", "02 00", "", 0},
		{"an empty last block", "03 00 00", "", 0},
		{"a last block that lost its tail", "00 05 00 fa ff 48 65 6c 6c 6f 01", "Hello", 0},

		{"nothing at all", "", "", CodeInvalidPayload},
		{"cut in a code", "f2 48 cd c9", "", CodeInvalidPayload},
		{"cut in a block without compression", "00 05 00 fa ff 48 65", "", CodeInvalidPayload},
		{"cut before its length", "00 05", "", CodeInvalidPayload},
		{"a length that contradicts itself", "00 05 00 fa fe 48 65 6c 6c 6f 00", "", CodeInvalidPayload},
		{"a reserved kind of block", "07", "", CodeInvalidPayload},
		{"garbage", "ff ff ff ff ff ff", "", CodeInvalidPayload},
		{"more behind the last block", "f3 48 cd c9 c9 07 00 00 00", "", CodeInvalidPayload},
		{"a message behind the last block", "f3 48 cd c9 c9 07 00 f2 48 cd c9 c9 07 00", "", CodeInvalidPayload},
		{"no zero byte behind the last block", "f3 48 cd c9 c9 07 00 01", "", CodeInvalidPayload},
		{"not UTF-8", "00 01 00 fe ff ff 00", "", CodeInvalidPayload},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := z.Inflate(OpText, fromHex(t, test.payload), 1000)
			if codeOf(err) != test.code || (err != nil) != (test.code != 0) || string(got) != test.want {
				t.Errorf("%q, %v; want %q, code %d", got, err, test.want, test.code)
			}
			// Whatever came before, the next message stands by itself.
			if got, err := z.Inflate(OpText, fromHex(t, "f2 48 cd c9 c9 07 00"), 1000); err != nil || string(got) != "Hello" {
				t.Errorf("afterwards: %q, %v", got, err)
			}
		})
	}
	if got, err := z.Inflate(OpBinary, fromHex(t, "00 01 00 fe ff ff 00"), 1000); err != nil || string(got) != "\xff" {
		t.Errorf("binary: %q, %v", got, err)
	}
}

func TestInflateLimit(t *testing.T) {
	for _, size := range []int{1, 100, inflatedBytesMin - 1, inflatedBytesMin, inflatedBytesMin + 1, 3*inflatedBytesMin + 7, 1 << 20} {
		payload := deflated(t, strings.Repeat("a", size))
		for limit, code := range map[int]uint16{size - 1: CodeMessageTooBig, size: 0, size + 1: 0, 4 * size: 0} {
			var z Inflater
			got, err := z.Inflate(OpText, payload, limit)
			if codeOf(err) != code || code == 0 && (err != nil || len(got) != size) {
				t.Errorf("%d bytes, limit %d: %d bytes, %v", size, limit, len(got), err)
			}
			if cap(z.out) > limit {
				t.Errorf("%d bytes, limit %d: the buffer has %d", size, limit, cap(z.out))
			}
		}
	}
}

// TestInflateKeeps: what one large message took is not kept for ever.
func TestInflateKeeps(t *testing.T) {
	var z Inflater
	if _, err := z.Inflate(OpText, deflated(t, strings.Repeat("a", 1<<20)), 1<<20); err != nil {
		t.Fatal(err)
	}
	if z.Trim(); cap(z.out) > inflatedBytesKept || cap(z.in) > inflatedBytesKept {
		t.Errorf("%d and %d bytes are kept", cap(z.out), cap(z.in))
	}
	if got, err := z.Inflate(OpText, deflated(t, "a"), 1<<20); err != nil || string(got) != "a" {
		t.Errorf("then %q (%v)", got, err)
	}
}

// payloadOf takes a compressed frame apart.
func payloadOf(t testing.TB, frame []byte, op OpCode) []byte {
	t.Helper()
	h, n, ok, err := ParseHeader(frame)
	if err != nil || !ok || !h.Fin || h.Rsv != rsv1 || h.OpCode != op || h.Masked || int(h.Length) != len(frame)-n {
		t.Fatalf("header %+v of %d bytes, %v %v", h, len(frame), ok, err)
	}
	if err := h.Check(FromServer|Deflated, 1<<30); err != nil {
		t.Fatal(err)
	}
	return frame[n:]
}

// prose is something to compress.
func prose(size int) (text []byte) {
	words := []string{"news ", "push ", "channel ", "publication ", "offset ", "{}\n"}
	for len(text) < size {
		text = append(text, words[rand.IntN(len(words))]...)
	}
	return text[:size]
}

func TestDeflate(t *testing.T) {
	for level := DeflateLevelMin; level <= DeflateLevelMax; level++ {
		d := NewDeflater(level, 0)
		var z Inflater
		for _, size := range []int{80, 124, 125, 126, 1000, 10_000, DeflateSlowBytesMax, 65_535, DeflateBytesMax} {
			if level > DeflateQuickMax && size > DeflateSlowBytesMax {
				continue
			}
			text := prose(size)
			frame := d.Frame(OpText, text)
			if frame == nil {
				t.Fatalf("level %d: %d bytes do not get smaller", level, size)
			}
			if len(frame) >= len(AppendFrame(nil, OpText, text)) || cap(frame) != len(frame) {
				t.Errorf("level %d: %d bytes became %d in %d", level, size, len(frame), cap(frame))
			}
			got, err := z.Inflate(OpText, payloadOf(t, frame, OpText), size)
			if err != nil || !bytes.Equal(got, text) {
				t.Fatalf("level %d, %d bytes: %v", level, size, err)
			}
			// The standard library reads the same.
			std, _ := io.ReadAll(stdflate.NewReader(io.MultiReader(bytes.NewReader(payloadOf(t, frame, OpText)), strings.NewReader(inflateTail))))
			if !bytes.Equal(std, text) {
				t.Errorf("level %d, %d bytes: the standard library disagrees", level, size)
			}
		}
	}
}

// TestDeflateDeclines: what is better sent plain.
func TestDeflateDeclines(t *testing.T) {
	random := make([]byte, 1000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	long := bytes.Repeat([]byte("a"), DeflateBytesMax+1)
	for level, most := range map[int]int{DeflateQuickMax: DeflateBytesMax, DeflateQuickMax + 1: DeflateSlowBytesMax} {
		d := NewDeflater(level, 0)
		if d.Frame(OpText, long[:most]) == nil || d.Frame(OpText, long[:most+1]) != nil {
			t.Errorf("level %d does not compress up to %d bytes", level, most)
		}
	}
	d := NewDeflater(1, 100)
	for name, test := range map[string]struct {
		payload []byte
		want    bool
	}{
		"below the smallest": {long[:99], false},
		"the smallest":       {long[:100], true},
		"the largest":        {long[:DeflateBytesMax], true},
		"above the largest":  {long, false},
		"not smaller":        {random, false},
	} {
		if got := d.Frame(OpBinary, test.payload) != nil; got != test.want {
			t.Errorf("%s: compressed %v, want %v", name, got, test.want)
		}
	}
	d = NewDeflater(1, 0)
	for _, short := range []string{"", "{}", "\x00"} {
		if d.Frame(OpText, []byte(short)) != nil {
			t.Errorf("%q got smaller", short)
		}
	}
	if cap(d.out.buf) > 2*DeflateBytesMax {
		t.Errorf("%d bytes are kept", cap(d.out.buf))
	}
}

func TestDeflateAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	text := []byte(strings.Repeat(`{"id":1,"subscribe":{"channel":"news"}}`, 10))
	d := NewDeflater(1, 0)
	frame := d.Frame(OpText, text)
	if n := testing.AllocsPerRun(100, func() { d.Frame(OpText, text) }); n > 1 {
		t.Errorf("compressing allocates %v times, the frame itself is one", n)
	}
	var z Inflater
	payload := payloadOf(t, frame, OpText)
	if n := testing.AllocsPerRun(100, func() { z.Inflate(OpText, payload, 1000) }); n > 0 {
		t.Errorf("decompressing allocates %v times", n)
	}
}

// TestReaderDeflated: where the first reserved bit may be, and what comes with it.
func TestReaderDeflated(t *testing.T) {
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00"
	mark := func(frame string) string { return string([]byte{frame[0] | rsv1Bit}) + frame[1:] }
	client := func(op OpCode, fin bool, payload string) string {
		return string(AppendClientFrame(nil, op, fin, [4]byte{9, 8, 7, 6}, []byte(payload)))
	}
	for _, test := range []struct {
		name, in string
		peer     State
		code     uint16 // of the error, 0 for a message
	}{
		{"text", mark(client(OpText, true, hello)), Deflated, 0},
		{"binary", mark(client(OpBinary, true, hello)), Deflated, 0},
		{"fragments", mark(client(OpText, false, hello[:2])) + client(OpContinuation, false, hello[2:3]) + client(OpContinuation, true, hello[3:]), Deflated, 0},
		{"ping between fragments", mark(client(OpText, false, hello[:2])) + client(OpPing, true, "") + client(OpContinuation, true, hello[2:]), Deflated, 0},
		{"not negotiated", mark(client(OpText, true, hello)), 0, CodeProtocolError},
		{"on a continuation", mark(client(OpText, false, hello[:2])) + mark(client(OpContinuation, true, hello[2:])), Deflated, CodeProtocolError},
		{"on the continuation alone", client(OpText, false, "") + mark(client(OpContinuation, true, hello)), Deflated, CodeProtocolError},
		{"on a ping", mark(client(OpPing, true, "")), Deflated, CodeProtocolError},
		{"on a pong", mark(client(OpPong, true, "")), Deflated, CodeProtocolError},
		{"on a close", mark(client(OpClose, true, "\x03\xe8")), Deflated, CodeProtocolError},
		{"with the second bit", string([]byte{mark(client(OpText, true, hello))[0] | 0x20}) + mark(client(OpText, true, hello))[1:], Deflated, CodeProtocolError},
		{"the second bit alone", string([]byte{client(OpText, true, hello)[0] | 0x20}) + client(OpText, true, hello)[1:], Deflated, CodeProtocolError},
		{"a new message inside", mark(client(OpText, false, hello[:2])) + mark(client(OpText, true, hello)), Deflated, CodeProtocolError},
		{"plain text that is not UTF-8", client(OpText, true, "\xff"), Deflated, CodeInvalidPayload},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Reader{Peer: test.peer}
			defer r.Release()
			for buf := []byte(test.in); ; {
				ev, n, _, err := r.Next(buf, 100)
				buf = buf[n:]
				if err != nil || ev.Kind == EventNone {
					if code := codeOf(err); code != test.code {
						t.Errorf("code %d, want %d", code, test.code)
					}
					return
				}
				if ev.Kind != EventMessage && ev.Kind != EventDeflated {
					continue
				}
				var z Inflater
				got, err := z.Inflate(ev.OpCode, ev.Payload, 100)
				if ev.Kind != EventDeflated || err != nil || string(got) != "Hello" || test.code != 0 {
					t.Errorf("kind %v, %q, %v", ev.Kind, got, err)
				}
				return
			}
		})
	}
}

// FuzzInflate compares with the standard library, under a limit.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), uint16(5))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), uint16(4))
	f.Add(deflated(f, strings.Repeat("ab", 5000)), uint16(20_000))
	f.Add([]byte("\x00\x05\x00\xfa\xff"), uint16(10))
	var z Inflater
	f.Fuzz(func(t *testing.T, payload []byte, limit uint16) {
		got, err := z.Inflate(OpBinary, payload, int(limit))
		source := bytes.NewReader(append(bytes.Clone(payload), inflateTail...))
		want, stdErr := io.ReadAll(io.LimitReader(stdflate.NewReader(source), int64(limit)+1))
		switch {
		case len(want) > int(limit):
			// Which fault is found first depends on how far a reader looks ahead.
			if err == nil {
				t.Errorf("%d bytes under a limit of %d", len(got), limit)
			}
		case stdErr != nil:
			if codeOf(err) != CodeInvalidPayload {
				t.Errorf("%v, the standard library says %v", err, stdErr)
			}
		case err == nil && !bytes.Equal(got, want):
			t.Errorf("%q, the standard library says %q", got, want)
		case err != nil && source.Len() == len(inflateTail):
			t.Errorf("%v, and the standard library reads %q", err, want)
		}
	})
}

// FuzzDeflate: what is compressed comes back.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte("Hello, hello, hello, hello, hello"), uint8(1))
	f.Add(bytes.Repeat([]byte("abc"), 1000), uint8(9))
	f.Fuzz(func(t *testing.T, payload []byte, level uint8) {
		frame := NewDeflater(int(level%9)+1, 0).Frame(OpBinary, payload)
		if frame == nil {
			return
		}
		var z Inflater
		if got, err := z.Inflate(OpBinary, payloadOf(t, frame, OpBinary), len(payload)); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%q (%v), want %q", got, err, payload)
		}
	})
}
