package reactor

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stentor/codec/ws"
)

// neverRoute fails the test when a request gets to the router.
func neverRoute(t *testing.T) routes {
	return func(h *Head) Verdict {
		t.Errorf("routed %s %s", h.Method, h.Target)
		return Verdict{Kind: Refuse}
	}
}

// Every head of the table that is refused gets a 400 and the end, whole or byte by byte, and never a second response.
func TestBadHeads(t *testing.T) {
	r := start(t, Config{}, neverRoute(t))
	bad := uint64(0)
	for _, h := range heads {
		if h.err == nil {
			continue
		}
		bad++
		t.Run(h.name, func(t *testing.T) {
			c := dial(t, r)
			// What follows must not be taken for another request.
			c.say(h.raw + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
			if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") || !strings.Contains(head, "\r\nConnection: close\r\n") {
				t.Errorf("answered with %q", head)
			}
			rest, _ := io.ReadAll(c.in)
			if got := string(rest); got != h.err.Error()+"\n" {
				t.Errorf("the response goes on with %q", got)
			}
		})
	}
	eventually(t, "all refused conns are gone", func() bool { return r.Stats().Conns == 0 })
	if got := r.Stats().BadHeads; got != bad {
		t.Errorf("%d bad heads counted, want %d", got, bad)
	}
}

func TestBigHeads(t *testing.T) {
	r := start(t, Config{}, neverRoute(t))
	for _, c := range []struct{ name, raw string }{
		{"request line of 1 MB", "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"header of 64 KB", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"},
		{"query of 100 KB", "GET /?" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"10,000 headers", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 10000) + "\r\n"},
		{"102 headers", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n"},
		{"no line end at all", strings.Repeat("x", 17<<10)},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, r)
			conn.say(c.raw)
			if head := conn.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
				t.Errorf("answered with %q", head)
			}
		})
	}
	eventually(t, "no memory is held for them", func() bool { return r.Stats().QueuedBytes == 0 })
}

func TestHeadLimitIsExact(t *testing.T) {
	r := start(t, Config{HeadBytesMax: 1000}, routes(func(*Head) Verdict { return Verdict{Kind: Refuse, Status: 418} }))
	for _, c := range []struct {
		size   int
		status string
	}{{1000, "418"}, {1001, "400"}} {
		raw := "GET / HTTP/1.1\r\nHost: a\r\nX: "
		raw += strings.Repeat("x", c.size-len(raw)-4) + "\r\n\r\n"
		conn := dial(t, r)
		conn.say(raw)
		if head := conn.head(); !strings.HasPrefix(head, "HTTP/1.1 "+c.status) {
			t.Errorf("a head of %d bytes is answered with %q", c.size, head)
		}
	}
}

// A head that comes byte by byte is taken; one that does not end in time is not, and neither is silence.
func TestHeadDeadline(t *testing.T) {
	r := start(t, Config{HeadTimeout: 300 * time.Millisecond}, upgradeTo(echo))
	slow := dial(t, r)
	for _, b := range []byte(upgradeRequest()) {
		slow.say(string(b))
	}
	slow.upgraded()

	silent, stuck := dial(t, r), dial(t, r)
	stuck.say("GET /ws HTTP/1.1\r\nHost: a\r\nX")
	silent.expectEnd()
	if head := stuck.head(); !strings.HasPrefix(head, "HTTP/1.1 408 ") {
		t.Errorf("answered with %q", head)
	}
	// The one that is upgraded has no head deadline any more.
	slow.say(text("still here"))
	slow.expect("still here")
	if got := r.Stats().HeadTimeouts; got != 2 {
		t.Errorf("%d head timeouts counted, want 2", got)
	}
}

func TestUpgradeRefusals(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	good := map[string]string{
		"Host": "a", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": testKey,
	}
	for _, c := range []struct {
		name, line     string
		header, value  string
		status, inHead string
	}{
		{"wrong version", "", "Sec-WebSocket-Version", "12", "426", "Sec-WebSocket-Version: 13\r\n"},
		{"no version", "", "Sec-WebSocket-Version", "", "426", ""},
		{"no key", "", "Sec-WebSocket-Key", "", "400", ""},
		{"short key", "", "Sec-WebSocket-Key", "abc", "400", ""},
		{"oversize key", "", "Sec-WebSocket-Key", strings.Repeat("A", 4096), "400", ""},
		{"key that is not base64", "", "Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!==", "400", ""},
		{"no upgrade", "", "Upgrade", "", "400", ""},
		{"upgrade to h2c", "", "Upgrade", "h2c", "400", ""},
		{"no connection", "", "Connection", "", "400", ""},
		{"connection close", "", "Connection", "close", "400", ""},
		{"connection upgrade and close", "", "Connection", "Upgrade, close", "400", ""},
		{"body", "", "Content-Length", "5", "400", ""},
		{"chunked body", "", "Transfer-Encoding", "chunked", "400", ""},
		{"POST", "POST /ws HTTP/1.1", "", "", "405", "Allow: GET\r\n"},
		{"HTTP/1.0", "GET /ws HTTP/1.0", "", "", "505", ""},
		{"empty body", "", "Content-Length", "0", "101", ""},
		{"many extensions", "", "Sec-WebSocket-Extensions", strings.Repeat("x; a=1; a=2, ", 500), "101", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := c.line
			line = cmp.Or(line, "GET /ws HTTP/1.1")
			raw := line + "\r\n"
			for name, value := range good {
				if name != c.header {
					raw += name + ": " + value + "\r\n"
				}
			}
			if c.value != "" {
				raw += c.header + ": " + c.value + "\r\n"
			}
			conn := dial(t, r)
			// A proxy that believes in the upgrade would pass on what its client says now.
			conn.say(raw + "\r\n" + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
			head := conn.head()
			if !strings.HasPrefix(head, "HTTP/1.1 "+c.status+" ") || !strings.Contains(head, c.inHead) {
				t.Fatalf("answered with %q", head)
			}
			if c.status == "101" {
				return
			}
			if !strings.Contains(head, "\r\nConnection: close") {
				t.Errorf("does not say that it closes: %q", head)
			}
			if rest, _ := io.ReadAll(conn.in); strings.Contains(string(rest), "HTTP/1.1") {
				t.Errorf("a second response: %q", rest)
			}
		})
	}
}

// The router sees paths as they were sent: what looks like another path's spelling is not that path.
func TestPathsAreRaw(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		if h.Path == "/ws" {
			return Verdict{Kind: Upgrade}
		}
		return Verdict{Kind: Refuse, Status: 404, Body: h.Path + " " + h.Query}
	}))
	for target, want := range map[string]string{
		"//ws":         "//ws ",
		"/./ws":        "/./ws ",
		"/%77s":        "/%77s ",
		"/x/%2e%2e/ws": "/x/%2e%2e/ws ",
		"/x?/ws?a":     "/x /ws?a",
		"/ws/":         "/ws/ ",
		"/WS":          "/WS ",
		"/ws%00":       "/ws%00 ",
		"/ws#x":        "/ws#x ",
	} {
		c := dial(t, r)
		c.say(strings.Replace(upgradeRequest(), "/ws", target, 1))
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 404 ") {
			t.Errorf("%s is answered with %q", target, head)
		}
		if body, _ := io.ReadAll(c.in); string(body) != want {
			t.Errorf("%s is seen as %q, want %q", target, body, want)
		}
	}
}

func TestRefuse(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		if h.Path == "/default" {
			return Verdict{Kind: Refuse}
		}
		return Verdict{Kind: Refuse, Status: 503, Body: "later\n"}
	}))
	for _, c := range []struct{ line, status, body string }{
		{"GET /", "503", "later\n"},
		{"HEAD /", "503", ""},
		{"GET /default", "403", ""},
	} {
		conn := dial(t, r)
		conn.say(c.line + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if head := conn.head(); !strings.HasPrefix(head, "HTTP/1.1 "+c.status+" ") {
			t.Errorf("%s is answered with %q", c.line, head)
		}
		if body, err := io.ReadAll(conn.in); string(body) != c.body || err != nil {
			t.Errorf("%s: body %q, %v", c.line, body, err)
		}
	}
	if got := r.Stats().RefusedByRouter; got != 3 {
		t.Errorf("%d refusals counted, want 3", got)
	}
}

func TestSubprotocolAndFramesInOneSegment(t *testing.T) {
	r := start(t, Config{}, routes(func(h *Head) Verdict {
		offers := strings.Clone(h.Joined("Sec-WebSocket-Protocol"))
		protocol, err := ws.Choose(offers, []string{"centrifuge-json"})
		if err != nil {
			return Verdict{Kind: Refuse, Status: 400}
		}
		remote := h.RemoteAddr()
		return Verdict{Kind: Upgrade, Protocol: protocol, Open: func(c *Conn) Receiver {
			p := echo()
			p.c = c
			p.send("from " + remote + " " + c.RemoteAddr())
			return p
		}}
	}))
	c := dial(t, r)
	request := strings.TrimSuffix(upgradeRequest(), "\r\n") + "Sec-WebSocket-Protocol: x, centrifuge-json\r\n\r\n"
	half := text("in two halves")
	c.say(request + text("one") + clientFrame(ws.OpText, false, "tw") + clientFrame(ws.OpContinuation, true, "o") + half[:7])
	if head := c.head(); !strings.Contains(head, "\r\nSec-WebSocket-Protocol: centrifuge-json\r\n") {
		t.Fatalf("answered with %q", head)
	}
	me := c.LocalAddr().String()
	c.expect("from " + me + " " + me)
	c.expect("one")
	c.expect("two")
	c.say(half[7:])
	c.expect("in two halves")
}

// serveHTTP serves what the reactor hands off.
func serveHTTP(t testing.TB, r *Reactor, h http.Handler) *http.Server {
	server := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(r.HTTPListener()) }()
	t.Cleanup(func() { server.Close(); <-served })
	return server
}

func TestHandOff(t *testing.T) {
	r := start(t, Config{Loops: 2}, upgradeTo(echo))
	serveHTTP(t, r, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		fmt.Fprintf(w, "%s %s %d %v", req.Method, req.URL, len(body), err)
	}))
	c := dial(t, r)
	long := strings.Repeat("x", 300<<10) // more than one read of the loop
	c.say("POST /api?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(long)) + "\r\n\r\n" + long)
	get := func(want string) {
		t.Helper()
		res, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); string(body) != want || err != nil {
			t.Fatalf("%q, %v, want %q", body, err, want)
		}
	}
	get("POST /api?a=b 307200 <nil>")
	// Two more on the same conn, pipelined; the second is chunked, with an extension and a trailer.
	c.say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n")
	get("GET /1 0 <nil>")
	get("POST /2 3 <nil>")
	if s := r.Stats(); s.HandedOff != 1 || s.HTTPConns != 1 || s.Conns != 1 {
		t.Errorf("handed off %d, HTTP conns %d, conns %d", s.HandedOff, s.HTTPConns, s.Conns)
	}
	c.Close()
	eventually(t, "its place is free again", func() bool { s := r.Stats(); return s.HTTPConns == 0 && s.Conns == 0 })
}

func TestHTTPConnsMax(t *testing.T) {
	r := start(t, Config{HTTPConnsMax: 1}, upgradeTo(echo))
	serveHTTP(t, r, http.NotFoundHandler())
	get := func() (*client, string) {
		c := dial(t, r)
		c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		return c, c.head()
	}
	first, head := get()
	if !strings.HasPrefix(head, "HTTP/1.1 404 ") {
		t.Fatalf("answered with %q", head)
	}
	if _, head = get(); !strings.HasPrefix(head, "HTTP/1.1 503 ") {
		t.Fatalf("the second is answered with %q", head)
	}
	if got := r.Stats().RefusedHTTP; got != 1 {
		t.Errorf("%d refusals counted", got)
	}
	first.Close()
	eventually(t, "there is room again", func() bool { return r.Stats().HTTPConns == 0 })
	if _, head = get(); !strings.HasPrefix(head, "HTTP/1.1 404 ") {
		t.Fatalf("the third is answered with %q", head)
	}
}

// Net/http does not get a conn that has been reset on its way: there is no peer of whom it could ask the address.
func TestHandOffAfterReset(t *testing.T) {
	r, l := startLogged(t, Config{}, upgradeTo(echo))
	c := dialRaw(t, r)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "handed off", func() bool { return r.Stats().HandedOff == 1 })
	_ = tcpOf(c.Conn).SetLinger(0)
	c.Close()
	serveHTTP(t, r, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { t.Errorf("served for %q", req.RemoteAddr) }))
	eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.HTTPConns == 0 })
	if l.String() != "" {
		t.Errorf("logged %s", l)
	}
}

// Without anyone who serves HTTP, requests that would be handed off are refused.
func TestHandOffAfterListenerClosed(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	c := dial(t, r)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n") // waits in the listener's queue
	eventually(t, "handed off", func() bool { return r.Stats().HandedOff == 1 })
	if err := r.HTTPListener().Close(); err != nil {
		t.Fatal(err)
	}
	c.expectEnd()
	c = dial(t, r)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 503 ") {
		t.Errorf("answered with %q", head)
	}
	if _, err := r.HTTPListener().Accept(); err != net.ErrClosed {
		t.Errorf("Accept: %v", err)
	}
	eventually(t, "nothing is counted any more", func() bool { return r.Stats().HTTPConns == 0 })
}
