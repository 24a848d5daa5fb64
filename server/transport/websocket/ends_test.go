package websocket

import (
	"strings"
	"testing"

	"stentor/codec/ws"
	"stentor/server/pipetest"
)

// TestEnds: a client is counted out with the code that ended it, from whichever side, with pings of either kind.
func TestEnds(t *testing.T) {
	mask := [4]byte{1, 2, 3, 4}
	h := open(t, pipetest.Config{}, func(c *Config) { c.MessageBytesMax = 1000 })
	for _, target := range []string{"/ws", "/ws?cf_ws_frame_ping_pong=true"} {
		for _, tt := range []struct {
			code int
			end  func(c *client)
		}{
			{1001, func(c *client) { c.write(ws.AppendClientClose(nil, mask, 1001, "")) }},
			{1005, func(c *client) { c.say(ws.OpClose, "") }},
			{1009, func(c *client) { c.say(ws.OpText, strings.Repeat("x", 2000)) }},
			{3501, func(c *client) { c.say(ws.OpText, "{") }},
			{0, func(c *client) { c.Close() }},
		} {
			c := h.dial(ws.ClientRequest{Target: target})
			c.say(ws.OpText, connectJSON)
			if _, _, err := c.hear(); err != nil {
				t.Fatal(err)
			}
			before := h.Ended(tt.code)
			tt.end(c)
			h.Eventually("the client is gone", func() bool { return h.Node.Clients() == 0 })
			if n := h.Ended(tt.code) - before; n != 1 {
				t.Errorf("%s: %d clients are counted out with %d", target, n, tt.code)
			}
			c.Close()
		}
	}
}

func (c *client) write(frame []byte) {
	c.t.Helper()
	if _, err := c.Write(frame); err != nil {
		c.t.Fatal(err)
	}
}
