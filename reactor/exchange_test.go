package reactor

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testBodyMax is the limit of bodies in these tests.
const testBodyMax = 64 << 10

// serving is a router that serves every request below /x on the loop, with what serve makes of its target, and hands off the rest.
func serving(serve func(c *Conn, target string, body []byte)) routes {
	return func(h *Head) Verdict {
		if !strings.HasPrefix(h.Path, "/x") {
			return Verdict{}
		}
		what := h.Method + " " + h.Target
		return Verdict{Kind: Exchange, BodyBytesMax: testBodyMax, Serve: func(c *Conn, body []byte) { serve(c, what, body) }}
	}
}

// parrot answers with the request.
func parrot(c *Conn, what string, body []byte) {
	c.Respond(Response{Header: []byte("X-Test: yes\r\n"), Body: fmt.Appendf(nil, "%s %s", what, body)})
}

// answer reads a whole response.
func (c *client) answer(method string) (res *http.Response, body string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read a response: %v", err)
	}
	all, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("read the body of a response: %v after %q", err, all)
	}
	return res, string(all)
}

// expectAnswer reads a response that keeps the conn alive.
func (c *client) expectAnswer(status int, want string) {
	c.t.Helper()
	res, body := c.answer("GET")
	if res.StatusCode != status || body != want || res.Close {
		c.t.Fatalf("answered with %d %.200q, close %v; want %d %.200q", res.StatusCode, body, res.Close, status, want)
	}
}

// expectLast reads a response after which the stream ends.
func (c *client) expectLast(status int, want string) {
	c.t.Helper()
	res, body := c.answer("GET")
	if res.StatusCode != status || body != want || !res.Close {
		c.t.Fatalf("answered with %d %.200q, close %v; want %d %.200q", res.StatusCode, body, res.Close, status, want)
	}
	c.expectEnd()
}

const tail = " HTTP/1.1\r\nHost: a\r\n"

func post(path, body string) string {
	return fmt.Sprintf("POST %s%sContent-Length: %d\r\n\r\n%s", path, tail, len(body), body)
}

func postChunked(path string, chunks ...string) string {
	raw := []byte("POST " + path + tail + "Transfer-Encoding: chunked\r\n\r\n")
	for _, c := range chunks {
		raw = AppendChunk(raw, []byte(c))
	}
	return string(raw) + "0\r\n\r\n"
}

// conversation is requests that all get on one conn, and what they are answered with.
var conversation = []struct{ raw, want string }{
	{"GET /x?a=b" + tail + "\r\n", "GET /x?a=b "},
	{post("/x", "hello"), "POST /x hello"},
	{post("/x", ""), "POST /x "},
	{postChunked("/x/1", "a", "bc", "d"), "POST /x/1 abcd"},
	{postChunked("/x/2"), "POST /x/2 "},
	{"PUT /x" + tail + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n", "PUT /x abc"},
	{post("/x", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"), "POST /x GET /x HTTP/1.1\r\nHost: a\r\n\r\n"},
	{post("/x", strings.Repeat("y", 20000)), "POST /x " + strings.Repeat("y", 20000)},
	{"DELETE /x" + tail + "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n", "DELETE /x "},
}

// Requests that follow each other on one conn, in whole and in small pieces.
func TestExchanges(t *testing.T) {
	for _, piece := range []int{1 << 20, 1000, 7, 1} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			r := start(t, Config{}, serving(parrot))
			c := dial(t, r)
			for _, x := range conversation {
				if piece < 100 && len(x.raw) > 1000 {
					continue
				}
				for raw := x.raw; raw != ""; {
					n := min(piece, len(raw))
					c.say(raw[:n])
					raw = raw[n:]
				}
				c.expectAnswer(200, x.want)
			}
			eventually(t, "nothing is held for an idle conn", func() bool { return r.Stats().QueuedBytes == 0 })
			if s := r.Stats(); s.Conns != 1 || s.Accepted != 1 || s.HandedOff != 0 {
				t.Errorf("%+v", s)
			}
			onLoop(r, 0, func() {
				if d := r.drivers[0]; len(d.holders) > 0 || len(d.carry) > 0 || len(d.left) > 0 {
					t.Errorf("the driver keeps %d holders, %d carried inputs, %d departures", len(d.holders), len(d.carry), len(d.left))
				}
			})
		})
	}
}

// All at once, in one segment or cut anywhere: the answers come in order.
func TestPipelining(t *testing.T) {
	r := start(t, Config{}, serving(parrot))
	for _, piece := range []int{1 << 20, 4096, 100} {
		c := dial(t, r)
		var raw, want []string
		for range 20 {
			for _, x := range conversation {
				if len(x.raw) < 1000 {
					raw, want = append(raw, x.raw), append(want, x.want)
				}
			}
		}
		go func() {
			for all := strings.Join(raw, ""); all != ""; {
				n := min(piece, len(all))
				if _, err := io.WriteString(c, all[:n]); err != nil {
					t.Error(err)
				}
				all = all[n:]
			}
		}()
		for _, w := range want {
			c.expectAnswer(200, w)
		}
		c.Close()
	}
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
}

// A conn that was answered on the loop goes to net/http with its next request, whose bytes have come already, or becomes a WebSocket.
func TestExchangeThenOthers(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		if h.Path == "/ws" {
			return upgradeTo(echo)(h)
		}
		return serving(parrot)(h)
	}))
	serveHTTP(t, r, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		fmt.Fprintf(w, "next %s %s", req.URL, body)
	}))
	c := dial(t, r)
	c.say(post("/x", "1") + post("/x", "2") + post("/api", "3") + post("/api", "4"))
	c.expectAnswer(200, "POST /x 1")
	c.expectAnswer(200, "POST /x 2")
	c.expectAnswer(200, "next /api 3")
	c.expectAnswer(200, "next /api 4")

	c = dial(t, r)
	c.say(post("/x", "1") + postChunked("/x", "2") + upgradeRequest() + text("hello"))
	c.expectAnswer(200, "POST /x 1")
	c.expectAnswer(200, "POST /x 2")
	c.upgraded()
	c.expect("hello")
	if s := r.Stats(); s.WebSockets != 1 || s.HTTPConns != 1 || s.Exchanges != 4 {
		t.Errorf("%d WebSockets, %d HTTP conns, %d exchanges", s.WebSockets, s.HTTPConns, s.Exchanges)
	}
}

// What is wrong with the request gets one answer and the end: never two requests out of one.
func TestBadExchanges(t *testing.T) {
	var served atomic.Int64
	r := start(t, Config{}, serving(func(c *Conn, what string, body []byte) {
		served.Add(1)
		parrot(c, what, body)
	}))
	second := "GET /x/second" + tail + "\r\n"
	for _, c := range []struct {
		name, raw string
		status    int
	}{
		{"two lengths", "POST /x" + tail + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
		{"length and coding", "POST /x" + tail + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding and length", "POST /x" + tail + "Transfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n0\r\n\r\n", 400},
		{"xchunked", "POST /x" + tail + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
		{"gzip, chunked", "POST /x" + tail + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked twice", "POST /x" + tail + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked in HTTP/1.0", "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"length in hex", "POST /x" + tail + "Content-Length: 0x3\r\n\r\nabc", 400},
		{"negative length", "POST /x" + tail + "Content-Length: -3\r\n\r\nabc", 400},
		{"list of lengths", "POST /x" + tail + "Content-Length: 3, 3\r\n\r\nabc", 400},
		{"huge length", "POST /x" + tail + "Content-Length: 99999999999999999999\r\n\r\nabc", 400},
		{"large length", "POST /x" + tail + "Content-Length: 999999999999999999\r\n\r\nabc", 413},
		{"length over the limit", "POST /x" + tail + fmt.Sprintf("Content-Length: %d\r\n\r\nabc", testBodyMax+1), 413},
		{"other expectation", "POST /x" + tail + "Expect: 200-ok\r\nContent-Length: 3\r\n\r\nabc", 417},
		{"two expectations", "POST /x" + tail + "Expect: 100-continue\r\nExpect: more\r\nContent-Length: 3\r\n\r\nabc", 417},
	} {
		t.Run(c.name, func(t *testing.T) { refusedOnce(t, r, c.raw+second, c.status) })
	}
	for _, c := range chunkedBodies {
		if c.err == nil || c.err == errBodySize && !strings.HasPrefix(c.raw, "ff") {
			continue
		}
		t.Run("chunked: "+c.name, func(t *testing.T) {
			refusedOnce(t, r, "POST /x"+tail+"Transfer-Encoding: chunked\r\n\r\n"+c.raw+second, c.err.(*bodyError).status)
		})
	}
	if n := served.Load(); n != 0 {
		t.Errorf("%d requests were served", n)
	}
	eventually(t, "all gone", func() bool { return r.Stats().Conns == 0 })
}

// refusedOnce says raw and expects one answer with status, and the end.
func refusedOnce(t *testing.T, r *Reactor, raw string, status int) {
	t.Helper()
	c := dial(t, r)
	go func() { _, _ = io.WriteString(c, raw) }() // a large one may be refused in the middle
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status || !res.Close {
		t.Errorf("answered with %d, close %v", res.StatusCode, res.Close)
	}
	rest, _ := io.ReadAll(res.Body)
	if more, _ := io.ReadAll(c.in); len(more) > 0 {
		t.Errorf("after %q the response goes on with %.100q", rest, more)
	}
	c.Close()
}

func TestBodyLimitIsExact(t *testing.T) {
	r := start(t, Config{}, serving(func(c *Conn, what string, body []byte) {
		c.Respond(Response{Body: fmt.Append(nil, len(body))})
	}))
	full := strings.Repeat("x", testBodyMax)
	c := dial(t, r)
	c.say(post("/x", full))
	c.expectAnswer(200, "65536")
	c.say(postChunked("/x", full))
	c.expectAnswer(200, "65536")
	c.say(postChunked("/x", full[1:], "x"))
	c.expectAnswer(200, "65536")
	refusedOnce(t, r, post("/x", full+"x"), 413)
	refusedOnce(t, r, postChunked("/x", full+"x"), 413)
	refusedOnce(t, r, postChunked("/x", full, "x"), 413)
}

// Without a limit there may be no body; an empty one is none.
func TestNoBodyAllowed(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		return Verdict{Kind: Exchange, Serve: func(c *Conn, _ []byte) { c.Respond(Response{Status: 204}) }}
	}))
	c := dial(t, r)
	for _, raw := range []string{post("/x", ""), postChunked("/x"), "GET /" + tail + "\r\n"} {
		c.say(raw)
		c.expectAnswer(204, "")
	}
	refusedOnce(t, r, post("/x", "x"), 413)
	refusedOnce(t, r, postChunked("/x", "x"), 413)
}

// Whether a conn stays is for the client to say, and for HTTP/1.0 not at all.
func TestKeepAlive(t *testing.T) {
	r := start(t, Config{}, serving(func(c *Conn, what string, body []byte) {
		c.Respond(Response{Body: []byte("ok"), Close: strings.HasSuffix(what, "/end")})
	}))
	for _, c := range []struct {
		raw  string
		keep bool
	}{
		{"GET /x" + tail + "\r\n", true},
		{"GET /x" + tail + "Connection: keep-alive\r\n\r\n", true},
		{"GET /x" + tail + "Connection: Close\r\n\r\n", false},
		{"GET /x" + tail + "Connection: te,close\r\n\r\n", false},
		{"GET /x" + tail + "Connection: te\r\nConnection: close\r\n\r\n", false},
		{"GET /x" + tail + "Connection: closer\r\n\r\n", true},
		{"GET /x HTTP/1.0\r\n\r\n", false},
		{"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
		{"GET /x/end" + tail + "\r\n", false},
		{"POST /x HTTP/1.0\r\nContent-Length: 3\r\nExpect: whatever\r\n\r\nabc", false},
	} {
		conn := dial(t, r)
		if !c.keep {
			conn.say(c.raw + "GET /x" + tail + "\r\n")
			conn.expectLast(200, "ok")
			continue
		}
		conn.say(c.raw + c.raw)
		conn.expectAnswer(200, "ok")
		conn.expectAnswer(200, "ok")
	}
}

func TestResponses(t *testing.T) {
	r := start(t, Config{}, serving(func(c *Conn, what string, body []byte) {
		switch {
		case strings.HasSuffix(what, "/204"):
			c.Respond(Response{Status: 204, Body: []byte("dropped")})
		case strings.HasSuffix(what, "/304"):
			c.Respond(Response{Status: 304, Body: []byte("dropped")})
		case strings.HasSuffix(what, "/404"):
			c.Respond(Response{Status: 404, Header: []byte("A: 1\r\nB: 2\r\n"), Body: []byte("none")})
		default:
			c.Respond(Response{Body: []byte("0123456789")})
		}
		if c.Respond(Response{Body: []byte("twice")}) || c.Stream(Response{}, idler{}) {
			t.Error("answered twice")
		}
	}))
	c := dial(t, r)
	for _, x := range []struct {
		line, method, body string
		status             int
		length             int64
	}{
		{"GET /x", "GET", "0123456789", 200, 10},
		{"HEAD /x", "HEAD", "", 200, 10},
		{"GET /x/204", "GET", "", 204, 0},
		{"GET /x/304", "GET", "", 304, 0},
		{"HEAD /x/404", "HEAD", "", 404, 4},
		{"GET /x/404", "GET", "none", 404, 4},
	} {
		c.say(x.line + tail + "\r\n")
		res, body := c.answer(x.method)
		if res.StatusCode != x.status || body != x.body || res.ContentLength != x.length || res.Close {
			t.Errorf("%s: %d %q, length %d, close %v", x.line, res.StatusCode, body, res.ContentLength, res.Close)
		}
		if hasBody(x.status) == (res.Header.Get("Content-Length") == "") {
			t.Errorf("%s: length %q", x.line, res.Header.Get("Content-Length"))
		}
		sent, err := http.ParseTime(res.Header.Get("Date"))
		if age := time.Since(sent); err != nil || age < -time.Second || age > time.Minute {
			t.Errorf("%s: date %q", x.line, res.Header.Get("Date"))
		}
		if x.status == 404 && (res.Header.Get("A") != "1" || res.Header.Get("B") != "2") {
			t.Errorf("%s: headers %v", x.line, res.Header)
		}
	}
}

// A client that waits for it is told to send its body, once, and not if it is refused or has begun.
func TestExpectContinue(t *testing.T) {
	r := start(t, Config{}, serving(parrot))
	c := dial(t, r)
	for _, framing := range []string{"Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"} {
		c.say("POST /x" + tail + framing + "Expect: 100-Continue\r\n\r\n")
		if head := c.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("answered with %q", head)
		}
		if strings.HasPrefix(framing, "C") {
			c.say("abc")
		} else {
			c.say("3\r\nab")
			c.say("c\r\n0\r\n\r\n")
		}
		c.expectAnswer(200, "POST /x abc")
	}
	c.say("POST /x" + tail + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\na")
	c.say("bc")
	c.expectAnswer(200, "POST /x abc")
	c.say("POST /x" + tail + "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n")
	c.expectAnswer(200, "POST /x ")
	refusedOnce(t, r, "POST /x"+tail+"Content-Length: 70000\r\nExpect: 100-continue\r\n\r\n", 413)
}

// A body that does not end in time is refused, however much of it comes; an idle conn is closed without a word.
func TestExchangeDeadlines(t *testing.T) {
	r := start(t, Config{BodyTimeout: 300 * time.Millisecond, KeepAliveTimeout: 300 * time.Millisecond}, serving(parrot))
	drip, stuck, idle := dial(t, r), dial(t, r), dial(t, r)
	idle.say(post("/x", "abc"))
	idle.expectAnswer(200, "POST /x abc")
	stuck.say("POST /x" + tail + "Content-Length: 3\r\n\r\n")
	drip.say("POST /x" + tail + "Transfer-Encoding: chunked\r\n\r\n")
	stop := make(chan struct{})
	dripped := make(chan struct{})
	go func() {
		defer close(dripped)
		until(stop, func() { time.Sleep(10 * time.Millisecond); _, _ = io.WriteString(drip, "1\r\na\r\n") })
	}()
	stuck.expectLast(408, "request body not completed in time\n")
	drip.expectLast(408, "request body not completed in time\n")
	close(stop)
	<-dripped
	idle.expectEnd()
	if n := r.Stats().BodyTimeouts; n != 2 {
		t.Errorf("%d body timeouts counted", n)
	}
}

// A head that begins on a kept-alive conn has its own deadline.
func TestNextHeadDeadline(t *testing.T) {
	r := start(t, Config{HeadTimeout: 300 * time.Millisecond}, serving(parrot))
	c := dial(t, r)
	c.say(post("/x", "abc"))
	c.expectAnswer(200, "POST /x abc")
	c.say("GET /x")
	c.expectLast(408, "request head not completed in time\n")
}

// A client that goes away while its body is read leaves nothing behind.
func TestGoneInBody(t *testing.T) {
	r := start(t, Config{}, serving(parrot))
	for _, end := range []func(c *client){
		func(c *client) { c.Close() },
		func(c *client) { _ = closeWrite(c.Conn) },
		func(c *client) { _ = tcpOf(c.Conn).SetLinger(0); c.Close() },
	} {
		c := dial(t, r)
		c.say("POST /x" + tail + "Content-Length: 5000\r\n\r\n" + strings.Repeat("x", 3000))
		eventually(t, "some of the body is held", func() bool { return r.Stats().QueuedBytes >= 3000 })
		end(c)
		eventually(t, "it is gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
	}
	if n := r.Stats().Exchanges; n != 0 {
		t.Errorf("%d requests were served", n)
	}
}

// A client that ends its side right after its request still gets its answer.
func TestHalfCloseAfterRequest(t *testing.T) {
	r := start(t, Config{}, serving(parrot))
	for range 20 {
		c := dial(t, r)
		c.say(post("/x", "abc"))
		if err := closeWrite(c.Conn); err != nil {
			t.Fatal(err)
		}
		c.expectAnswer(200, "POST /x abc")
		c.expectEnd()
	}
}

// Bodies that do not end count as memory, and the heaviest conns go when there is too much.
func TestBodiesAreShed(t *testing.T) {
	r := start(t, Config{Loops: 1, QueueTotalBytesMax: 512 << 10}, serving(parrot))
	for range 30 {
		c := dial(t, r)
		c.say("POST /x" + tail + "Content-Length: 60000\r\n\r\n" + strings.Repeat("x", 40000))
	}
	eventually(t, "all accepted", func() bool { return r.Stats().Accepted == 30 })
	eventually(t, "enough of them are gone", func() bool { s := r.Stats(); return s.Conns < 20 && s.QueuedBytes <= 512<<10 })
	eventually(t, "they are counted", func() bool { s := r.Stats(); return int(s.Shed) == 30-s.Conns && s.Slow == 0 })
}

// A client that pipelines and does not read is not served faster than it reads, and nothing piles up.
func TestPipelineWithoutReading(t *testing.T) {
	big := strings.Repeat("y", 32<<10)
	r := start(t, Config{SendBufferBytes: 8 << 10}, serving(func(c *Conn, what string, body []byte) {
		c.Respond(Response{Body: []byte(big)})
	}))
	const requests = 40
	c := &client{dialNarrow(t, r), t, nil}
	c.in = newReader(c.Conn)
	c.say(strings.Repeat("GET /x"+tail+"\r\n", requests))
	eventually(t, "it is slow", func() bool { return r.Stats().Loops[0].SlowConns == 1 })
	if s := r.Stats(); s.Exchanges > 20 || s.QueuedBytes > 256<<10 {
		t.Errorf("%d requests were served, %d bytes queued", s.Exchanges, s.QueuedBytes)
	}
	for range requests {
		c.expectAnswer(200, big)
	}
}
