package websocket

import (
	"strings"
	"testing"
	"time"

	"stentor/codec/ws"
	"stentor/server/config"
	"stentor/server/pipetest"
)

// TestFramePings: a client may ask for pings of WebSocket in place of those of the protocol.
func TestFramePings(t *testing.T) {
	quick := func(cfg *config.Config) {
		cfg.Client.PingInterval, cfg.Client.PongTimeout = config.Duration(600*time.Millisecond), config.Duration(300*time.Millisecond)
	}
	h := open(t, pipetest.Config{Config: quick}, nil)
	for _, target := range []string{"/ws?cf_ws_frame_ping_pong=true", "/ws?a=b&cf_ws_frame_ping%5Fpong=true"} {
		c := h.dial(ws.ClientRequest{Target: target})
		c.say(ws.OpText, connectJSON)
		if _, payload, err := c.hear(); err != nil || !strings.Contains(payload, `"connect"`) || strings.Contains(payload, "ping") || strings.Contains(payload, "pong") {
			t.Fatalf("heard %q (%v)", payload, err)
		}
		c.say(ws.OpPong, "that nobody asked for")
		for range 3 {
			if op, payload, err := c.hear(); op != ws.OpPing || payload != "" || err != nil {
				t.Fatalf("heard %v %q (%v), want a ping", op, payload, err)
			}
			c.say(ws.OpPong, "")
		}
		if op, _, err := c.hear(); op != ws.OpPing || err != nil {
			t.Fatalf("heard %v (%v), want a ping", op, err)
		}
		c.expectClose(3012, "no pong")
		c.Close()
	}
	for _, target := range []string{"/ws?cf_ws_frame_ping_pong=false", "/ws?cf_ws_frame_ping_pong", "/ws?x=cf_ws_frame_ping_pong=true"} {
		c := h.dial(ws.ClientRequest{Target: target})
		c.say(ws.OpText, connectJSON)
		if _, payload, err := c.hear(); err != nil || !strings.Contains(payload, `"pong":true`) {
			t.Fatalf("%s: heard %q (%v)", target, payload, err)
		}
		if op, payload, err := c.hear(); op != ws.OpText || payload != "{}" || err != nil {
			t.Fatalf("%s: heard %v %q (%v), want a ping of the protocol", target, op, payload, err)
		}
		c.say(ws.OpPong, "") // answers nothing here
		c.expectClose(3012, "no pong")
		c.Close()
	}
}
