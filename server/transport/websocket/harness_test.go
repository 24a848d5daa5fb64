package websocket

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stentor/codec/ws"
	"stentor/engine/memengine"
	"stentor/reactor"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/config"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

// waitMax bounds every wait of the tests; none of them takes that long unless it fails.
const waitMax = 10 * time.Second

// house is an endpoint on a real reactor, at /ws.
type house struct {
	t        testing.TB
	reactor  *reactor.Reactor
	node     *session.Node
	endpoint *Endpoint
	gate     *gate.Gate
	log      logs
	draining atomic.Bool
	clock    atomic.Int64 // nanoseconds, for Config.Now
}

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) lines() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte("\n"))
}

// Route implements reactor.Router.
func (h *house) Route(head *reactor.Head) reactor.Verdict {
	if head.Path == "/ws" {
		return h.endpoint.Route(head)
	}
	return reactor.Verdict{Kind: reactor.Refuse, Status: 404}
}

// open runs a house until the end of the test. Without a token its clients are anonymous. change may change the endpoint, tune what
// the policy is made of.
func open(t testing.TB, origins []string, change func(*Config, *gate.Config), tune ...func(*config.Config)) *house {
	t.Helper()
	h := &house{t: t}
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	r, err := reactor.New(reactor.Config{Addr: "127.0.0.1:0", Loops: 1, CloseTimeout: time.Second}, h)
	if err != nil {
		t.Fatal(err)
	}
	h.reactor = r
	cfg := config.Default()
	cfg.Client.AllowAnonymousConnectWithoutToken = true
	cfg.Client.UserIDHTTPHeader = "X-User"
	for _, f := range tune {
		f(cfg)
	}
	rules, err := channel.NewRules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	connection, subscription, err := auth.NewVerifiers(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(cfg, rules, connection, subscription, log)
	if err != nil {
		t.Fatal(err)
	}
	table := hub.NewTable(r.Loops())
	memory := memengine.New(memengine.Config{Stripes: 1}, table)
	h.node = &session.Node{
		Settings: session.SettingsOf(cfg, "test"),
		Broker:   memory,
		Presence: memory,
		Table:    table,
		Users:    hub.NewUsers(),
		Loops:    r.Loops(),
		Metrics:  metrics.New(metrics.Config{Loops: 1}),
		Log:      log,
		Now:      time.Now,
	}
	h.node.Start(p)
	c := Config{Node: h.node}
	g := gate.Config{
		Draining: &h.draining,
		Log:      log,
		Now:      func() time.Time { return time.Unix(1_700_000_000, h.clock.Load()) },
	}
	if change != nil {
		change(&c, &g)
	}
	h.gate = gate.New(g, h.origins(origins))
	c.Gate = h.gate
	h.endpoint = New(c)
	h.run()
	return h
}

// inside is how many clients are counted.
func (h *house) inside() int {
	clients, _ := h.gate.Open()
	return clients
}

func (h *house) origins(patterns []string) gate.Origins {
	o, err := auth.NewOrigins(patterns, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func (h *house) run() {
	ended := make(chan error, 1)
	go func() { ended <- h.reactor.Run() }()
	select {
	case <-h.reactor.Ready():
	case err := <-ended:
		h.t.Fatalf("Run: %v", err)
	case <-time.After(waitMax):
		h.t.Fatal("the reactor does not get ready")
	}
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitMax)
		defer cancel()
		if err := h.reactor.Stop(ctx); err != nil {
			h.t.Errorf("Stop: %v", err)
		}
		if err := <-ended; err != nil {
			h.t.Errorf("Run: %v", err)
		}
		if clients, sources := h.gate.Open(); clients != 0 || sources != 0 {
			h.t.Errorf("%d connections of %d sources are still counted", clients, sources)
		}
	})
}

// client is the test's end of a socket.
type client struct {
	net.Conn
	t        testing.TB
	in       *bufio.Reader
	status   int // of the refusal, or 101
	protocol string
}

// dial sends an upgrade request and reads the answer.
func (h *house) dial(request ws.ClientRequest) *client {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.reactor.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(waitMax)); err != nil {
		h.t.Fatal(err)
	}
	if request.Target == "" {
		request.Target = "/ws"
	}
	request.Host, request.Key = "localhost", ws.NewKey()
	if _, err := conn.Write(request.Append(nil)); err != nil {
		h.t.Fatal(err)
	}
	c := &client{Conn: conn, t: h.t, in: bufio.NewReader(conn)}
	c.readHead(request.Key)
	return c
}

func (c *client) readHead(key string) {
	c.t.Helper()
	var head []byte
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			c.t.Fatalf("read a response: %v, after %q", err, head)
		}
		head = append(head, b)
		protocol, _, ok, err := ws.ParseUpgradeResponse(head, key)
		if refusal, isRefusal := err.(*ws.HandshakeError); isRefusal {
			c.status = refusal.Status
			return
		}
		if ok {
			c.status, c.protocol = 101, protocol
			return
		}
	}
}

// say sends one data frame.
func (c *client) say(op ws.OpCode, payload string) {
	c.t.Helper()
	if _, err := c.Write(ws.AppendClientFrame(nil, op, true, [4]byte{1, 2, 3, 4}, []byte(payload))); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads one frame.
func (c *client) hear() (op ws.OpCode, payload string, err error) {
	var buf []byte
	for {
		h, n, ok, err := ws.ParseHeader(buf)
		if err != nil {
			return 0, "", err
		}
		if ok {
			body := make([]byte, h.Length)
			_, err := io.ReadFull(c.in, body)
			return h.OpCode, string(body), err
		}
		for len(buf) < n {
			b, err := c.in.ReadByte()
			if err != nil {
				return 0, "", err
			}
			buf = append(buf, b)
		}
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

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitMax); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
