package reactor

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"stentor/reactor/loop"
)

// waiter awaits an answer.
func waiter(ch chan<- *pipe, change func(p *pipe)) func(c *Conn, what string, body []byte) {
	return func(c *Conn, what string, body []byte) {
		p := &pipe{c: c, onOrder: func(p *pipe, what any) { p.c.Respond(Response{Body: []byte(what.(string))}) }}
		if change != nil {
			change(p)
		}
		c.Await(p)
		ch <- p
	}
}

// handle of a conn that lives on loop 0.
func handleOf(r *Reactor, p *pipe) (h loop.Handle) {
	onLoop(r, 0, func() { h = p.c.Handle() })
	return h
}

// An answer that comes later, from elsewhere, and the requests that wait behind it.
func TestAwait(t *testing.T) {
	ch := make(chan *pipe, 1)
	r := start(t, Config{HeadTimeout: 100 * time.Millisecond, BodyTimeout: 100 * time.Millisecond}, serving(waiter(ch, nil)))
	c := dial(t, r)
	c.say(post("/x", "1") + post("/x", "2") + post("/x", "3"))
	for i := range 3 {
		p := <-ch
		h := handleOf(r, p)
		time.Sleep(200 * time.Millisecond) // no deadline of ours is running
		if len(ch) > 0 {
			t.Fatal("the next request is served before this one is answered")
		}
		r.Loops()[0].Order(h, fmt.Sprint("answer ", i))
		r.Loops()[0].Order(h, "too late") // must not reach the next request
		c.expectAnswer(200, fmt.Sprint("answer ", i))
		eventually(t, "the receiver is told", func() bool { return p.closed.Load() == 1 })
	}
	c.Close()
	eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
}

// The client that awaits goes away, or sends too much, or the receiver fails.
func TestAwaitEnds(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(p *pipe)
		end    func(c *client, p *pipe)
		status int
		body   string
	}{
		{"gone", nil, func(c *client, _ *pipe) { c.Close() }, 0, ""},
		{"half closed", nil, func(c *client, _ *pipe) { _ = closeWrite(c.Conn) }, 0, ""},
		{"too much", nil, func(c *client, _ *pipe) { go func() { _, _ = io.WriteString(c, strings.Repeat("x", 1<<20)) }() }, 0, ""},
		{"deadline", func(p *pipe) {
			p.c.Arm(p.c.Loop().Now().After(100 * time.Millisecond))
			p.onExpire = func(p *pipe, _ loop.Time) { p.c.Respond(Response{Status: 504, Close: true}) }
		}, nil, 504, ""},
		{"close", func(p *pipe) { p.onOrder = func(p *pipe, _ any) { p.c.Close(3001, "shutdown") } },
			func(_ *client, p *pipe) { p.c.driver.loop.Order(handleOf(p.c.driver.reactor, p), nil) }, 503, "shutdown\n"},
		{"panic", func(p *pipe) { p.onOrder = func(p *pipe, _ any) { panic("boom") } },
			func(_ *client, p *pipe) { p.c.driver.loop.Order(handleOf(p.c.driver.reactor, p), nil) }, 500, "internal server error\n"},
		{"write", func(p *pipe) {
			p.onOrder = func(p *pipe, _ any) {
				if p.c.Write(frame("x")) || p.c.WriteCopy(frame("x")) || p.c.WriteDroppable(frame("x"), DropOldest, 0) {
					panic("written before the answer")
				}
				p.c.Respond(Response{Status: 200, Close: true})
			}
		}, func(_ *client, p *pipe) { p.c.driver.loop.Order(handleOf(p.c.driver.reactor, p), nil) }, 200, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			ch := make(chan *pipe, 1)
			r := start(t, Config{}, serving(waiter(ch, x.change)))
			c := dial(t, r)
			c.say(post("/x", "1"))
			p := <-ch
			if x.end != nil {
				x.end(c, p)
			}
			if x.status != 0 {
				c.expectLast(x.status, x.body)
				c.Close()
			}
			eventually(t, "the receiver is told", func() bool { return p.closed.Load() == 1 })
			eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
			if n := p.closed.Load(); n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// A function that does not answer, or panics, before or after it has.
func TestServeFails(t *testing.T) {
	r, l := startLogged(t, Config{}, serving(func(c *Conn, what string, body []byte) {
		switch what {
		case "GET /x/panic":
			panic("boom")
		case "GET /x/late":
			parrot(c, what, body)
			panic("boom")
		case "GET /x/ok":
			parrot(c, what, body)
		}
	}))
	get := func(path string) *client {
		c := dial(t, r)
		c.say("GET " + path + tail + "\r\n" + "GET /x/ok" + tail + "\r\n")
		return c
	}
	get("/x/panic").expectLast(500, "internal server error\n")
	get("/x/nothing").expectLast(500, "internal server error\n")
	late := get("/x/late")
	late.expectAnswer(200, "GET /x/late ")
	late.expectEnd()
	get("/x/ok").expectAnswer(200, "GET /x/ok ")
	if s := r.Stats(); s.Panics != 2 {
		t.Errorf("%d panics", s.Panics)
	}
	if !strings.Contains(l.String(), "neither answered nor awaited") {
		t.Errorf("logged %s", l.String())
	}
}
