package reactor

import (
	"strings"
	"testing"
	"time"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// A handler that panics costs its own conn only; the client is told and the log says where.
func TestPanics(t *testing.T) {
	boom := func(*pipe) { panic("boom") }
	for _, c := range []struct {
		name string
		pipe *pipe
		say  string
	}{
		{"receive", &pipe{onReceive: func(p *pipe, _ []byte) { boom(p) }}, text("x") + text("never handled")},
		{"expire", &pipe{
			onReceive: func(p *pipe, _ []byte) { p.c.Arm(p.c.Loop().Now().After(0)) },
			onExpire:  func(p *pipe, _ loop.Time) { boom(p) },
		}, text("x")},
		{"order", &pipe{
			onReceive: func(p *pipe, _ []byte) { p.c.Loop().Order(p.c.Handle(), "x") },
			onOrder:   func(p *pipe, _ any) { boom(p) },
		}, text("x")},
		{"pong", &pipe{onPong: boom}, clientFrame(ws.OpPong, true, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			victim, given := c.pipe, false
			r, l := startLogged(t, Config{}, routes(func(h *Head) Verdict {
				return Verdict{Kind: Upgrade, Open: func(conn *Conn) Receiver {
					p := echo()
					if !given {
						p, given = victim, true
					}
					p.c = conn
					return p
				}}
			}))
			conn := dialWS(t, r)
			other := dialWS(t, r)
			conn.say(c.say)
			conn.expectClose(3004, "internal server error")
			other.say(text("unhurt"))
			other.expect("unhurt")
			conn.say(clientClose(3004, ""))
			conn.expectEnd()
			conn.Close()
			eventually(t, "closed", func() bool { return victim.closed.Load() == 1 })
			if got := r.Stats().Panics; got != 1 {
				t.Errorf("%d panics counted", got)
			}
			if text := l.String(); !strings.Contains(text, "boom") || !strings.Contains(text, "guard_test.go") {
				t.Errorf("logged %s", text)
			}
		})
	}
}

func TestPanicBeforeTheUpgrade(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict { panic("boom") }))
	c := dial(t, r)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 500 ") {
		t.Errorf("answered with %q", head)
	}
}

func TestPanicInOpen(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver { panic("boom") }}
	}))
	c := dialWS(t, r)
	c.expectClose(3004, "internal server error")
}

func TestPanicInClosed(t *testing.T) {
	r := start(t, Config{}, upgradeTo(func() *pipe { return &pipe{onClosed: func(*pipe) { panic("boom") }} }))
	for range 3 {
		dialWS(t, r).Close()
	}
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.Panics == 3 })
}

// The watchdog reports what a loop is stuck in while it is, and counts it.
func TestWatchdog(t *testing.T) {
	r, l := startLogged(t, Config{Loops: 2, StallReport: 20 * time.Millisecond}, upgradeTo(echo))
	release := make(chan struct{})
	go func() {
		defer close(release)
		for deadline := time.Now().Add(waitMax); !strings.Contains(l.String(), "stuckHere") && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}()
	onLoop(r, 1, func() { stuckHere(release) })
	if text := l.String(); !strings.Contains(text, "loop=1") || !strings.Contains(text, "stuckHere") {
		t.Errorf("logged %q", text)
	}
	eventually(t, "counted", func() bool { s := r.Stats(); return s.Stalls >= 1 && s.LongestStall >= 20*time.Millisecond })
	// Another one soon after is counted and not logged.
	stalls := r.Stats().Stalls
	before := strings.Count(l.String(), "holds its loop")
	onLoop(r, 0, func() { time.Sleep(60 * time.Millisecond) })
	eventually(t, "counted", func() bool { return r.Stats().Stalls > stalls })
	if n := strings.Count(l.String(), "holds its loop"); n != before {
		t.Errorf("logged %d times", n)
	}
}

//go:noinline
func stuckHere(release <-chan struct{}) { <-release }
