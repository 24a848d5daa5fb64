// Package pipetest is a node for the tests of transports: real loops, real sessions, a real engine, and the transport that the test
// brings, be it an endpoint on the loops (Config.Route) or one with goroutines of its own (House.Pipes).
package pipetest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/config"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
	"stentor/server/session"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
)

// WaitMax bounds every wait; none takes that long unless the test fails.
const WaitMax = 20 * time.Second

// Config is what a test may change. The zero value is a node on which everybody may do everything, but no page may connect.
type Config struct {
	Origins []string
	Config  func(*config.Config)
	Gate    func(*gate.Config)
	Pipes   func(*pipe.Config)
	// Route makes the endpoint on the loops, of a house that does not run yet; nil for none.
	Route func(*House) func(*reactor.Head) reactor.Verdict
}

// House is a node.
type House struct {
	t        testing.TB
	Reactor  *reactor.Reactor
	Node     *session.Node
	Gate     *gate.Gate
	Pipes    *pipe.Pipes
	Log      *slog.Logger
	Draining atomic.Bool

	route  func(*reactor.Head) reactor.Verdict // nil: none
	logged logs
}

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// Logged is all that has been logged.
func (h *House) Logged() string {
	h.logged.mu.Lock()
	defer h.logged.mu.Unlock()
	return h.logged.text.String()
}

// Route implements reactor.Router.
func (h *House) Route(head *reactor.Head) reactor.Verdict {
	if h.route == nil {
		return reactor.Verdict{Kind: reactor.Refuse, Status: 404}
	}
	return h.route(head)
}

// Open runs a node until the end of the test, when nothing may be left of its clients, and no goroutine of all that was begun since.
func Open(t testing.TB, c Config) *House {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
	})
	h := &House{t: t}
	h.Log = slog.New(slog.NewTextHandler(&h.logged, nil))
	r, err := reactor.New(reactor.Config{Addr: "127.0.0.1:0", Loops: 2, CloseTimeout: time.Second, Log: h.Log}, h)
	h.must(err)
	h.Reactor = r
	h.openNode(&c)
	g := gate.Config{Draining: &h.Draining, Log: h.Log, UserIDHeader: "X-User"}
	apply(c.Gate, &g)
	h.Gate = gate.New(g, h.PagesOf(c.Origins...))
	pc := pipe.Config{Loops: r.Loops(), Guests: r.Guests(), Done: r.Done()}
	apply(c.Pipes, &pc)
	h.Pipes = pipe.New(pc)
	if c.Route != nil {
		h.route = c.Route(h)
	}
	h.run()
	return h
}

// PagesOf is the rule for pages of origins.
func (h *House) PagesOf(origins ...string) gate.Origins {
	h.t.Helper()
	o, err := auth.NewOrigins(origins, h.Log)
	h.must(err)
	return o
}

func apply[T any](f func(*T), v *T) {
	if f != nil {
		f(v)
	}
}

func (h *House) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *House) openNode(c *Config) {
	cfg := config.Default()
	cfg.Client.Insecure = true
	apply(c.Config, cfg)
	rules, err := channel.NewRules(cfg)
	h.must(err)
	connection, subscription, err := auth.NewVerifiers(cfg)
	h.must(err)
	p, err := policy.New(cfg, rules, connection, subscription, h.Log)
	h.must(err)
	loops := h.Reactor.Loops()
	table := hub.NewTable(loops)
	e := memengine.New(memengine.Config{Stripes: 1}, table)
	h.Node = &session.Node{
		Settings: session.SettingsOf(cfg, "test"),
		Broker:   e,
		Presence: e,
		Table:    table,
		Users:    hub.NewUsers(),
		Loops:    loops,
		Metrics:  metrics.New(metrics.Config{Loops: len(loops)}),
		Log:      h.Log,
		Now:      time.Now,
	}
	h.Node.Start(p)
}

func (h *House) run() {
	ended := make(chan error, 1)
	go func() { ended <- h.Reactor.Run() }()
	select {
	case <-h.Reactor.Ready():
	case err := <-ended:
		h.t.Fatalf("Run: %v", err)
	case <-time.After(WaitMax):
		h.t.Fatal("the loops do not get ready")
	}
	h.t.Cleanup(func() {
		h.Eventually("all clients are gone", func() bool { return h.Node.Clients() == 0 && h.Pipes.Conns() == 0 })
		h.Eventually("nothing is owed", func() bool {
			s := h.Reactor.Stats()
			return s.Guests == 0 && s.Conns == 0 && s.QueuedBytes == 0
		})
		if clients, sources := h.Gate.Open(); clients != 0 || sources != 0 {
			h.t.Errorf("%d clients of %d sources are still counted", clients, sources)
		}
		ctx, cancel := context.WithTimeout(context.Background(), WaitMax)
		defer cancel()
		if err := h.Reactor.Stop(ctx); err != nil {
			h.t.Errorf("Stop: %v", err)
		}
		if err := <-ended; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	})
}

// Serve serves a port until the end of the test.
func (h *House) Serve(serve func() error, stop func()) {
	served := make(chan error, 1)
	go func() { served <- serve() }()
	h.t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			h.t.Errorf("Serve: %v", err)
		}
	})
}

// Eventually polls until ok.
func (h *House) Eventually(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(WaitMax); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("never: %s", what)
		}
	}
}

// Publish publishes JSON.
func (h *House) Publish(channel, data string) {
	h.t.Helper()
	_, err := h.Node.Broker.Publish(context.Background(), channel, &codec.Publication{Data: []byte(data)}, engine.PublishOptions{})
	h.must(err)
}

// Disconnect ends everyone, as a drain does.
func (h *House) Disconnect(d codec.Disconnect) {
	for _, l := range h.Reactor.Loops() {
		if l.Post(&everybody{order: d}, nil, 0) {
			l.Wake()
		}
	}
}

// Ended is how many clients went with a code.
func (h *House) Ended(code int) (n int) {
	var page bytes.Buffer
	h.Node.Metrics.Write(&page)
	for line := range strings.Lines(page.String()) {
		if rest, ok := strings.CutPrefix(line, fmt.Sprintf(`stentor_client_disconnects_total{code="%d"} `, code)); ok {
			fmt.Sscan(rest, &n)
		}
	}
	return n
}

// everybody gives an order to all who live on a loop.
type everybody struct {
	loop  *loop.Loop
	order any
	at    uint32
}

// Take implements loop.Recipient.
func (e *everybody) Take(l *loop.Loop, _ any) {
	e.loop = l
	l.Ready(e)
}

// Turn implements loop.Task.
func (e *everybody) Turn(b *loop.Budget) bool {
	e.at = e.loop.Visit(e.at, b, func(_ loop.Handle, r loop.Resident) { r.Order(e.order) })
	return e.at != 0
}
