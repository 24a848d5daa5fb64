package reactor

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// What a client may not send ends its conn with the right code, and everyone else goes on.
func TestViolations(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	other := dialWS(t, r)
	header := func(second byte, length ...byte) string {
		return "\x82" + string([]byte{second}) + string(length) + "\x01\x02\x03\x04"
	}
	for _, c := range []struct {
		name, raw string
		code      uint16
		reason    string // not compared if empty
	}{
		{"length 2^63", header(0xff, 0x80, 0, 0, 0, 0, 0, 0, 0), 1002, ""},
		{"length 2^64-1", header(0xff, 255, 255, 255, 255, 255, 255, 255, 255), 1002, ""},
		{"length 2^63-1", header(0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255), 1009, "message size limit"},
		{"length 2^31", header(0xff, 0, 0, 0, 0, 0x80, 0, 0, 0), 1009, "message size limit"},
		{"just over the limit", header(0xff, 0, 0, 0, 0, 0, 1, 0, 1), 1009, "message size limit"},
		{"long length for 1", header(0xff, 0, 0, 0, 0, 0, 0, 0, 1), 1002, ""},
		{"unmasked", "\x81\x01a", 1002, ""},
		{"reserved bit", "\xc1" + text("a")[1:], 1002, ""},
		{"reserved opcode", "\x83" + text("a")[1:], 1002, ""},
		{"fragmented ping", clientFrame(ws.OpPing, false, "a"), 1002, ""},
		{"long ping", clientFrame(ws.OpPing, true, strings.Repeat("a", 126)), 1002, ""},
		{"continuation of nothing", clientFrame(ws.OpContinuation, true, "a"), 1002, ""},
		{"message inside a message", clientFrame(ws.OpText, false, "a") + text("b"), 1002, ""},
		{"bad UTF-8", clientFrame(ws.OpText, true, "\xff"), 1007, ""},
		{"close of one byte", clientFrame(ws.OpClose, true, "a"), 1002, ""},
		{"close with 1005", clientFrame(ws.OpClose, true, "\x03\xed"), 1002, ""},
		{"fragments over the limit", clientFrame(ws.OpText, false, strings.Repeat("a", 60000)) + clientFrame(ws.OpContinuation, true, strings.Repeat("a", 6000)), 1009, "message size limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dialWS(t, r)
			conn.say(text("before") + c.raw + text("after"))
			conn.expect("before")
			op, payload, err := conn.hear()
			code, reason, _ := ws.ParseClose([]byte(payload))
			if err != nil || op != ws.OpClose || code != c.code || c.reason != "" && reason != c.reason {
				t.Fatalf("%v %d %q %v, want close %d", op, code, reason, err, c.code)
			}
			conn.expectEnd() // the server ends its side without waiting for an answer that it could not find
			conn.Close()
		})
	}
	other.say(text("still here"))
	other.expect("still here")
	eventually(t, "all others are gone", func() bool { return r.Stats().Conns == 1 })
}

// A message may come byte by byte and in any cut; nothing of it is kept afterwards.
func TestFramesInPieces(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	c := dialWS(t, r)
	long := strings.Repeat("0123456789", 6000)
	all := text("a") + text(strings.Repeat("b", 200)) + clientFrame(ws.OpText, false, "c") + clientFrame(ws.OpPing, true, "p") +
		clientFrame(ws.OpContinuation, false, "") + clientFrame(ws.OpContinuation, true, "d") + text(long)
	for i := 0; i < len(all); {
		n := min(len(all)-i, 1)
		if i > 500 {
			n = min(len(all)-i, 7919)
		}
		c.say(all[i : i+n])
		i += n
	}
	c.expect("a")
	c.expect(strings.Repeat("b", 200))
	if op, payload, err := c.hear(); op != ws.OpPong || payload != "p" || err != nil {
		t.Fatalf("%v %q %v", op, payload, err)
	}
	c.expect("cd")
	c.expect(long)
	eventually(t, "nothing is held", func() bool { return r.Stats().QueuedBytes == 0 })
}

// Incomplete input counts while it is there, and has a deadline that control frames do not put off.
func TestFragmentDeadline(t *testing.T) {
	for _, c := range []struct{ name, raw string }{
		{"half a header", text("abc")[:1]},
		{"half a frame", text("abc")[:7]},
		{"half a message", clientFrame(ws.OpText, false, "abc")},
		{"an empty fragment", clientFrame(ws.OpText, false, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, Config{FragmentTimeout: 300 * time.Millisecond}, upgradeTo(echo))
			conn := dialWS(t, r)
			conn.say(text("whole") + c.raw)
			conn.expect("whole")
			eventually(t, "it is accounted for", func() bool { return r.Stats().QueuedBytes > 0 })
			stop := make(chan struct{})
			var pings sync.WaitGroup
			if strings.Contains(c.name, "message") || strings.Contains(c.name, "fragment") {
				pings.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(20 * time.Millisecond):
							_, _ = conn.Write([]byte(clientFrame(ws.OpPing, true, "")))
						}
					}
				})
			}
			for {
				op, payload, err := conn.hear()
				if op == ws.OpPong && err == nil {
					continue
				}
				if code, _, _ := ws.ParseClose([]byte(payload)); op != ws.OpClose || code != ws.CodePolicyViolation || err != nil {
					t.Fatalf("%v %q %v", op, payload, err)
				}
				break
			}
			close(stop)
			pings.Wait()
			conn.Close()
			eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
		})
	}
}

// Slow but steady is fine: the deadline is of one message, not of the conn.
func TestFragmentDeadlineIsPerMessage(t *testing.T) {
	r := start(t, Config{FragmentTimeout: 400 * time.Millisecond}, upgradeTo(echo))
	c := dialWS(t, r)
	next := text("x")
	c.say(next[:3])
	for i := range 8 {
		time.Sleep(100 * time.Millisecond)
		// The rest of one message together with the start of the next: there is always an incomplete one.
		c.say(next[3:] + next[:3])
		if c.expect("x"); i == 7 {
			break
		}
	}
}

func TestPings(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	c := dialWS(t, r)
	all := ""
	for i := range 10 {
		all += clientFrame(ws.OpPing, true, fmt.Sprint(i))
	}
	c.say(all + text("end"))
	var got []string
	for {
		op, payload, err := c.hear()
		if err != nil {
			t.Fatal(err)
		}
		if op == ws.OpPong {
			got = append(got, payload)
		}
		if len(got) == 10 {
			break
		}
	}
	if strings.Join(got, "") != "0123456789" {
		t.Errorf("pongs %q", got)
	}
}

// A flood of pings from a client that does not read costs no memory: of the pongs that wait only the newest is kept.
func TestPingFlood(t *testing.T) {
	r := start(t, Config{SendBufferBytes: 4 << 10}, upgradeTo(echo))
	c := dialWS(t, r)
	burst := []byte(strings.Repeat(clientFrame(ws.OpPing, true, strings.Repeat("p", 125)), 1000))
	most := int64(0)
	for range 200 {
		if _, err := c.Write(burst); err != nil {
			t.Fatal(err)
		}
		most = max(most, r.Stats().QueuedBytes)
	}
	if limit := int64(256 << 10); most > limit {
		t.Errorf("%d bytes were held", most)
	}
	c.say(clientFrame(ws.OpPing, true, "last") + text("end"))
	for heard := ""; heard != "end"; {
		op, payload, err := c.hear()
		if err != nil {
			t.Fatal(err)
		}
		if op == ws.OpText {
			heard = payload
		} else if payload != "last" && payload != strings.Repeat("p", 125) {
			t.Fatalf("pong %q", payload)
		}
	}
	if got := r.Stats().Slow; got != 0 {
		t.Errorf("closed as slow")
	}
}

func TestPongReceiver(t *testing.T) {
	pongs := make(chan struct{}, 10)
	r := start(t, Config{}, upgradeTo(func() *pipe {
		return &pipe{onPong: func(*pipe) { pongs <- struct{}{} }}
	}))
	c := dialWS(t, r)
	c.say(clientFrame(ws.OpPong, true, "") + clientFrame(ws.OpPong, true, "x"))
	<-pongs
	<-pongs
}

func TestOurClose(t *testing.T) {
	closed := make(chan uint16, 1)
	r := start(t, Config{}, upgradeTo(func() *pipe {
		return &pipe{
			onReceive: func(p *pipe, msg []byte) {
				p.send("reply to " + string(msg))
				p.c.Close(3501, "bad request")
				p.c.Close(3000, "twice")
				if p.send("too late") {
					t.Error("wrote after Close")
				}
			},
			onClosed: func(p *pipe) { closed <- p.c.CloseCode() },
		}
	}))
	c := dialWS(t, r)
	c.say(text("one") + text("two")) // the second is not delivered
	c.expect("reply to one")
	c.expectClose(3501, "bad request")
	select {
	case <-closed:
		t.Error("closed before the peer has answered")
	case <-time.After(50 * time.Millisecond):
	}
	c.say(text("three") + clientClose(3501, ""))
	c.expectEnd()
	if code := <-closed; code != 3501 {
		t.Errorf("closed with %d", code)
	}
}

// A peer that answers our close frame with nonsense, or not at all, still gets everything that was queued, and then the end.
func TestCloseWithoutAnswer(t *testing.T) {
	r := start(t, Config{CloseTimeout: 300 * time.Millisecond}, upgradeTo(func() *pipe {
		return &pipe{onReceive: func(p *pipe, msg []byte) {
			p.send("reply")
			p.c.Close(3501, "bad request")
		}}
	}))
	for _, raw := range []string{"", "\xff\xff", text("more")} {
		c := dialWS(t, r)
		c.say(text("x") + raw)
		c.expect("reply")
		c.expectClose(3501, "bad request")
		c.expectEnd()
	}
}

func TestCloseWithoutFrame(t *testing.T) {
	r := start(t, Config{}, upgradeTo(func() *pipe {
		return &pipe{onReceive: func(p *pipe, msg []byte) {
			p.send("reply")
			p.c.Close(0, "")
		}}
	}))
	c := dialWS(t, r)
	c.say(text("x"))
	c.expect("reply")
	c.expectEnd()
}

// A drain answers newcomers with a close frame right after the upgrade.
func TestCloseInOpen(t *testing.T) {
	closed := make(chan struct{}, 1)
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			c.Close(3001, "shutdown")
			return &pipe{onClosed: func(*pipe) { closed <- struct{}{} }}
		}}
	}))
	c := dialWS(t, r)
	c.expectClose(3001, "shutdown")
	c.say(clientClose(3001, ""))
	c.expectEnd()
	<-closed
}

func TestNoReceiver(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict { return Verdict{Kind: Upgrade} }))
	c := dialWS(t, r)
	c.say(text("x") + clientFrame(ws.OpPing, true, "p") + clientClose(1000, ""))
	if op, _, err := c.hear(); op != ws.OpPong || err != nil {
		t.Fatalf("%v %v", op, err)
	}
	c.expectClose(1000, "")
}

func TestPeerCloseCodes(t *testing.T) {
	codes := make(chan uint16, 1)
	r := start(t, Config{}, upgradeTo(func() *pipe {
		return &pipe{onClosed: func(p *pipe) { codes <- p.c.CloseCode() }}
	}))
	c := dialWS(t, r)
	c.say(clientClose(4000, "mine") + text("close then data"))
	c.expectClose(4000, "")
	if code := <-codes; code != 4000 {
		t.Errorf("code %d", code)
	}
	c = dialWS(t, r)
	c.say(clientFrame(ws.OpClose, true, ""))
	if op, payload, err := c.hear(); op != ws.OpClose || payload != "" || err != nil {
		t.Fatalf("an empty close is answered with %v %q %v", op, payload, err)
	}
	<-codes
}

// A client that ends its side right after a request still gets the reply; then its conn is over.
func TestHalfClose(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	for range 20 {
		c := dialWS(t, r)
		c.say(text("request"))
		if err := closeWrite(c.Conn); err != nil {
			t.Fatal(err)
		}
		c.expect("request")
		c.expectEnd()
	}
	eventually(t, "all gone", func() bool { return r.Stats().Conns == 0 })
}

// A reset in the middle of a frame, or while much is owed, ends that conn and tells its receiver once.
func TestReset(t *testing.T) {
	pipes := make(chan *pipe, 100)
	r := start(t, Config{QueueBytesMax: 64 << 20, SendBufferBytes: 4 << 10}, upgradeTo(func() *pipe {
		p := &pipe{onReceive: func(p *pipe, msg []byte) {
			for range 50 {
				p.send(strings.Repeat("x", 20000))
			}
		}}
		pipes <- p
		return p
	}))
	for i := range 40 {
		c := dialWS(t, r)
		p := <-pipes
		if i%2 == 0 {
			c.say(text("go"))
			eventually(t, "much is owed", func() bool { return r.Stats().QueuedBytes > 0 })
		}
		c.say(text("half")[:5])
		if err := tcpOf(c.Conn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
		eventually(t, "closed", func() bool { return p.closed.Load() > 0 })
		if n := p.closed.Load(); n != 1 {
			t.Fatalf("closed %d times", n)
		}
	}
	eventually(t, "nothing is held", func() bool { return r.Stats().QueuedBytes == 0 })
}

func TestStopReading(t *testing.T) {
	r := start(t, Config{}, upgradeTo(func() *pipe {
		return &pipe{onReceive: func(p *pipe, msg []byte) {
			p.c.StopReading()
			p.send("heard " + string(msg))
		}}
	}))
	c := dialWS(t, r)
	c.say(text("one") + text("two"))
	c.expect("heard one")
	c.say(text("three") + clientFrame(ws.OpPing, true, "p"))
	if op, payload, err := c.hear(); op != ws.OpPong || payload != "p" || err != nil {
		t.Fatalf("%v %q %v", op, payload, err)
	}
}

func TestDeadlinesAndOrders(t *testing.T) {
	handles := make(chan loop.Handle, 1)
	r := start(t, Config{Loops: 2}, routes(func(h *Head) Verdict {
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			p := &pipe{c: c}
			p.onExpire = func(p *pipe, now loop.Time) {
				if now < c.Loop().Now() {
					t.Error("told an old time")
				}
				p.send("expired")
			}
			p.onOrder = func(p *pipe, what any) { p.send("ordered " + what.(string)) }
			p.onReceive = func(p *pipe, msg []byte) {
				switch string(msg) {
				case "arm":
					c.Arm(c.Loop().Now().After(100 * time.Millisecond))
				case "disarm":
					c.Arm(0)
				}
			}
			handles <- c.Handle()
			return p
		}}
	}))
	c := dialWS(t, r)
	h := <-handles
	c.say(text("arm"))
	c.expect("expired")
	c.say(text("arm") + text("disarm"))
	r.Loops()[h.Loop()].Order(h, "x")
	c.expect("ordered x")
	time.Sleep(300 * time.Millisecond)
	r.Loops()[h.Loop()].Order(h, "y")
	c.expect("ordered y") // and not "expired"
	c.Close()
	eventually(t, "gone", func() bool { return r.Stats().Conns == 0 })
	r.Loops()[h.Loop()].Order(h, "z") // reaches nobody
}
