package websocket

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"stentor/codec/ws"
	"stentor/server/transport/gate"
)

// TestEnds: a client is counted out with the code that ended it, from whichever side, with pings of either kind.
func TestEnds(t *testing.T) {
	mask := [4]byte{1, 2, 3, 4}
	h := open(t, nil, func(c *Config, _ *gate.Config) { c.MessageBytesMax = 1000 })
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
			before := h.ended(tt.code)
			tt.end(c)
			eventually(t, "the client is gone", func() bool { return h.node.Clients() == 0 })
			if n := h.ended(tt.code) - before; n != 1 {
				t.Errorf("%s: %d clients are counted out with %d:\n%s", target, n, tt.code, h.ends())
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

// ends are the lines about clients that went.
func (h *house) ends() (lines string) {
	var page bytes.Buffer
	h.node.Metrics.Write(&page)
	for line := range strings.Lines(page.String()) {
		if strings.HasPrefix(line, "stentor_client_disconnects_total{") {
			lines += line
		}
	}
	return lines
}

// ended is how many clients went with a code.
func (h *house) ended(code int) (n int) {
	_, rest, found := strings.Cut(h.ends(), fmt.Sprintf(`{code="%d"} `, code))
	if found {
		fmt.Sscan(rest, &n)
	}
	return n
}
