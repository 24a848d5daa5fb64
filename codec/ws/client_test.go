package ws

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	gobwas "github.com/gobwas/ws"
)

// What our client writes, gobwas/ws must read.
func TestAppendClientFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte{'p'}, n)
		b := AppendClientFrame([]byte("before"), OpBinary, n%2 == 0, testMask, payload)
		f, err := gobwas.ReadFrame(bytes.NewReader(b[len("before"):]))
		if err != nil {
			t.Fatal(err)
		}
		f = gobwas.UnmaskFrameInPlace(f)
		if f.Header.OpCode != OpBinary || f.Header.Fin != (n%2 == 0) || !bytes.Equal(f.Payload, payload) {
			t.Errorf("%d bytes: %+v", n, f.Header)
		}
	}
	if payload := []byte("untouched"); string(AppendClientFrame(nil, OpText, true, testMask, payload)) == "" || string(payload) != "untouched" {
		t.Error("the caller's payload was masked")
	}
}

func TestAppendClientClose(t *testing.T) {
	got := transcript(t, 100, false, AppendClientClose(nil, testMask, 3000, "bye"))
	if len(got) != 1 || got[0] != closed(3000, "bye") {
		t.Errorf("%q", got)
	}
	got = transcript(t, 100, false, AppendClientClose(nil, testMask, 0, ""))
	if len(got) != 1 || got[0] != closed(CodeNoStatus, "") {
		t.Errorf("%q", got)
	}
}

func TestNewKey(t *testing.T) {
	a, b := NewKey(), NewKey()
	if a == b || CheckKey(a) != nil {
		t.Errorf("%q, %q", a, b)
	}
}

func TestClientRequest(t *testing.T) {
	r := ClientRequest{
		Host: "example.com:8000", Target: "/connection/websocket?cf_protocol_version=v2", Key: rfcKey,
		Protocols: "a, b", Origin: "https://example.com", Header: "X-User: 42\r\n",
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.Append(nil))))
	if err != nil {
		t.Fatal(err)
	}
	h := req.Header
	check := UpgradeRequest{
		Method: req.Method, Proto: req.Proto, Host: req.Host, Connection: h.Get("Connection"),
		Upgrade: h.Get("Upgrade"), Version: h.Get("Sec-WebSocket-Version"), Key: h.Get("Sec-WebSocket-Key"),
	}
	if err := check.Check(); err != nil {
		t.Error(err)
	}
	if req.RequestURI != r.Target || h.Get("Sec-WebSocket-Protocol") != "a, b" || h.Get("Origin") != r.Origin || h.Get("X-User") != "42" {
		t.Errorf("%+v", req)
	}
	bare := ClientRequest{Host: "h", Target: "/", Key: rfcKey}
	if s := string(bare.Append(nil)); strings.Contains(s, "Protocol:") || strings.Contains(s, "Origin") || !strings.HasSuffix(s, "\r\n\r\n") {
		t.Errorf("%q", s)
	}
}

func TestParseUpgradeResponse(t *testing.T) {
	sound := string(AppendUpgradeResponse(nil, rfcKey, "b", ""))
	for _, c := range []struct {
		name, in, protocol string
		ok                 bool
		status             int
	}{
		{"sound", sound, "b", true, 0},
		{"any case", strings.NewReplacer("Upgrade: websocket", "UPGRADE:WebSocket", "Sec-W", "sec-w").Replace(sound), "b", true, 0},
		{"no protocol", string(AppendUpgradeResponse(nil, rfcKey, "", "")), "", true, 0},
		{"of another key", string(AppendUpgradeResponse(nil, "AAAAAAAAAAAAAAAAAAAAAA==", "", "")), "", false, 101},
		{"no accept", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "", false, 101},
		{"no upgrade", strings.Replace(sound, "Upgrade: websocket", "Upgrade: h2c", 1), "", false, 101},
		{"no connection", strings.Replace(sound, "Connection: Upgrade", "Connection: close", 1), "", false, 101},
		{"unasked extension", strings.Replace(sound, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1), "", false, 101},
		{"refused", string(AppendRefusal(nil, errVersion)), "", false, 426},
		{"overloaded", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "", false, 503},
		{"no HTTP", "SSH-2.0-x\r\n\r\n", "", false, 0},
		{"odd status", "HTTP/1.1 +01 X\r\n\r\n", "", false, 0},
		{"nothing", "\r\n\r\n", "", false, 0},
		{"endless", "HTTP/1.1 101 X\r\n" + strings.Repeat("a: b\r\n", ResponseBytesMax/5), "", false, 0},
	} {
		protocol, n, ok, err := ParseUpgradeResponse([]byte(c.in+"\x81\x00"), rfcKey)
		if ok != c.ok || protocol != c.protocol || statusOf(err) != c.status && !c.ok || (err == nil) != c.ok {
			t.Errorf("%s: %q, %d, %v, %v", c.name, protocol, n, ok, err)
		}
		if ok && n != len(c.in) {
			t.Errorf("%s: head of %d bytes, want %d", c.name, n, len(c.in))
		}
	}
	for cut := range sound {
		if _, n, ok, err := ParseUpgradeResponse([]byte(sound[:cut]), rfcKey); ok || err != nil || n != 0 {
			t.Errorf("first %d bytes: %d, %v, %v", cut, n, ok, err)
		}
	}
}
