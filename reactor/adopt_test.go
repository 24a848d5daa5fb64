package reactor

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAdopt(t *testing.T) {
	r := start(t, Config{Loops: 2}, upgradeTo(echo))
	next := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, "next ", req.URL) })
	serveHTTP(t, r, r.AdoptHandler(next))
	for i := range 6 {
		c := dial(t, r)
		c.say("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(res.Body); string(body) != "next /first" {
			t.Fatalf("body %q", body)
		}
		// The upgrade, one and a half messages right behind it; more than what net/http reads at once.
		long := strings.Repeat("y", 20<<10)
		half := text("half")
		c.say(upgradeRequest() + text("one") + text(long) + half[:3])
		c.upgraded()
		c.expect("one")
		c.expect(long)
		c.say(half[3:])
		c.expect("half")
		c.say(text("last"))
		c.expect("last")
		if s := r.Stats(); s.Adopted != uint64(i+1) || s.HTTPConns != 0 || s.Conns != i+1 || s.WebSockets != i+1 {
			t.Fatalf("adopted %d, HTTP conns %d, conns %d, WebSockets %d", s.Adopted, s.HTTPConns, s.Conns, s.WebSockets)
		}
	}
	for i, l := range r.Stats().Loops {
		if l.Conns != 3 {
			t.Errorf("loop %d has %d conns, want 3", i, l.Conns)
		}
	}
}

func TestAdoptRefusals(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		switch h.Path {
		case "/ws":
			return Verdict{Kind: Upgrade}
		case "/no":
			return Verdict{Kind: Refuse, Body: "no"}
		}
		return Verdict{}
	}))
	serveHTTP(t, r, r.AdoptHandler(http.NotFoundHandler()))
	for _, c := range []struct{ from, to, status string }{
		{"GET /ws", "GET /no", "403"},
		{"GET /ws", "GET /other", "404"},
		{"Version: 13", "Version: 12", "426"},
		{"Key: ", "Key: x", "400"},
	} {
		conn := dial(t, r)
		conn.say("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(conn.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(res.Body)
		conn.say(strings.Replace(upgradeRequest(), c.from, c.to, 1))
		if head := conn.head(); !strings.HasPrefix(head, "HTTP/1.1 "+c.status+" ") {
			t.Errorf("%s is answered with %q", c.to, head)
		}
		conn.Close()
	}
	eventually(t, "all gone", func() bool { return r.Stats().Conns == 0 })
}

// A client that takes nothing does not keep its conn and the goroutine of an answer that is not net/http's any more.
func TestAnswerIsNotTaken(t *testing.T) {
	t.Parallel() // it waits
	client, server := net.Pipe()
	defer client.Close()
	done := make(chan struct{})
	go func() {
		answerAndClose(server, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(waitMax):
		t.Error("it waits for the client")
	}
}

// adopting is a reactor that serves streams and parrots beside net/http, and the streams.
func adopting(t *testing.T) (*Reactor, chan *leaver) {
	streams, ch := streaming(nil)
	r := start(t, Config{Loops: 2}, routes(func(h *Head) Verdict {
		switch {
		case h.Path == "/x/stream":
			return streams(h)
		case h.Path == "/x/no":
			return Verdict{Kind: Refuse, Status: 405, Body: "no\n"}
		}
		return serving(parrot)(h)
	}))
	serveHTTP(t, r, r.AdoptHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		fmt.Fprintf(w, "next %s %s", req.URL, body)
	})))
	return r, ch
}

// first is the request that makes a conn net/http's.
func (c *client) first() {
	c.t.Helper()
	c.say(post("/api", "1"))
	c.expectAnswer(200, "next /api 1")
}

// A stream that is adopted, and all the rest of what may arrive on a conn of net/http.
func TestAdoptExchange(t *testing.T) {
	r, ch := adopting(t)
	c := dial(t, r)
	for _, x := range conversation {
		if strings.Contains(x.raw, "chunked") {
			continue
		}
		c.first()
		if s := r.Stats(); s.HTTPConns != 1 {
			t.Fatalf("%d HTTP conns", s.HTTPConns)
		}
		c.say(x.raw)
		c.expectAnswer(200, x.want)
		if s := r.Stats(); s.HTTPConns != 0 || s.Conns != 1 {
			t.Fatalf("%d HTTP conns, %d conns", s.HTTPConns, s.Conns)
		}
	}
	// A body in pieces, expected, and more behind it.
	c.first()
	c.say("POST /x" + tail + "Content-Length: 6\r\nExpect: 100-continue\r\n\r\n")
	if head := c.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("answered with %q", head)
	}
	c.say("abc")
	time.Sleep(10 * time.Millisecond)
	c.say("def" + post("/x", "2") + post("/api", "3"))
	c.expectAnswer(200, "POST /x abcdef")
	c.expectAnswer(200, "POST /x 2")
	c.expectAnswer(200, "next /api 3")
	// More than net/http reads at once.
	c.say(post("/x", strings.Repeat("y", 60000)) + post("/x", "4"))
	c.expectAnswer(200, "POST /x "+strings.Repeat("y", 60000))
	c.expectAnswer(200, "POST /x 4")
	c.first()
	body := c.listen("GET /x/stream" + tail + "\r\n")
	p := <-ch
	expectText(t, body, "\r\n")
	onLoop(r, p.c.driver.loop.ID(), func() { p.write("hello\n"); p.c.Close(3001, "shutdown") })
	expectRest(t, body, "hello\nbye 3001 shutdown\n")
	c.Close()
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
}

// What ends a conn that was net/http's.
func TestAdoptLastExchange(t *testing.T) {
	r, _ := adopting(t)
	// Net/http does not tell whether there was a length beside the chunks: one answer, then the end.
	for _, lengths := range []string{"", "Content-Length: 3\r\n"} {
		c := dial(t, r)
		c.first()
		c.say("POST /x" + tail + lengths + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + post("/x", "second"))
		c.expectLast(200, "POST /x abc")
		c.Close()
	}
	for raw, status := range map[string]int{
		post("/x", strings.Repeat("y", testBodyMax+1)):                             413,
		"POST /x/no" + tail + "Content-Length: 5\r\n\r\n":                          405,
		"POST /x" + tail + "Content-Length: 5\r\nExpect: x\r\n\r\n":                417,
		"POST /x" + tail + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n": 400,
	} {
		c := dial(t, r)
		c.first()
		c.say(raw + post("/x", "second"))
		if res, _ := c.answer("POST"); res.StatusCode != status || !res.Close {
			t.Errorf("answered with %d, close %v, want %d", res.StatusCode, res.Close, status)
		}
		c.Close()
	}
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
}
