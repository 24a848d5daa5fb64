package attack

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/codec/ws/wstest"
	"stentor/server/config"
)

// The attacks of this file end with a deadline of the server: 10 seconds for a request head, 10 for the first command, 30 for a
// message that was begun. They begin before the tests of the other files, wait in t.Parallel while those run, and look then.

const fleetSize = 200

// idler is a client that waits for whatever the server does to it.
type idler struct {
	conn  net.Conn
	heard bytes.Buffer
	done  chan struct{} // closed when the server has ended it
}

// newIdler says answer, if it is not empty, to the first that it hears.
func newIdler(conn net.Conn, answer string) *idler {
	i := &idler{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(i.done)
		defer conn.Close()
		for b := make([]byte, 512); ; {
			n, err := conn.Read(b)
			if err != nil {
				return // a reset is an end, too
			}
			i.heard.Write(b[:n])
			_, _ = io.WriteString(conn, answer)
			answer = ""
		}
	}()
	return i
}

func (i *idler) gone() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// wait returns all that the server said.
func (i *idler) wait(t *testing.T) string {
	t.Helper()
	select {
	case <-i.done:
		return i.heard.String()
	case <-time.After(2 * patience):
		t.Fatal("the server does not end a client that has missed a deadline")
		return ""
	}
}

// trickle sends one byte of text every second to each idler, as long as it lives and there are bytes.
func trickle(stop <-chan struct{}, idlers []*idler, text string) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for at := range len(text) {
		for _, i := range idlers {
			if !i.gone() {
				_, _ = i.conn.Write([]byte{text[at]}) // it may be ended at this moment
			}
		}
		select {
		case <-second.C:
		case <-stop:
			return
		}
	}
}

// TestSilence is group 2: clients that say nothing at all, and those that say nothing once they are upgraded.
func TestSilence(t *testing.T) {
	s := attack(t, newHouse(t, func(*config.Config) {}))
	before := measure()
	silent, fresh := make([]quiet, fleetSize), make([]quiet, fleetSize)
	defer func() {
		for i := range silent {
			silent[i].close()
			fresh[i].close()
		}
	}()
	for i := range silent {
		silent[i] = dialQuiet(t, s.house)
		fresh[i] = dialQuiet(t, s.house)
		fresh[i].say(t, upgradeRequest)
		fresh[i].hearUpgrade(t)
	}
	err := s.await("all clients are there", func(m map[string]int64) bool { return m["stentor_loop_conns"] == 1+2*fleetSize })
	if err != nil {
		t.Fatal(err)
	}
	after := measure()
	if each := (int64(after.heap) - int64(before.heap)) / (2 * fleetSize); each >= 1024 {
		t.Errorf("a silent socket costs %d bytes, want less than 1,024", each)
	} else {
		t.Logf("a silent socket costs %d bytes", each)
	}
	if after.goroutines > before.goroutines {
		t.Errorf("%d goroutines, %d without silent clients", after.goroutines, before.goroutines)
	}
	t.Parallel()
	for i := range silent {
		if heard := silent[i].hearAll(t); heard != "" {
			t.Fatalf("a client that said nothing was told %q", heard)
		}
		if err := endsWith(3502, "stale")(fresh[i].hearAll(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSlowBytes is group 1: clients that send one byte a second, before the upgrade and after it.
func TestSlowBytes(t *testing.T) {
	s := attack(t, newHouse(t, func(*config.Config) {}))
	long := strings.Repeat("x", 200)
	for _, test := range []struct {
		name  string
		open  func() net.Conn
		sends string
		check func(heard string) error
	}{
		{"request heads", func() net.Conn { return dial(t, s.house) },
			"GET / HTTP/1.1\r\nX-Long: " + long, beginsWith("HTTP/1.1 408 ")},
		{"request heads on kept-alive connections", func() net.Conn {
			c := dial(t, s.house)
			c.say(healthRequest)
			c.response()
			return c
		}, "GET / HTTP/1.1\r\nX-Long: " + long, beginsWith("")}, // net/http says nothing
		{"half a frame after the upgrade", func() net.Conn { return upgraded(t, s.house, codec.JSON) },
			text(long), endsWith(3502, "stale")},
		{"half a frame after connect", func() net.Conn { return joined(t, s.house, codec.JSON, "trickle") },
			text(long), endsWith(ws.CodePolicyViolation, anyReason)},
		{"half a fragmented message", func() net.Conn { return joined(t, s.house, codec.JSON, "trickle") },
			frame(ws.OpText, false, "{") + frame(ws.OpContinuation, false, long), endsWith(ws.CodePolicyViolation, anyReason)},
		{"pings inside half a message", func() net.Conn { return joined(t, s.house, codec.JSON, "trickle") },
			frame(ws.OpText, false, "{") + strings.Repeat(frame(ws.OpPing, true, "p"), 30), endsWith(ws.CodePolicyViolation, anyReason)},
	} {
		idlers := make([]*idler, fleetSize/2)
		for i := range idlers {
			idlers[i] = newIdler(test.open(), "")
		}
		go trickle(t.Context().Done(), idlers, test.sends)
		defer func() {
			for _, i := range idlers {
				if err := test.check(i.wait(t)); err != nil {
					t.Errorf("%s: %v", test.name, err)
					return
				}
			}
		}()
	}
	s.witness()
	if m, err := s.metrics(); err != nil || m["stentor_queued_bytes"] > 6*fleetSize/2*1024 {
		t.Errorf("%d bytes are held for slow clients (%v), want 1 KiB for each at the most", m["stentor_queued_bytes"], err)
	}
	t.Parallel()
	s.witness()
}

func beginsWith(prefix string) func(string) error {
	return func(heard string) error {
		if !strings.HasPrefix(heard, prefix) {
			return fmt.Errorf("heard %q, want %q", heard, prefix)
		}
		return nil
	}
}

// endsWith wants a close frame as the last one of all that was heard.
func endsWith(code uint16, reason string) func(string) error {
	return func(heard string) error {
		in := bufio.NewReader(strings.NewReader(heard))
		op, payload := ws.OpCode(0), ""
		for {
			o, p, err := wstest.ReadFrame(in)
			if err == io.EOF {
				break
			}
			if err != nil {
				return fmt.Errorf("%w in %q", err, heard)
			}
			op, payload = o, p
		}
		gotCode, gotReason, err := ws.ParseClose([]byte(payload))
		if op != ws.OpClose || err != nil || gotCode != code || reason != anyReason && reason != gotReason {
			return fmt.Errorf("ended with %v %q (%v), want close %d %s", op, payload, err, code, reason)
		}
		return nil
	}
}

// TestPongs is group 18: pongs that nobody asked for, and none where one is due. Clients are pinged after 4 to 8 seconds here.
func TestPongs(t *testing.T) {
	s := attack(t, newHouse(t, func(cfg *config.Config) {
		cfg.Client.PingInterval = config.Duration(8 * time.Second)
		cfg.Client.PongTimeout = config.Duration(7 * time.Second)
	}))
	pongOf := map[codec.Form]string{codec.JSON: text("{}"), codec.Protobuf: binary("\x00")}
	for form, pong := range pongOf {
		s.row(form.String()+"/pong that nobody asked for", func(t *testing.T) {
			c := joined(t, s.house, form, "x")
			c.say(pong)
			c.expectClose(3501, "bad request")
		})
		s.row(form.String()+"/pong before connect", func(t *testing.T) {
			c := upgraded(t, s.house, form)
			c.say(pong)
			c.expectClose(3501, "bad request")
		})
		s.row(form.String()+"/flood of pongs", func(t *testing.T) {
			c := joined(t, s.house, form, "x")
			_ = c.trySay(strings.Repeat(pong, 20_000) + closing(1000)) // it is thrown out at the first
			c.expectGone()
		})
	}
	s.row("flood of pong frames", func(t *testing.T) {
		c := joined(t, s.house, codec.JSON, "flooded")
		c.say(strings.Repeat(frame(ws.OpPong, true, "unasked"), 50_000))
		c.say(text(`{"id":9,"unsubscribe":{"channel":"flooded"}}`))
		c.expectReply(9, 0) // RFC 6455 section 5.5.3 allows them
		c.say(closing(1000))
		c.expectClose(1000, "")
	})

	s.row("pings by control frames/pong of the protocol", func(t *testing.T) {
		c := framePinged(t, s.house)
		c.say(pongOf[codec.JSON])
		c.expectClose(3501, "bad request")
	})
	s.row("pings by control frames/flood of pong frames", func(t *testing.T) {
		c := framePinged(t, s.house)
		c.say(strings.Repeat(frame(ws.OpPong, true, ""), 50_000) + text(`{"id":9,"unsubscribe":{"channel":"x"}}`))
		c.expectReply(9, 0)
		c.say(closing(1000))
		c.expectClose(1000, "")
	})

	never := make([]*idler, fleetSize/4)
	for i := range never {
		never[i] = newIdler(joined(t, s.house, codec.Form(i%codec.NumForms), "x").Conn, "")
	}
	never = append(never, newIdler(framePinged(t, s.house).Conn, ""))
	twice := make([]*idler, codec.NumForms)
	for f := range codec.Form(codec.NumForms) {
		twice[f] = newIdler(joined(t, s.house, f, "x").Conn, pongOf[f]+pongOf[f])
	}
	t.Parallel()
	for _, i := range never {
		if err := endsWith(3012, "no pong")(i.wait(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range twice {
		if err := endsWith(3501, "bad request")(i.wait(t)); err != nil {
			t.Errorf("two pongs for one ping: %v", err)
		}
	}
}

// framePinged is a client that is pinged with control frames.
func framePinged(t *testing.T, h *house) *client {
	t.Helper()
	c := dial(t, h)
	c.say(strings.Replace(upgradeRequest, endpoint, endpoint+"?cf_ws_frame_ping_pong=true", 1))
	c.hearUpgrade()
	c.join("x")
	return c
}
