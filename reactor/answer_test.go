package reactor

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// reuser is a receiver whose answers are all in the same memory.
type reuser struct{ room []byte }

// answer sends a text and spoils what it was sent from.
func (u *reuser) answer(c *Conn, text string) bool {
	u.room = append(u.room[:0], frame(text)...)
	sent := c.WriteCopy(u.room)
	poison(u.room)
	return sent
}

// Everything that a client says in one segment, its request included, is answered in one system call.
func TestAnswersAreOneWrite(t *testing.T) {
	var u reuser
	counted := new(countedConn)
	r := start(t, Config{}, routes(func(*Head) Verdict {
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			if counted.Conn == nil {
				counted.Conn = c.gc
				c.gc = counted
			}
			return &pipe{c: c, onReceive: func(p *pipe, msg []byte) { u.answer(p.c, string(msg)) }}
		}}
	}))
	c := dial(t, r)
	c.say(upgradeRequest() + text("one") + text("two") + text("three"))
	c.upgraded()
	for _, want := range []string{"one", "two", "three"} {
		c.expect(want)
	}
	onLoop(r, 0, func() {
		if counted.writes != 1 {
			t.Errorf("%d writes", counted.writes)
		}
	})
}

// Copies keep their place among frames that are shared, within the handling of input and without.
func TestWriteCopyOrder(t *testing.T) {
	var u reuser
	router, ch := conns(func() *pipe {
		return &pipe{onReceive: func(p *pipe, msg []byte) {
			for _, step := range string(msg) {
				if step >= 'a' {
					p.send(string(step))
				} else {
					u.answer(p.c, string(step))
				}
			}
		}}
	})
	r := start(t, Config{}, router)
	c, s := opened(t, r, ch)
	for _, steps := range []string{"123", "1a2", "a1b2", "12ab34", "1"} {
		c.say(text(steps) + text(steps))
		for _, step := range steps + steps {
			c.expect(string(step))
		}
	}
	onLoop(r, 0, func() {
		for _, step := range []string{"1", "2", "3"} {
			u.answer(s, step)
		}
	})
	for _, step := range []string{"1", "2", "3"} {
		c.expect(step)
	}
	onLoop(r, 0, func() {
		s.Close(4000, "")
		if u.answer(s, "late") {
			t.Error("a copy was taken after Close")
		}
	})
	c.expectClose(4000, "")
}

// What a client does not take stays as it is while others are answered from the same memory.
func TestAnswersOfSlowClient(t *testing.T) {
	var u reuser
	answer := func(asked string) string { return strings.Repeat(asked[:1], len(asked)*1000) }
	router, ch := conns(func() *pipe {
		return &pipe{onReceive: func(p *pipe, msg []byte) { u.answer(p.c, answer(string(msg))) }}
	})
	r := start(t, Config{SendBufferBytes: 16 << 10, QueueBytesMax: 64 << 20}, router)
	lazy, s := opened(t, r, ch)
	busy, _ := opened(t, r, ch)
	// Answers longer than gnet is given at once: the one at which the socket is full is still noted in part.
	ask := func(n int) string { return strings.Repeat(fmt.Sprint(n%10), 100) }
	slow := false
	const answers = 40
	for n := range answers {
		lazy.say(text(ask(n)))
		busy.say(text(strings.Repeat("x", 100)))
		busy.expect(strings.Repeat("x", 100_000))
		onLoop(r, 0, func() { slow = slow || s.flags&flagSlow != 0 })
	}
	if !slow {
		t.Fatal("the socket took everything")
	}
	for n := range answers {
		lazy.expect(answer(ask(n)))
	}
}

// An answer costs no memory of its own.
func TestAnswerAllocs(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{}, router)
	c, s := opened(t, r, ch)
	go func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{c.Conn}, make([]byte, 64<<10)) }()
	f, allocs := frame(strings.Repeat("x", 100)), 0.0
	onLoop(r, 0, func() {
		allocs = testing.AllocsPerRun(1000, func() {
			s.driver.current = s
			s.WriteCopy(f)
			s.WriteCopy(f)
			s.driver.flushCurrent()
		})
	})
	if allocs != 0 && !raceEnabled {
		t.Errorf("%v allocations", allocs)
	}
}
