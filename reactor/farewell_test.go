package reactor

import (
	"fmt"
	"testing"
)

// parting is a pipe over a WebSocket with last words.
type parting struct{ *pipe }

func (p parting) Farewell(code uint16, reason string) []byte {
	if code == 4000 {
		return nil
	}
	return frame(fmt.Sprintf("bye %d %s", code, reason))
}

// Last words come before the close frame, whoever closes; there are none for a peer that closes, or where there is no close frame.
func TestFarewellOfWebSocket(t *testing.T) {
	for _, x := range []struct {
		name, say   string
		code        uint16
		reason      string
		told, ended bool
	}{
		{"owner", text("3001"), 3001, "asked", true, false},
		{"nothing to say", text("4000"), 4000, "asked", false, false},
		{"no close frame", text("0"), 0, "", false, true},
		{"panic", text("panic"), 3004, "internal server error", true, false},
		{"slow", text("slow"), 3008, "slow", true, false},
		{"violation", "\x81\x00", 1002, "frames from client to server must be masked", true, false},
		{"peer", clientClose(1001, ""), 1001, "", false, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := start(t, Config{}, routes(func(*Head) Verdict {
				return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
					return parting{&pipe{c: c, onReceive: func(p *pipe, msg []byte) {
						switch string(msg) {
						case "panic":
							panic("boom")
						case "slow":
							p.c.failSlow()
						default:
							p.c.Close(x.code, x.reason)
						}
					}}}
				}}
			}))
			c := dialWS(t, r)
			c.say(x.say)
			if x.told {
				c.expect(fmt.Sprintf("bye %d %s", x.code, x.reason))
			}
			if !x.ended {
				c.expectClose(x.code, x.reason)
			}
			if x.told {
				c.say(clientClose(x.code, ""))
				c.expectEnd()
			}
		})
	}
}
