package websocket

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/server/config"
	"stentor/server/pipetest"
	"stentor/server/transport/gate"
)

const connectJSON = `{"id":1,"connect":{}}`

// connectProtobuf is the same, its length before it.
const connectProtobuf = "\x04\x08\x01\x22\x00"

func TestNegotiation(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	const json, protobuf = codec.JSON, codec.Protobuf
	for _, tt := range []struct {
		name, target, protocols string
		header                  string // further Sec-WebSocket-Protocol lines
		form                    codec.Form
		echo                    string
	}{
		{"nothing", "/ws", "", "", json, ""},
		{"JSON offered", "/ws", "centrifuge-json", "", json, "centrifuge-json"},
		{"Protobuf offered", "/ws", "centrifuge-protobuf", "", protobuf, "centrifuge-protobuf"},
		{"both", "/ws", "centrifuge-json, centrifuge-protobuf", "", json, "centrifuge-json"},
		{"both, Protobuf first", "/ws", "centrifuge-protobuf,centrifuge-json", "", json, "centrifuge-json"},
		{"both, on two lines", "/ws", "centrifuge-protobuf", "centrifuge-json", json, "centrifuge-json"},
		{"unknown", "/ws", "mqtt", "", json, ""},
		{"unknown and Protobuf", "/ws", "mqtt ,\tcentrifuge-protobuf", "", protobuf, "centrifuge-protobuf"},
		{"names count letter by letter", "/ws", "Centrifuge-Protobuf, centrifuge-protobuf2", "", json, ""},
		{"a thousand", "/ws", strings.Repeat("x,", 1000) + "centrifuge-protobuf", "", protobuf, "centrifuge-protobuf"},
		{"not ASCII", "/ws", "centrifuge-\xc3\xbc, centrifuge-json", "", json, "centrifuge-json"},
		{"query format", "/ws?format=protobuf", "", "", protobuf, ""},
		{"query cf_protocol", "/ws?cf_protocol=protobuf", "", "", protobuf, ""},
		{"query, escaped", "/ws?a=b&format=%70rotobuf", "", "", protobuf, ""},
		{"query, other format", "/ws?format=json", "", "", json, ""},
		{"query, version marker", "/ws?cf_protocol_version=v2", "", "", json, ""},
		{"query, other key", "/ws?x=protobuf", "", "", json, ""},
		{"query, first value counts", "/ws?format=json&format=protobuf", "", "", json, ""},
		{"query, half of it malformed", "/ws?%zz=1&format=protobuf", "", "", protobuf, ""},
		{"query against an offer", "/ws?format=protobuf", "centrifuge-json", "", protobuf, "centrifuge-json"},
		{"long query", "/ws?x=" + strings.Repeat("y", 10_000) + "&format=protobuf", "", "", protobuf, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			request := ws.ClientRequest{Target: tt.target, Protocols: tt.protocols}
			if tt.header != "" {
				request.Header = "Sec-WebSocket-Protocol: " + tt.header + "\r\n"
			}
			c := h.dial(request)
			if c.status != 101 || c.protocol != tt.echo {
				t.Fatalf("status %d, subprotocol %q, want 101 and %q", c.status, c.protocol, tt.echo)
			}
			want, message := ws.OpText, connectJSON
			if tt.form == protobuf {
				want, message = ws.OpBinary, connectProtobuf
			}
			c.say(want, message)
			if op, payload, err := c.hear(); op != want || err != nil || !strings.Contains(payload, "test") {
				t.Errorf("heard %v %q (%v), want a reply in %v", op, payload, err, tt.form)
			}
		})
	}
}

// TestOpCode: the kind of an incoming frame says nothing about its form, and the answer comes in the form's own kind.
func TestOpCode(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	c := h.dial(ws.ClientRequest{})
	c.say(ws.OpBinary, connectJSON)
	if op, payload, err := c.hear(); op != ws.OpText || err != nil || !strings.HasPrefix(payload, `{"id":1,"connect":{`) {
		t.Errorf("heard %v %q (%v)", op, payload, err)
	}
	c = h.dial(ws.ClientRequest{Protocols: "centrifuge-protobuf"})
	c.say(ws.OpText, connectProtobuf)
	if op, payload, err := c.hear(); op != ws.OpBinary || err != nil {
		t.Errorf("heard %v %q (%v)", op, payload, err)
	}
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		allowed []string
		origin  string
		status  int
	}{
		{nil, "", 101},
		{nil, "https://example.com", 403},
		{nil, "null", 403},
		{[]string{"https://example.com"}, "https://example.com", 101},
		{[]string{"https://example.com"}, "HTTPS://EXAMPLE.COM", 101},
		{[]string{"https://example.com"}, "http://example.com", 403},
		{[]string{"https://example.com"}, "https://example.com.evil.com", 403},
		{[]string{"https://example.com"}, "https://example.com:8443", 403},
		{[]string{"https://*.example.com"}, "https://a.example.com", 101},
		{[]string{"https://*.example.com"}, "https://example.com", 403},
		{[]string{"*"}, "https://anything.example", 101},
	} {
		t.Run(fmt.Sprint(tt.allowed, tt.origin), func(t *testing.T) {
			h := open(t, pipetest.Config{Origins: tt.allowed}, nil)
			if c := h.dial(ws.ClientRequest{Origin: tt.origin}); c.status != tt.status {
				t.Errorf("status %d, want %d", c.status, tt.status)
			}
			want := 0
			if tt.status == 403 {
				want = 1
			}
			if refused, _, _ := h.Gate.Refused(); int(refused) != want || h.told() != want {
				t.Errorf("%d refused and %d lines told, want %d", refused, h.told(), want)
			}
		})
	}
}

// told is how often the log was told of a page that may not connect.
func (h *house) told() int { return strings.Count(h.Logged(), "a page of this origin may not connect") }

// TestOriginsChange: a reload holds for the next request, and the log is told once a second.
func TestOriginsChange(t *testing.T) {
	var c clock
	h := open(t, pipetest.Config{Gate: func(g *gate.Config) { g.Now = c.now }}, nil)
	page := ws.ClientRequest{Origin: "https://example.com"}
	for range 3 {
		if c := h.dial(page); c.status != 403 {
			t.Fatalf("status %d", c.status)
		}
	}
	if n := h.told(); n != 1 {
		t.Errorf("%d lines in one second", n)
	}
	c.pass(time.Second)
	h.dial(page)
	if n := h.told(); n != 2 {
		t.Errorf("%d lines in two seconds", n)
	}
	h.Gate.SetOrigins(h.PagesOf("https://example.com"))
	if c := h.dial(page); c.status != 101 {
		t.Errorf("status %d after the reload", c.status)
	}
}

// TestConnectionLimit: a place comes free when a connection ends.
func TestConnectionLimit(t *testing.T) {
	h := open(t, pipetest.Config{Gate: func(g *gate.Config) { g.ConnectionsMax = 2 }}, nil)
	a, b := h.dial(ws.ClientRequest{}), h.dial(ws.ClientRequest{})
	if a.status != 101 || b.status != 101 {
		t.Fatalf("statuses %d and %d", a.status, b.status)
	}
	if c := h.dial(ws.ClientRequest{}); c.status != 503 {
		t.Errorf("status %d over the limit", c.status)
	}
	if _, refused, _ := h.Gate.Refused(); refused != 1 {
		t.Errorf("%d refused", refused)
	}
	a.Close()
	h.Eventually("a place comes free", func() bool { return h.dial(ws.ClientRequest{}).status == 101 })
	b.say(ws.OpText, "nonsense")
	b.expectClose(3501, "bad request")
	b.Close()
	h.Eventually("another place comes free", func() bool { return h.dial(ws.ClientRequest{}).status == 101 })
}

// TestConnectionRate: so many at once, then one a second.
func TestConnectionRate(t *testing.T) {
	var c clock
	h := open(t, pipetest.Config{Gate: func(g *gate.Config) { g.ConnectionsRate, g.Now = 2, c.now }}, nil)
	for i, tt := range []struct {
		passes time.Duration
		status int
	}{
		{0, 101}, {0, 101}, {0, 503}, {900 * time.Millisecond, 503}, {100 * time.Millisecond, 101}, {0, 503}, {time.Hour, 101}, {0, 101}, {0, 503},
	} {
		c.pass(tt.passes)
		if c := h.dial(ws.ClientRequest{}); c.status != tt.status {
			t.Fatalf("request %d: status %d, want %d", i, c.status, tt.status)
		}
	}
}

// TestDraining: newcomers are told where they are wrong, with a close frame.
func TestDraining(t *testing.T) {
	h := open(t, pipetest.Config{Gate: func(g *gate.Config) { g.ConnectionsMax = 10 }}, nil)
	h.Draining.Store(true)
	c := h.dial(ws.ClientRequest{})
	if c.status != 101 {
		t.Fatalf("status %d", c.status)
	}
	c.expectClose(3001, "shutdown")
	c.Close()
	h.Eventually("the connection is counted out", func() bool { return h.inside() == 0 })
}

// TestUserHeader: the header of a trusted proxy names the user, where it is configured.
func TestUserHeader(t *testing.T) {
	for _, configured := range []bool{false, true} {
		h := open(t, pipetest.Config{
			Config: func(c *config.Config) { c.Client.Insecure, c.Client.UserIDHTTPHeader = false, "X-User" },
			Gate: func(g *gate.Config) {
				if !configured {
					g.UserIDHeader = ""
				}
			},
		}, nil)
		c := h.dial(ws.ClientRequest{Header: "x-user: 42\r\n"})
		c.say(ws.OpText, connectJSON)
		if !configured {
			c.expectClose(3501, "bad request")
			continue
		}
		if _, payload, err := c.hear(); err != nil || !strings.Contains(payload, `"connect"`) {
			t.Fatalf("heard %q (%v)", payload, err)
		}
		if sessions := h.Node.Users.Sessions(nil, "42"); len(sessions) != 1 {
			t.Errorf("%d sessions of the user in the header", len(sessions))
		}
	}
}

// TestMessageLimit: a larger message ends the client, with a code that SDKs take as final.
func TestMessageLimit(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.MessageBytesMax = 100 })
	c := h.dial(ws.ClientRequest{})
	c.say(ws.OpText, connectJSON+strings.Repeat(" ", 79))
	if _, payload, err := c.hear(); err != nil || !strings.Contains(payload, `"connect"`) {
		t.Fatalf("heard %q (%v)", payload, err)
	}
	c.say(ws.OpText, strings.Repeat(" ", 101))
	c.expectClose(ws.CodeMessageTooBig, "message size limit")
}

// TestClose: a disconnect is a close frame with its code; "connection closed" is none at all.
func TestClose(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	for _, d := range []codec.Disconnect{codec.DisconnectForceReconnect, {Code: 4999, Reason: strings.Repeat("r", 200)}, codec.DisconnectConnectionClosed} {
		c := h.dial(ws.ClientRequest{})
		c.say(ws.OpText, connectJSON)
		if _, _, err := c.hear(); err != nil {
			t.Fatal(err)
		}
		h.Disconnect(d)
		if d.Code != codec.DisconnectConnectionClosed.Code {
			c.expectClose(uint16(d.Code), d.Reason[:min(len(d.Reason), 123)])
			c.Close()
		} else if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
			t.Errorf("read %q (%v), want the end", rest, err)
		}
		h.Eventually("the client is gone", func() bool { return h.Node.Clients() == 0 })
	}
}
