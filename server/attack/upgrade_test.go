package attack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/codec/ws"
)

// conversation is a client's part of a short session, in several ws frames.
var conversation = text(`{"id":1,"connect":{}}`) + text(`{"id":2,"subscribe":{"channel":"pipelined"}}`) +
	text(`{"id":3,"publish":{"channel":"pipelined","data":"a"}}`)

// expectConversation hears the server's part of it, in order.
func (c *client) expectConversation() {
	c.r.Helper()
	var heard []string
	for len(heard) < 4 {
		for _, r := range c.replies() {
			if r.Push != nil {
				heard = append(heard, "push")
			} else {
				heard = append(heard, fmt.Sprint(r.ID))
			}
		}
	}
	if got := strings.Join(heard, " "); got != "1 2 push 3" {
		c.r.Fatalf("heard %s", got)
	}
}

// TestPipelining is group 4: what comes in the same segments as the upgrade, before it and after it.
func TestPipelining(t *testing.T) {
	s := attack(t, common)
	s.row("ws frames behind the handshake", func(t *testing.T) {
		c := dial(t, common)
		c.say(upgradeRequest + conversation)
		c.hearUpgrade()
		c.expectConversation()
	})
	s.row("the same byte by byte", func(t *testing.T) {
		c := dial(t, common)
		for _, b := range []byte(upgradeRequest + conversation) {
			c.say(string([]byte{b}))
		}
		c.hearUpgrade()
		c.expectConversation()
	})
	s.row("a close frame behind the handshake", func(t *testing.T) {
		c := dial(t, common)
		c.say(upgradeRequest + text(`{"id":1,"connect":{}}`) + closing(1000) + text(`{"id":2,"subscribe":{"channel":"x"}}`))
		c.hearUpgrade()
		c.expectReply(1, 0)
		c.expectClose(1000, "")
	})
	s.row("a request behind the handshake", func(t *testing.T) {
		c := dial(t, common)
		c.say(upgradeRequest + smuggled)
		c.hearUpgrade()
		c.expectClose(ws.CodeProtocolError, anyReason) // "PO" is no header of a ws frame
	})
	s.row("an upgrade behind the handshake", func(t *testing.T) {
		c := dial(t, common)
		c.say(upgradeRequest + upgradeRequest)
		c.hearUpgrade()
		c.expectClose(ws.CodeProtocolError, anyReason)
	})
	s.row("requests and an upgrade at once", func(t *testing.T) {
		c := dial(t, common)
		c.say(healthRequest + healthRequest + upgradeRequest + conversation)
		for range 2 {
			if status, head, _ := c.response(); status != 200 {
				t.Fatalf("%s", head)
			}
		}
		c.hearUpgrade()
		c.expectConversation()
	})
	s.row("a request and an upgrade byte by byte", func(t *testing.T) {
		c := dial(t, common)
		for _, b := range []byte(healthRequest + upgradeRequest + conversation) {
			c.say(string([]byte{b}))
		}
		if status, head, _ := c.response(); status != 200 {
			t.Fatalf("%s", head)
		}
		c.hearUpgrade()
		c.expectConversation()
	})
	s.row("an upgrade in the body of a request", func(t *testing.T) {
		c := dial(t, common)
		c.say(post("/api/info", upgradeRequest) + healthRequest)
		if status, head, _ := c.response(); status != 400 {
			t.Fatalf("%s", head)
		}
		if status, head, _ := c.response(); status != 200 {
			t.Fatalf("%s", head)
		}
	})
	s.row("1,000 requests at once", func(t *testing.T) {
		all := answers(t, strings.Repeat(healthRequest, 1000))
		if len(all) != 1000 {
			t.Errorf("%d responses", len(all))
		}
	})
}

// oddUpgrades are changes of upgradeRequest and the status that answers them.
var oddUpgrades = []struct {
	name     string
	old, new string
	status   int
}{
	{"empty body announced", "\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n", 101},
	{"body", "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", 400},
	{"chunked body", "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"Connection: close", "Connection: Upgrade", "Connection: close", 0},
	{"Connection: Upgrade, close", "Connection: Upgrade", "Connection: Upgrade, close", 400},
	{"two Connection headers", "Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade", 101},
	{"no Upgrade", "Upgrade: websocket\r\n", "", 0},
	{"Upgrade: h2c", "Upgrade: websocket", "Upgrade: h2c", 0},
	{"Upgrade in upper case", "Upgrade: websocket", "UPGRADE: WEBSOCKET", 101},
	{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 505},
	{"version 12", "Version: 13", "Version: 12", 426},
	{"versions 13 and 12", "Version: 13", "Version: 13\r\nSec-WebSocket-Version: 12", 426},
	{"no version", "Sec-WebSocket-Version: 13\r\n", "", 426},
	{"no key", "Sec-WebSocket-Key: " + testKey + "\r\n", "", 400},
	{"short key", testKey, "YWJj", 400},
	{"oversize key", testKey, strings.Repeat("A", 10_000), 400},
	{"key of a wrong alphabet", testKey, "dGhlIHNhbXBsZSBub25jZ_==", 400},
	{"two keys", "Sec-WebSocket-Key: " + testKey, "Sec-WebSocket-Key: " + testKey + "\r\nSec-WebSocket-Key: " + testKey, 400},
	{"POST", "GET ", "POST ", 405},
	{"CONNECT", "GET ", "CONNECT ", 405},
	{"no Host", "Host: localhost\r\n", "", 400},
	{"non-ASCII subprotocol", "\r\n\r\n", "\r\nSec-WebSocket-Protocol: centrifuge-json, \xc3\xa9\xff\r\n\r\n", 101},
	{"1,000 subprotocols", "\r\n\r\n", "\r\nSec-WebSocket-Protocol: " + strings.Repeat("a,", 999) + "b\r\n\r\n", 101},
	{"subprotocol of 100 KB", "\r\n\r\n", "\r\nSec-WebSocket-Protocol: " + strings.Repeat("a", 100<<10) + "\r\n\r\n", 400},
	{"500 extension offers", "\r\n\r\n", "\r\nSec-WebSocket-Extensions: " + strings.Repeat(`x; a="b,;"; ;=,`, 500) + "z\r\n\r\n", 101},
	{"odd extension offers", "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7, \"\xff\r\n\r\n", 101},
}

// TestOddUpgrades is groups 5 and 6: upgrades that are not right. The connection ends after every refusal, so that a proxy that
// believes in a tunnel by now cannot be made to carry a request inside it.
func TestOddUpgrades(t *testing.T) {
	s := attack(t, common)
	for _, test := range oddUpgrades {
		if !strings.Contains(upgradeRequest, test.old) {
			t.Fatalf("%s changes nothing", test.name)
		}
		request := strings.Replace(upgradeRequest, test.old, test.new, 1)
		s.row(test.name, func(t *testing.T) { oddUpgrade(t, request, test.status) })
		s.row("kept alive/"+test.name, func(t *testing.T) { oddUpgrade(t, healthRequest+request, test.status) })
	}
}

func oddUpgrade(t *testing.T, request string, status int) {
	c := dial(t, common)
	keptAlive := strings.HasPrefix(request, healthRequest)
	_ = c.trySay(request) // a large one may be refused in the middle
	if keptAlive {
		if status, head, _ := c.response(); status != 200 {
			t.Fatalf("%s", head)
		}
	}
	got, head, _ := c.response()
	if got == 101 && strings.Contains(head, "Extensions") {
		t.Errorf("an extension was accepted:\n%s", head)
	}
	switch {
	case got == 101 && status == 101:
		c.join("odd")
		c.say(closing(1000))
		c.expectClose(1000, "")
		return
	case status == 0: // an ordinary request for a page that does not exist, or an upgrade that is refused
		if got != 400 && got != 404 {
			t.Errorf("answered:\n%s", head)
		}
	case keptAlive && got >= 400: // net/http refuses some of them before we see them
	case got != status:
		t.Errorf("answered, want %d:\n%s", status, head)
	}
	if got == 426 && !strings.Contains(head, "Sec-WebSocket-Version: 13\r\n") {
		t.Errorf("426 does not name the version:\n%s", head)
	}
	if status == 0 && got == 404 {
		return // nobody can take this for an upgrade
	}
	_ = c.trySay(smuggled)
	c.awaitInput()
	rest, err := io.ReadAll(c.in)
	if errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(rest), "HTTP/1.") {
		t.Errorf("the connection goes on after a refusal: %q, %v", rest, err)
	}
}

// TestPaths is group 9: paths that one part of a server might read as another's.
func TestPaths(t *testing.T) {
	s := attack(t, common)
	for _, test := range []struct {
		name, path string
		status     int
	}{
		{"as it is", endpoint, 101},
		{"query", endpoint + "?a=b&cf_protocol_version=v2", 101},
		{"query that cannot be read", endpoint + "?format=%zz&=&&%", 101},
		{"many parameters", endpoint + "?" + strings.Repeat("format=protobuf&", 500), 101},
		{"cf_connect over-long JSON", endpoint + "?cf_connect=" + strings.Repeat("%7B%22a%22%3A", 1000), 101},
		{"query of 100 KB", endpoint + "?" + strings.Repeat("x", 100<<10), 400},
		{"cf_connect of 100 KB", endpoint + "?cf_connect=" + strings.Repeat("%7B", 34<<10), 400},
		{"double slash", "/" + endpoint, 307},
		{"double slash in the middle", "/connection//websocket", 307},
		{"dot", "/connection/./websocket", 307},
		{"dots", "/connection/../connection/websocket", 307},
		{"dots to the API", "/connection/websocket/../../api/publish", 307},
		{"another host in front", "//evil.example/..", 307},
		{"escaped dot", "/connection/%2e/websocket", 404},
		{"escaped dots", "/x/%2e%2e/connection/websocket", 404},
		{"escaped slash", "/connection%2fwebsocket", 404},
		{"escaped letter", "/connection/%77ebsocket", 404},
		{"escaped NUL", endpoint + "%00", 404},
		{"escaped twice", "/connection/%2577ebsocket", 404},
		{"trailing slash", endpoint + "/", 404},
		{"parameter", endpoint + ";x=y", 404},
		{"upper case", strings.ToUpper(endpoint), 404},
		{"backslash", `/connection\websocket`, 404},
		{"overlong UTF-8", "/connection/\xc1\xb7ebsocket", 404},
		{"bad escape", endpoint + "%2", 400},
		{"fragment", endpoint + "#x", 404},
		{"no slash", endpoint[1:], 400},
		{"authority", "localhost" + endpoint, 400},
		{"absolute", "http://localhost" + endpoint, 400},
		{"asterisk", "*", 400},
	} {
		request := strings.Replace(upgradeRequest, endpoint, test.path, 1)
		s.row(test.name, func(t *testing.T) { pathTrick(t, request, test.status) })
	}
	// What is not the endpoint must not be a way around the API key either.
	for _, path := range []string{"//api/info", "/api//info", "/%61pi/info", "/api/%2e/info", "/api/info/", "/api;/info", "/API/info"} {
		s.row("API/"+path, func(t *testing.T) {
			c := dial(t, common)
			c.say("POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
			if status, head, body := c.response(); status == 200 || strings.Contains(body, "result") {
				t.Errorf("answered:\n%s%s", head, body)
			}
		})
	}
}

func pathTrick(t *testing.T, request string, status int) {
	c := dial(t, common)
	_ = c.trySay(request)
	got, head, _ := c.response()
	if got != status {
		t.Fatalf("answered, want %d:\n%s", status, head)
	}
	if got == 307 {
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), nil)
		if err != nil {
			t.Fatal(err)
		}
		// A path that begins with two slashes would lead to another host.
		if to := resp.Header.Get("Location"); !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`) {
			t.Errorf("sent to %q", to)
		}
	}
	if got == 101 {
		c.form = codec.JSON
		if strings.Contains(request, "format=protobuf&") {
			c.form = codec.Protobuf
		}
		c.join("path")
		c.say(closing(1000))
		c.expectClose(1000, "")
	}
	if got == 400 {
		c.expectEnd()
	}
}
