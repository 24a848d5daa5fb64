package reactor

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// leaver is a pipe with last words.
type leaver struct{ pipe }

func (p *leaver) Farewell(code uint16, reason string) []byte {
	return p.framed(fmt.Sprintf("bye %d %s\n", code, reason))
}

// framed is a frame of a stream.
func (p *leaver) framed(text string) []byte {
	if !p.c.Chunked() {
		return []byte(text)
	}
	return AppendChunk(nil, []byte(text))
}

func (p *leaver) write(text string) bool { return p.c.Write(p.framed(text)) }

// streaming is a router that answers everything with a stream. The pipes of the test's clients come through the channel.
func streaming(change func(p *leaver)) (routes, chan *leaver) {
	ch := make(chan *leaver, 1)
	return serving(func(c *Conn, what string, body []byte) {
		p := &leaver{pipe{c: c}}
		if change != nil {
			change(p)
		}
		if c.Stream(Response{Header: []byte("Content-Type: text/event-stream\r\n"), Body: []byte("\r\n")}, p) {
			ch <- p
		}
	}), ch
}

// listen asks for a stream and returns its body.
func (c *client) listen(request string) io.ReadCloser {
	c.t.Helper()
	c.say(request)
	return c.streamBody()
}

func (c *client) streamBody() io.ReadCloser {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != 200 || !res.Close || res.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatalf("answered with %d %v", res.StatusCode, res.Header)
	}
	return res.Body
}

// expectText reads just that.
func expectText(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("read %q (%v), want %q", got, err, want)
	}
}

// expectRest reads up to an orderly end.
func expectRest(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != want {
		t.Fatalf("the rest is %q (%v), want %q", got, err, want)
	}
}

const getStream = "GET /x" + tail + "\r\n"

// A stream in either version of HTTP, from its head to its farewell.
func TestStream(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{}, router)
	for _, request := range []string{getStream, post("/x", "body"), "GET /x HTTP/1.0\r\n\r\n"} {
		c := dial(t, r)
		body := c.listen(request)
		p := <-ch
		if s := r.Stats(); s.Streams != 1 || s.WebSockets != 0 {
			t.Errorf("%d streams, %d WebSockets", s.Streams, s.WebSockets)
		}
		expectText(t, body, "\r\n")
		onLoop(r, 0, func() { p.write("one\n"); p.write("two\n") })
		expectText(t, body, "one\ntwo\n")
		onLoop(r, 0, func() {
			p.write("three\n")
			p.c.Close(3000, "enough")
			if p.write("four\n") {
				t.Error("written after the close")
			}
			p.c.Close(3001, "twice")
			if code := p.c.CloseCode(); code != 3000 {
				t.Errorf("close code %d", code)
			}
		})
		expectRest(t, body, "three\nbye 3000 enough\n")
		c.expectEnd()
		if n := p.closed.Load(); n != 0 {
			t.Error("closed before the client has ended, too")
		}
		c.Close()
		eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.Streams == 0 && p.closed.Load() == 1 })
	}
}

// Without a code there is no farewell, and without a Farewell neither; the end is orderly.
func TestStreamEndsQuietly(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{CloseTimeout: 200 * time.Millisecond}, router)
	for _, request := range []string{getStream, "GET /x HTTP/1.0\r\n\r\n"} {
		c := dial(t, r)
		body := c.listen(request)
		p := <-ch
		onLoop(r, 0, func() { p.c.Close(0, "") })
		expectRest(t, body, "\r\n")
		// The client does not end its side: the conn goes nevertheless.
		eventually(t, "gone", func() bool { return r.Stats().Conns == 0 && p.closed.Load() == 1 })
	}
	plain := start(t, Config{}, serving(func(c *Conn, _ string, _ []byte) {
		c.Stream(Response{Header: []byte("Content-Type: text/event-stream\r\n")}, idler{})
		c.Close(3000, "now")
	}))
	c := dial(t, plain)
	expectRest(t, c.listen(getStream), "")
}

// The head may wait until it is known, and the answer may still turn out to be another one.
func TestStreamAfterAwait(t *testing.T) {
	ch := make(chan *leaver, 1)
	r := start(t, Config{}, serving(func(c *Conn, _ string, _ []byte) {
		p := &leaver{pipe{c: c, onExpire: func(p *pipe, _ loop.Time) { p.c.Close(3012, "no pong") }}}
		p.onOrder = func(_ *pipe, what any) {
			if what == "refuse" {
				c.Respond(Response{Status: 401, Body: []byte("no\n")})
				return
			}
			if !c.Stream(Response{Header: []byte("Content-Type: text/event-stream\r\n")}, p) {
				t.Error("no stream")
			}
			p.write("hello\n")
		}
		c.Await(p)
		c.Arm(c.Loop().Now().After(time.Hour))
		ch <- p
	}))
	c := dial(t, r)
	c.say(getStream)
	p := <-ch
	r.Loops()[0].Order(handleOf(r, &p.pipe), "refuse")
	c.expectAnswer(401, "no\n")
	eventually(t, "told", func() bool { return p.closed.Load() == 1 })

	c.say(getStream)
	p = <-ch
	r.Loops()[0].Order(handleOf(r, &p.pipe), "stream")
	body := c.streamBody()
	expectText(t, body, "hello\n")
	onLoop(r, 0, func() { p.c.Arm(p.c.Loop().Now().After(0)) })
	expectRest(t, body, "bye 3012 no pong\n")
	c.Close()
	eventually(t, "told once", func() bool { return p.closed.Load() == 1 && r.Stats().Conns == 0 })
}

// HEAD of a stream is its head.
func TestStreamHead(t *testing.T) {
	p := &leaver{}
	r := start(t, Config{}, serving(func(c *Conn, _ string, _ []byte) {
		p.c = c
		if c.Stream(Response{}, p) || p.c.Write([]byte("x")) {
			t.Error("a HEAD request has got a stream")
		}
	}))
	c := dial(t, r)
	c.say("HEAD /x" + tail + "\r\n" + getStream)
	if res, body := c.answer("HEAD"); res.StatusCode != 200 || body != "" || !res.Close {
		t.Errorf("answered with %d %q", res.StatusCode, body)
	}
	c.expectEnd()
	eventually(t, "told", func() bool { return p.closed.Load() == 1 })
}

// The client's end ends the stream, from whichever half.
func TestStreamPeerEnds(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{}, router)
	for _, end := range []func(c *client){
		func(c *client) { c.Close() },
		func(c *client) { _ = closeWrite(c.Conn) },
		func(c *client) { _ = tcpOf(c.Conn).SetLinger(0); c.Close() },
	} {
		c := dial(t, r)
		expectText(t, c.listen(getStream), "\r\n")
		p := <-ch
		end(c)
		eventually(t, "told", func() bool { return p.closed.Load() == 1 && r.Stats().Streams == 0 })
		onLoop(r, 0, func() {
			if p.write("x") {
				t.Error("written to a dead conn")
			}
			if code := p.c.CloseCode(); code != 0 {
				t.Errorf("close code %d", code)
			}
		})
	}
}

// What a client says on a stream is dropped, and ends it when it is much. It is never a request.
func TestStreamInput(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{}, router)
	c := dial(t, r)
	body := c.listen(getStream + getStream + "abc")
	p := <-ch
	expectText(t, body, "\r\n")
	for range 10 {
		c.say(strings.Repeat("x", 1000))
		onLoop(r, 0, func() { p.write("still\n") })
		expectText(t, body, "still\n")
	}
	c.say(strings.Repeat("x", 10000))
	expectRest(t, body, "bye 1008 input on a stream\n")
	if s := r.Stats(); s.Exchanges != 1 || s.Early != 1 || s.QueuedBytes != 0 {
		t.Errorf("%d exchanges, %d early, %d bytes queued", s.Exchanges, s.Early, s.QueuedBytes)
	}
}

// A panic of a stream's receiver is told to the client in its own way.
func TestStreamPanic(t *testing.T) {
	router, ch := streaming(func(p *leaver) { p.onOrder = func(*pipe, any) { panic("boom") } })
	r := start(t, Config{}, router)
	c := dial(t, r)
	body := c.listen(getStream)
	p := <-ch
	r.Loops()[0].Order(handleOf(r, &p.pipe), nil)
	expectRest(t, body, "\r\nbye 3004 internal server error\n")
}

// numberedLine is a frame of size bytes for a stream.
func numberedLine(i, size int) string {
	n := fmt.Sprintf("%08d", i)
	return n + strings.Repeat(".", size-len(n)-1) + "\n"
}

// A client that does not read gets whole frames, in order, then the farewell and an orderly end, in either version of HTTP.
func TestSlowStream(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{QueueBytesMax: 256 << 10, SendBufferBytes: 8 << 10}, router)
	for i, request := range []string{getStream, "GET /x HTTP/1.0\r\n\r\n"} {
		c := &client{dialNarrow(t, r), t, nil}
		c.in = newReader(c.Conn)
		c.say(request)
		p := <-ch
		const size = 5000
		wrote := 0
		for ok := true; ok; wrote++ {
			onLoop(r, 0, func() { ok = p.write(numberedLine(wrote, size)) })
		}
		if s := r.Stats(); s.Slow != uint64(i+1) {
			t.Errorf("%d slow", s.Slow)
		}
		all, err := io.ReadAll(c.streamBody())
		if err != nil {
			t.Fatal(err)
		}
		text, found := strings.CutSuffix(strings.TrimPrefix(string(all), "\r\n"), "bye 3008 slow\n")
		if !found || len(text)%size != 0 || len(text) == 0 || len(text)/size >= wrote {
			t.Fatalf("%d of %d bytes, farewell %v", len(text), wrote*size, found)
		}
		for n := 0; text != ""; n++ {
			if text[:size] != numberedLine(n, size) {
				t.Fatalf("line %d begins with %.10q", n, text)
			}
			text = text[size:]
		}
		c.Close()
		eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 && p.closed.Load() == 1 })
	}
}

// Frames that may be dropped are, whole, and the stream goes on.
func TestStreamDrops(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{QueueBytesMax: 64 << 10, SendBufferBytes: 8 << 10}, router)
	c := &client{dialNarrow(t, r), t, nil}
	c.in = newReader(c.Conn)
	c.say(getStream)
	p := <-ch
	const frames, size = 400, 1000
	for i := range frames {
		onLoop(r, 0, func() {
			drop := DropOldest
			if i%2 == 0 {
				drop = DropStale
			}
			if !p.c.WriteDroppable(p.framed(numberedLine(i, size)), drop, 7) {
				t.Error("the conn is closed")
			}
		})
	}
	onLoop(r, 0, func() { p.c.Close(3001, "end") })
	all, err := io.ReadAll(c.streamBody())
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(bytes.TrimPrefix(all, []byte("\r\n")), []byte("\n"))
	last := -1
	for _, line := range lines[:len(lines)-2] {
		var n int
		if _, err := fmt.Sscanf(string(line[:8]), "%d", &n); err != nil || n <= last || string(line) != numberedLine(n, size) {
			t.Fatalf("after %d: %.20q (%v)", last, line, err)
		}
		last = n
	}
	if last != frames-1 || string(lines[len(lines)-2]) != "bye 3001 end\n" {
		t.Errorf("the last line is %d, then %q", last, lines[len(lines)-2])
	}
	if s := r.Stats(); s.DroppedOldest == 0 || s.DroppedStale == 0 || s.Slow != 0 {
		t.Errorf("dropped %d and %d, slow %d", s.DroppedOldest, s.DroppedStale, s.Slow)
	}
}

// Streams that hold too much together are closed like WebSockets, the heaviest first.
func TestStreamsAreShed(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{QueueBytesMax: 1 << 20, QueueTotalBytesMax: 1 << 20, SendBufferBytes: 8 << 10}, router)
	const clients = 8
	var pipes []*leaver
	for range clients {
		conn := dialNarrow(t, r)
		if _, err := io.WriteString(conn, getStream); err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, <-ch)
	}
	for i := range 60 {
		onLoop(r, 0, func() {
			for j, p := range pipes {
				p.write(numberedLine(i, 4000+100*j))
			}
		})
	}
	eventually(t, "some are shed", func() bool { s := r.Stats(); return s.Shed > 0 && s.QueuedBytes < 1<<20 })
}

// Streams and answers come and go by resets, and descriptors are reused at once, while all who were ever there are written to. No
// frame reaches the wrong client.
func TestStreamDescriptorReuse(t *testing.T) {
	const loops, clients, rounds = 2, 4, 100
	var onLoops [loops][]*leaver // each for its loop only
	r := start(t, Config{Loops: loops, SendBufferBytes: 8 << 10}, serving(func(c *Conn, what string, body []byte) {
		if what == "POST /x" {
			c.Respond(Response{Body: body})
			return
		}
		p := &leaver{pipe{c: c}}
		p.onOrder = func(_ *pipe, what any) { p.write(what.(string)) }
		c.Stream(Response{Header: []byte("Content-Type: text/event-stream\r\n")}, p)
		_, tag, _ := strings.Cut(what, "?")
		p.onReceive = func(*pipe, []byte) { p.write(tag + "\n") }
		id := c.Loop().ID()
		onLoops[id] = append(onLoops[id], p)
	}))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		until(stop, func() {
			for id := range loops {
				onLoop(r, id, func() {
					for _, p := range onLoops[id] {
						p.Receive(nil)
					}
				})
			}
		})
	}()
	churned := make(chan struct{}, clients)
	for i := range clients {
		go func() {
			defer func() { churned <- struct{}{} }()
			for round := range rounds {
				if !streamOnce(t, r, fmt.Sprintf("tag-%d-%d", i, round)) {
					return
				}
			}
		}()
	}
	for range clients {
		<-churned
	}
	close(stop)
	<-stopped
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.Streams == 0 })
	for id := range loops {
		onLoop(r, id, func() {
			for _, p := range onLoops[id] {
				if n := p.closed.Load(); n != 1 {
					t.Errorf("closed %d times", n)
				}
			}
		})
	}
}

// streamOnce is answered, then listens to a few lines that must all be its own, and resets.
func streamOnce(t *testing.T, r *Reactor, tag string) bool {
	c := dial(t, r)
	defer c.Close()
	if _, err := io.WriteString(c, post("/x", tag)+"GET /x?"+tag+tail+"\r\n"); err != nil {
		t.Error(err)
		return false
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Error(err)
		return false
	}
	if body, err := io.ReadAll(res.Body); string(body) != tag || err != nil {
		t.Errorf("%s is answered with %q (%v)", tag, body, err)
		return false
	}
	if res, err = http.ReadResponse(c.in, nil); err != nil {
		t.Error(err)
		return false
	}
	lines := newReader(res.Body)
	for range 10 {
		if line, err := lines.ReadString('\n'); err != nil || line != tag+"\n" {
			t.Errorf("%s has got %q (%v)", tag, line, err)
			return false
		}
	}
	if err := tcpOf(c.Conn).SetLinger(0); err != nil {
		t.Error(err)
	}
	return true
}

// The bound of messages is not one of streams, whatever ws allows.
func TestLimitsTellStreams(t *testing.T) {
	if limitStream <= ws.MessageBytesMax {
		t.Error("a WebSocket may pass for a stream")
	}
}
