package attack

import (
	"fmt"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/codec/ws"
)

// TestFloods is group 12: much input that means little.
func TestFloods(t *testing.T) {
	s := attack(t, common)
	for _, test := range []struct {
		name  string
		first string
		more  string // repeated until the client is thrown out
		count int
		code  uint16
	}{
		{"endless empty fragments", frame(ws.OpText, false, ""), frame(ws.OpContinuation, false, ""), 80_000, ws.CodePolicyViolation},
		{"endless empty binary fragments", frame(ws.OpBinary, false, ""), frame(ws.OpContinuation, false, ""), 80_000, ws.CodePolicyViolation},
		{"endless fragments of one byte", frame(ws.OpText, false, "{"), frame(ws.OpContinuation, false, " "), 80_000, 0},
		{"endless large fragments", frame(ws.OpBinary, false, ""), frame(ws.OpContinuation, false, strings.Repeat("x", 4000)), 1000, ws.CodeMessageTooBig},
	} {
		s.row(test.name, func(t *testing.T) {
			c := joined(t, common, codec.JSON, "flooded")
			_ = c.trySay(test.first + strings.Repeat(test.more, test.count))
			op, payload, err := c.hear()
			if err != nil || op != ws.OpClose {
				t.Fatalf("heard %v %q (%v), want a close frame", op, payload, err)
			}
			// Of fragments of one byte, 65,536 are both the most that a message may have and the most bytes.
			code, _, _ := ws.ParseClose([]byte(payload))
			if code != test.code && (test.code != 0 || code != ws.CodePolicyViolation && code != ws.CodeMessageTooBig) {
				t.Errorf("closed with %d, want %d", code, test.code)
			}
			c.expectEndAfterClose()
		})
	}
	s.row("empty messages", func(t *testing.T) {
		c := joined(t, common, codec.JSON, "flooded")
		_ = c.trySay(strings.Repeat(text(""), 50_000))
		c.expectClose(3501, "bad request")
	})
	s.row("pings", func(t *testing.T) { pingFlood(t, s) })
	s.row("pings that nobody reads the answers of", func(t *testing.T) {
		c := joined(t, common, codec.JSON, "flooded")
		c.say(strings.Repeat(frame(ws.OpPing, true, strings.Repeat("p", 125)), 100_000))
		s.witness()
		if m, err := common.metrics(); err != nil || m["stentor_queued_bytes"] > 1<<20 {
			t.Errorf("%d bytes wait for a client that floods with pings (%v)", m["stentor_queued_bytes"], err)
		}
		c.reset()
	})
	s.row("ping between fragments", func(t *testing.T) {
		c := joined(t, common, codec.JSON, "flooded")
		c.say(frame(ws.OpText, false, `{"id":9,`) + frame(ws.OpPing, true, "now"))
		if op, payload, err := c.hear(); op != ws.OpPong || payload != "now" {
			t.Fatalf("heard %v %q (%v), want the pong", op, payload, err)
		}
		c.say(frame(ws.OpContinuation, false, "") + frame(ws.OpPing, true, "") + frame(ws.OpPong, true, "x") +
			frame(ws.OpContinuation, true, `"unsubscribe":{"channel":"flooded"}}`))
		if op, payload, err := c.hear(); op != ws.OpPong || payload != "" {
			t.Fatalf("heard %v %q (%v), want the pong", op, payload, err)
		}
		c.expectReply(9, 0)
		c.say(closing(1000))
		c.expectClose(1000, "")
	})
	s.row("close, then data", func(t *testing.T) {
		c := joined(t, common, codec.JSON, "flooded")
		victim := joined(t, common, codec.JSON, "after close")
		publish := text(`{"id":9,"publish":{"channel":"after close","data":"never"}}`)
		c.say(frame(ws.OpText, false, "{") + closing(1000) + publish + strings.Repeat(frame(ws.OpPing, true, ""), 1000) + publish)
		c.expectClose(1000, "")
		if err := common.publish("after close", `"last"`); err != nil {
			t.Fatal(err)
		}
		victim.expectPush("after close", `"last"`)
	})
	s.row("binary and text by turns", func(t *testing.T) {
		c := joined(t, common, codec.JSON, "flooded")
		for id := uint32(9); id < 59; id += 2 {
			c.say(text(fmt.Sprintf(`{"id":%d,"unsubscribe":{"channel":"x"}}`, id)))
			c.expectReply(id, 0)
			c.say(binary(fmt.Sprintf(`{"id":%d,"unsubscribe":{"channel":"x"}}`, id+1))) // the opcode says nothing about the form
			c.expectReply(id+1, 0)
		}
		c.say(closing(1000))
		c.expectClose(1000, "")
	})
}

// pingFlood sends many pings at once, reads along, and wants the last one answered.
func pingFlood(t *testing.T, s *scene) {
	const pings = 300_000
	c := joined(t, common, codec.JSON, "flooded")
	said := make(chan error, 1)
	go func() {
		said <- c.trySay(strings.Repeat(frame(ws.OpPing, true, "p"), pings) + frame(ws.OpPing, true, "last"))
	}()
	s.witness()
	for answered := 1; ; answered++ {
		op, payload, err := c.hear()
		if err != nil || op != ws.OpPong || answered > pings+1 {
			t.Fatalf("heard %v %q (%v) after %d pongs", op, payload, err, answered)
		}
		if payload == "last" {
			break
		}
	}
	if err := <-said; err != nil {
		t.Error(err)
	}
	c.say(closing(1000))
	c.expectClose(1000, "")
}
