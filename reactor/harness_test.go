package reactor

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stentor/codec/ws"
	"stentor/codec/ws/wstest"
	"stentor/reactor/loop"
)

// waitMax bounds every wait of the tests; none of them takes that long unless it fails.
const waitMax = 10 * time.Second

// routes is a Router made of a function.
type routes func(h *Head) Verdict

func (f routes) Route(h *Head) Verdict { return f(h) }

// pipe is a Receiver whose reactions a test chooses. Those that it leaves out do nothing.
type pipe struct {
	c         *Conn
	onReceive func(p *pipe, msg []byte)
	onExpire  func(p *pipe, now loop.Time)
	onOrder   func(p *pipe, what any)
	onClosed  func(p *pipe)
	onPong    func(p *pipe)
	closed    atomic.Int32
}

func (p *pipe) Receive(msg []byte) {
	if p.onReceive != nil {
		p.onReceive(p, msg)
	}
}

func (p *pipe) Expire(now loop.Time) {
	if p.onExpire != nil {
		p.onExpire(p, now)
	}
}

func (p *pipe) Order(what any) {
	if p.onOrder != nil {
		p.onOrder(p, what)
	}
}

func (p *pipe) Closed() {
	p.closed.Add(1)
	if p.onClosed != nil {
		p.onClosed(p)
	}
}

func (p *pipe) Pong() {
	if p.onPong != nil {
		p.onPong(p)
	}
}

// send writes one text frame.
func (p *pipe) send(text string) bool { return p.c.Write(frame(text)) }

func frame(text string) []byte { return ws.AppendFrame(nil, ws.OpText, []byte(text)) }

// echo answers every message with itself.
func echo() *pipe {
	return &pipe{onReceive: func(p *pipe, msg []byte) { p.send(string(msg)) }}
}

// upgradeTo is a router that upgrades /ws for the pipes that open makes, and hands everything else to net/http.
func upgradeTo(open func() *pipe) routes {
	return func(h *Head) Verdict {
		if h.Path != "/ws" {
			return Verdict{}
		}
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			p := open()
			p.c = c
			return p
		}}
	}
}

// logs collects what a reactor logs.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a reactor until the end of the test.
func start(t testing.TB, cfg Config, router Router) *Reactor {
	t.Helper()
	r, _ := startLogged(t, cfg, router)
	return r
}

func startLogged(t testing.TB, cfg Config, router Router) (*Reactor, *logs) {
	t.Helper()
	l := new(logs)
	cfg.Addr = cmp.Or(cfg.Addr, "127.0.0.1:0")
	cfg.Loops = cmp.Or(cfg.Loops, 1)
	cfg.StallReport = cmp.Or(cfg.StallReport, time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.NewTextHandler(l, nil)))
	if overTLS && cfg.TLS == nil {
		cfg.TLS = serverTLS()
		cfg.TLS.PlainToo = true
	}
	r, err := New(cfg, router)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run() }()
	select {
	case <-r.Ready():
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	case <-time.After(waitMax):
		t.Fatal("the reactor does not get ready")
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitMax)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
			return
		}
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := r.Stats().QueuedBytes; n != 0 {
			t.Errorf("%d bytes are still accounted for after all conns have gone", n)
		}
		if s := r.Stats(); s.Conns != s.HTTPConns || s.WebSockets != 0 || s.Streams != 0 {
			t.Errorf("%d conns, %d WebSockets and %d streams are still counted after all have gone",
				s.Conns-s.HTTPConns, s.WebSockets, s.Streams)
		}
	})
	return r, l
}

// client is the test's end of a socket.
type client struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func dial(t testing.TB, r *Reactor) *client {
	t.Helper()
	c := dialRaw(t, r)
	if overTLS && r.cfg.TLS != nil {
		c.Conn = tls.Client(c.Conn, clientTLS(0))
		c.in = newReader(c.Conn)
	}
	return c
}

// dialRaw is dial of a client that speaks TLS by itself, or never.
func dialRaw(t testing.TB, r *Reactor) *client {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(waitMax)); err != nil {
		t.Fatal(err)
	}
	return &client{conn, t, newReader(conn)}
}

// tcpOf is the socket of a client.
func tcpOf(conn net.Conn) *net.TCPConn {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return conn.(*net.TCPConn)
}

// closeWrite ends what the client says, in the words of its transport.
func closeWrite(conn net.Conn) error { return conn.(interface{ CloseWrite() error }).CloseWrite() }

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

func upgradeRequest() string {
	return "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n\r\n"
}

// dialWS is a client that has been upgraded.
func dialWS(t testing.TB, r *Reactor) *client {
	t.Helper()
	c := dial(t, r)
	c.say(upgradeRequest())
	c.upgraded()
	return c
}

func (c *client) upgraded() {
	c.t.Helper()
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, ws.AcceptKey(testKey)) {
		c.t.Fatalf("no upgrade:\n%s", head)
	}
}

func (c *client) say(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// text is a client's text frame.
func text(s string) string { return clientFrame(ws.OpText, true, s) }

func clientFrame(op ws.OpCode, fin bool, payload string) string {
	return string(ws.AppendClientFrame(nil, op, fin, [4]byte{1, 2, 3, 4}, []byte(payload)))
}

func clientClose(code uint16, reason string) string {
	return string(ws.AppendClientClose(nil, [4]byte{5, 6, 7, 8}, code, reason))
}

// head reads a response head, its empty line included.
func (c *client) head() string {
	c.t.Helper()
	var head strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			c.t.Fatalf("read a response: %v, after %q", err, head.String())
		}
		if line == "\r\n" {
			return head.String()
		}
	}
}

// hear reads one ws frame of the server.
func (c *client) hear() (op ws.OpCode, payload string, err error) { return wstest.ReadFrame(c.in) }

// expect reads the next frame, which must be a text.
func (c *client) expect(want string) {
	c.t.Helper()
	op, got, err := c.hear()
	if err != nil || op != ws.OpText || got != want {
		c.t.Fatalf("heard %v %.100q (%v), want the text %.100q", op, got, err, want)
	}
}

// expectClose reads the next frame, which must be a close frame.
func (c *client) expectClose(code uint16, reason string) {
	c.t.Helper()
	op, got, err := c.hear()
	if err != nil || op != ws.OpClose {
		c.t.Fatalf("heard %v %.100q (%v), want close %d", op, got, err, code)
	}
	gotCode, gotReason, err := ws.ParseClose([]byte(got))
	if err != nil || gotCode != code || gotReason != reason {
		c.t.Fatalf("closed with %d %q (%v), want %d %q", gotCode, gotReason, err, code, reason)
	}
}

// expectEnd reads the end of the stream. A reset counts: the server had closed with some of our input unread.
func (c *client) expectEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if err != nil && strings.Contains(err.Error(), "timeout") || len(rest) > 0 {
		c.t.Fatalf("the stream does not end: %.100q, %v", rest, err)
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitMax); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// onLoop runs f on loop number id and waits for it.
func onLoop(r *Reactor, id int, f func()) {
	done := make(chan struct{})
	l := r.Loops()[id]
	if l.Post(taker(func() { f(); close(done) }), nil, 0) {
		l.Wake()
	}
	<-done
}

type taker func()

func (f taker) Take(*loop.Loop, any) { f() }
