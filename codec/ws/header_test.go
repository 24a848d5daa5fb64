package ws

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	gobwas "github.com/gobwas/ws"
)

func TestParseHeader(t *testing.T) {
	mask := "\x01\x02\x03\x04"
	for _, c := range []struct {
		name string
		in   string
		want Header
		size int
	}{
		{"empty text", "\x81\x00", Header{Fin: true, OpCode: OpText}, 2},
		{"masked ping", "\x89\x85" + mask, Header{Fin: true, OpCode: OpPing, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: 5}, 6},
		{"fragment with reserved bits", "\x72\x01", Header{OpCode: OpBinary, Rsv: 7, Length: 1}, 2},
		{"16 bits, shortest", "\x82\x7e\x00\x7e", Header{Fin: true, OpCode: OpBinary, Length: 126}, 4},
		{"16 bits, longest", "\x82\xfe\xff\xff" + mask, Header{Fin: true, OpCode: OpBinary, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: 65535}, 8},
		{"64 bits, shortest", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", Header{Fin: true, OpCode: OpBinary, Length: 65536}, 10},
		{"64 bits, longest", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + mask, Header{Fin: true, OpCode: OpBinary, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: math.MaxInt64}, 14},
	} {
		in := []byte(c.in)
		h, n, ok, err := ParseHeader(append(in, "payload"...))
		if !ok || err != nil || n != c.size || h != c.want {
			t.Errorf("%s: %+v, %d, %v, %v", c.name, h, n, ok, err)
		}
		for cut := range in {
			_, n, ok, err := ParseHeader(in[:cut])
			if ok || err != nil || n <= cut || n > c.size {
				t.Errorf("%s, first %d bytes: size %d, %v, %v", c.name, cut, n, ok, err)
			}
		}
	}
}

func TestParseHeaderRefusesLengths(t *testing.T) {
	for name, in := range map[string]string{
		"2^63":              "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00",
		"2^64-1":            "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"125 in 16 bits":    "\x82\xfe\x00\x7d",
		"0 in 16 bits":      "\x81\x7e\x00\x00",
		"65535 in 64 bits":  "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff",
		"5 in 64 bits":      "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05",
		"a ping in 64 bits": "\x89\xff\x00\x00\x00\x00\x00\x00\x00\x05",
	} {
		// The mask has not come yet: the length alone is enough.
		for _, b := range []string{in, in + "\x01\x02\x03\x04 and more"} {
			_, _, ok, err := ParseHeader([]byte(b))
			if topBit := strings.HasPrefix(name, "2^"); (err == errLengthTopBit) != topBit {
				t.Errorf("%s: %v", name, err)
			}
			if ok || codeOf(err) != CodeProtocolError {
				t.Errorf("%s: ok %v, err %v", name, ok, err)
			}
		}
	}
}

func codeOf(err error) uint16 {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}

func TestCheck(t *testing.T) {
	const limit = 1000
	sound := Header{Fin: true, OpCode: OpText, Masked: true, Length: limit}
	with := func(change func(h *Header)) Header {
		h := sound
		change(&h)
		return h
	}
	for _, c := range []struct {
		name  string
		h     Header
		state State
		want  uint16
	}{
		{"sound", sound, FromClient, 0},
		{"unmasked from a client", with(func(h *Header) { h.Masked = false }), FromClient, 1002},
		{"unmasked from a server", with(func(h *Header) { h.Masked = false }), FromServer, 0},
		{"masked from a server", sound, FromServer, 1002},
		{"masked from a server, continued", with(func(h *Header) { h.OpCode = OpContinuation }), FromServer | Fragmented, 1002},
		{"reserved bit 1", with(func(h *Header) { h.Rsv = 4 }), FromClient, 1002},
		{"reserved bit 3", with(func(h *Header) { h.Rsv = 1 }), FromClient, 1002},
		{"reserved data opcode", with(func(h *Header) { h.OpCode = 3 }), FromClient, 1002},
		{"reserved control opcode", with(func(h *Header) { h.OpCode, h.Length = 15, 1 }), FromClient, 1002},
		{"fragmented ping", with(func(h *Header) { h.OpCode, h.Length, h.Fin = OpPing, 1, false }), FromClient, 1002},
		{"ping of 125", with(func(h *Header) { h.OpCode, h.Length = OpPing, 125 }), FromClient, 0},
		{"ping of 126", with(func(h *Header) { h.OpCode, h.Length = OpPing, 126 }), FromClient, 1002},
		{"close of 2^63-1", with(func(h *Header) { h.OpCode, h.Length = OpClose, math.MaxInt64 }), FromClient, 1002},
		{"ping between fragments", with(func(h *Header) { h.OpCode, h.Length = OpPing, 1 }), FromClient | Fragmented, 0},
		{"continuation of nothing", with(func(h *Header) { h.OpCode = OpContinuation }), FromClient, 1002},
		{"continuation", with(func(h *Header) { h.OpCode = OpContinuation }), FromClient | Fragmented, 0},
		{"message inside a message", sound, FromClient | Fragmented, 1002},
		{"over the limit", with(func(h *Header) { h.Length++ }), FromClient, 1009},
		{"far over the limit", with(func(h *Header) { h.Length = math.MaxInt64 }), FromClient, 1009},
	} {
		if got := codeOf(c.h.Check(c.state, limit)); got != c.want {
			t.Errorf("%s: code %d, want %d", c.name, got, c.want)
		}
	}
	ping := Header{Fin: true, OpCode: OpPing, Masked: true, Length: 125}
	if err := ping.Check(FromClient, 0); err != nil {
		t.Errorf("the limit of messages stops a ping: %v", err)
	}
	err := sound.Check(FromClient, limit-1)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != "message size limit" {
		t.Errorf("over the limit: %v", err)
	}
}

func TestWriteHeader(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, math.MaxInt32} {
		var want bytes.Buffer
		h := gobwas.Header{Fin: true, OpCode: OpBinary, Length: int64(n)}
		if err := gobwas.WriteHeader(&want, h); err != nil {
			t.Fatal(err)
		}
		if got := AppendHeader(nil, OpBinary, true, n); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("AppendHeader %d: %x, want %x", n, got, want.Bytes())
		}
		if got := HeaderSize(n); got != want.Len() {
			t.Errorf("HeaderSize %d: %d, want %d", n, got, want.Len())
		}
		buf := []byte("..........payload")
		room := buf[:ServerHeaderBytesMax]
		size := PutHeader(room, OpBinary, n)
		if size != want.Len() || !bytes.Equal(room[len(room)-size:], want.Bytes()) {
			t.Errorf("PutHeader %d: %x", n, room)
		}
		if string(buf[len(room):]) != "payload" || bytes.Trim(buf[:len(room)-size], ".") != nil {
			t.Errorf("PutHeader %d wrote outside: %q", n, buf)
		}
		parsed, _, ok, err := ParseHeader(want.Bytes())
		if !ok || err != nil || parsed != Header(h) {
			t.Errorf("ParseHeader %d: %+v, %v, %v", n, parsed, ok, err)
		}
	}
	if got := AppendHeader([]byte("x"), OpText, false, 3); string(got) != "x\x01\x03" {
		t.Errorf("first fragment: %q", got)
	}
	if got := AppendFrame([]byte("x"), OpPong, []byte("hi")); string(got) != "x\x8a\x02hi" {
		t.Errorf("pong: %q", got)
	}
}

func TestUnmask(t *testing.T) {
	plain := bytes.Repeat([]byte("0123456789abcde"), 7)
	for n := range plain {
		whole := bytes.Clone(plain[:n])
		Unmask(whole, testMask, 0)
		for i, c := range whole {
			if c != plain[i]^testMask[i%4] {
				t.Fatalf("%d bytes: wrong at %d", n, i)
			}
		}
		for cut := range n {
			parts := bytes.Clone(plain[:n])
			Unmask(parts[:cut], testMask, 0)
			Unmask(parts[cut:], testMask, cut)
			if !bytes.Equal(parts, whole) {
				t.Fatalf("%d bytes cut at %d differ", n, cut)
			}
		}
	}
}

func TestHeaderAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	dst := make([]byte, 0, 64)
	room := make([]byte, ServerHeaderBytesMax)
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendHeader(dst[:0], OpText, true, 70000)
		PutHeader(room, OpBinary, 300)
		h, _, _, _ := ParseHeader(dst)
		h.Masked = true
		if h.Check(FromClient, 1<<20) != nil || h.Check(FromClient, 1) == nil {
			t.Error("wrong verdict")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
