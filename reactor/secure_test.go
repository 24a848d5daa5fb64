package reactor

import (
	"strings"
	"testing"

	"stentor/codec/ws"
)

func TestTLSEcho(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
		c := dialWSS(t, r, clientTLS(version))
		for _, n := range []int{0, 1, 1000, 20000, 60000} {
			msg := strings.Repeat("x", n)
			c.say(text(msg))
			c.expect(msg)
		}
		half := text("in two halves")
		c.say(half[:3])
		c.say(half[3:] + clientFrame(ws.OpPing, true, "?"))
		c.expect("in two halves")
		if op, payload, err := c.hear(); op != ws.OpPong || payload != "?" || err != nil {
			t.Errorf("heard %v %q, %v", op, payload, err)
		}
		c.say(clientClose(1000, ""))
		c.expectClose(1000, "")
		c.expectEnd()
	})
}
