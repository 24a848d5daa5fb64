package ws

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	gobwas "github.com/gobwas/ws"
)

// FuzzReader reads the same stream whole and in chops of every kind, and in the plain
// way of reference. All must tell the same story.
func FuzzReader(f *testing.F) {
	for _, g := range [][]autobahnCase{autobahn2(), autobahn3(), autobahn4(), autobahn5(), autobahn6(), autobahn7()} {
		for _, c := range g {
			if b := bytes.Join(c.frames, nil); len(b) < 300 {
				f.Add(b, []byte{3, 1, 20}, uint16(100))
			}
		}
	}
	f.Add([]byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"), []byte{9, 1}, uint16(65535))
	f.Add(append(more(OpBinary, strings.Repeat("a", 400)), last(OpContinuation, strings.Repeat("b", 200))...), []byte{255}, uint16(600))
	f.Fuzz(func(t *testing.T, stream, chops []byte, limit uint16) {
		stream = stream[:min(len(stream), 2048)] // the checks around each call are quadratic
		want := transcript(t, int(limit), false, bytes.Clone(stream))
		if ref := reference(stream, int64(limit)); !slices.Equal(want, ref) {
			t.Fatalf("limit %d, stream %x\n     got %q\nexpected %q", limit, stream, want, ref)
		}
		var pieces [][]byte
		for rest, i := stream, 0; len(rest) > 0; i++ {
			n := 1
			if len(chops) > 0 {
				n = 1 + int(chops[i%len(chops)])
			}
			n = min(n, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		for _, eager := range []bool{false, true} {
			if got := transcript(t, int(limit), eager, pieces...); !slices.Equal(got, want) {
				t.Fatalf("limit %d, stream %x, eager %v\nin pieces %q\n    whole %q", limit, stream, eager, got, want)
			}
		}
	})
}

// reference reads a stream of a client's ws frames with gobwas/ws, which has another
// way with headers, and with no care for memory.
func reference(stream []byte, limit int64) (story []string) {
	var message string
	var op OpCode
	for in := bytes.NewReader(stream); ; {
		at := len(stream) - in.Len()
		h, err := gobwas.ReadHeader(in)
		size := len(stream) - in.Len() - at
		if err != nil {
			// A length may be wrong while the mask after it has not come.
			if wrongForm(stream[at:]) {
				return append(story, fail(1002))
			}
			return story
		}
		state := gobwas.StateServerSide
		if op != 0 {
			state |= gobwas.StateFragmented
		}
		if wrongForm(stream[at:at+size]) || gobwas.CheckHeader(h, state) != nil {
			return append(story, fail(1002))
		}
		if h.OpCode.IsData() && h.Length > limit-int64(len(message)) {
			return append(story, fail(1009))
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return story
		}
		for i := range payload {
			payload[i] ^= h.Mask[i%4]
		}
		if h.OpCode.IsControl() {
			line, end := referenceControl(h.OpCode, payload)
			if story = append(story, line); end {
				return story
			}
			continue
		}
		if h.OpCode != OpContinuation {
			op = h.OpCode
		}
		message += string(payload)
		if op == OpText && (!extendable(message) || h.Fin && strings.ToValidUTF8(message, "") != message) {
			return append(story, fail(1007))
		}
		if h.Fin {
			story = append(story, showEvent(Event{Kind: EventMessage, OpCode: op, Payload: []byte(message)}))
			message, op = "", 0
		}
	}
}

func referenceControl(op OpCode, payload []byte) (line string, end bool) {
	switch op {
	case OpPing:
		return ping(string(payload)), false
	case OpPong:
		return pong(string(payload)), false
	}
	code, reason, err := ParseClose(payload)
	if err != nil {
		return fail(codeOf(err)), true
	}
	return closed(code, reason), true
}

// wrongForm says whether the length in the header that b begins with could be shorter or
// has its top bit set.
func wrongForm(b []byte) bool {
	switch {
	case len(b) >= 4 && b[1]&lenBits == len16Mark:
		return b[2] == 0 && b[3] < len16Mark
	case len(b) >= 10 && b[1]&lenBits == len64Mark:
		return b[2] >= 0x80 || bytes.Equal(b[2:8], make([]byte, 6))
	default:
		return false
	}
}

// FuzzHandshake checks that whatever a request says, nothing panics and what is accepted
// can be answered with a head that net/http and our own client understand.
func FuzzHandshake(f *testing.F) {
	f.Add("GET", "HTTP/1.1", "keep-alive, Upgrade", "websocket", "13", rfcKey, "centrifuge-json, x", []byte("HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n"))
	f.Add("POST", "HTTP/1.0", "close,,Upgrade", "h2c", "12", "AAAAAAAAAAAAAAAAAAAAAAA=", "\xff,,caf\u00e9", AppendRefusal(nil, errVersion))
	f.Add("GET", "HTTP/1.1", "Upgrade", "websocket", "13", "AAAAAAAAAAAAAAAAAAAAAA==", strings.Repeat("x,", 1000), AppendUpgradeResponse(nil, rfcKey, "a", ""))
	supported := []string{"centrifuge-json", "centrifuge-protobuf"}
	f.Fuzz(func(t *testing.T, method, proto, connection, upgrade, version, key, offers string, response []byte) {
		checkResponse(t, response, key)
		r := UpgradeRequest{Method: method, Proto: proto, Host: "h", Connection: connection, Upgrade: upgrade, Version: version, Key: key}
		err := r.Check()
		if err != nil {
			if statusOf(err) < 400 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if !IsUpgrade(connection, upgrade) {
			t.Fatal("accepted what is no upgrade")
		}
		protocol, err := Choose(offers, supported)
		if err != nil {
			if statusOf(err) != 400 || protocol != "" {
				t.Fatalf("%q: %q, %v", offers, protocol, err)
			}
			return
		}
		if protocol != "" && (!slices.Contains(supported, protocol) || !strings.Contains(offers, protocol)) {
			t.Fatalf("%q: chose %q", offers, protocol)
		}
		head := AppendUpgradeResponse(nil, key, protocol, "")
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
		if err != nil || resp.StatusCode != 101 || len(resp.Header) > 4 {
			t.Fatalf("%q: %v", head, err)
		}
		got, n, ok, err := ParseUpgradeResponse(head, key)
		if got != protocol || n != len(head) || !ok || err != nil {
			t.Fatalf("%q: %q, %d, %v, %v", head, got, n, ok, err)
		}
	})
}

// checkResponse reads any bytes as a server's answer, whole and growing.
func checkResponse(t *testing.T, b []byte, key string) {
	protocol, n, ok, err := ParseUpgradeResponse(b, key)
	if n < 0 || n > len(b) || ok && err != nil || ok != (n > 0) {
		t.Fatalf("%q: %d, %v, %v", b, n, ok, err)
	}
	if !ok {
		return
	}
	if _, _, early, err := ParseUpgradeResponse(b[:n-1], key); early || err != nil {
		t.Fatalf("%q: done before its end, or %v", b, err)
	}
	if again, m, ok, err := ParseUpgradeResponse(b[:n], key); again != protocol || m != n || !ok || err != nil {
		t.Fatalf("%q: changed by what follows", b)
	}
}

// FuzzUTF8 compares the incremental check with the plain ones at every cut.
func FuzzUTF8(f *testing.F) {
	for _, g := range utf8Groups() {
		for _, s := range g.texts {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 64 {
			s = s[:64]
		}
		for a := range len(s) + 1 {
			checkPieces(t, s, s[:a], s[a:])
			for b := a; b <= len(s); b++ {
				checkPieces(t, s, s[:a], s[a:b], s[b:])
			}
		}
		var u UTF8
		for i := range len(s) {
			if u.Write([]byte{s[i]}) != extendable(s[:i+1]) {
				t.Fatalf("%q: verdict after byte %d is not the earliest", s, i)
			}
		}
	})
}
