package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/server/api"
	"stentor/server/channel"
	"stentor/server/cluster/control"
	"stentor/server/config"
	"stentor/server/metrics"
)

// ether carries messages between the nodes of a test: at once and in order, unless it is told to be bad.
type ether struct {
	mu     sync.Mutex
	ends   []*end
	random *rand.Rand // nil is an ether that works
	drop   float64    // the share of messages that get lost, and
	twice  float64    // that of those that come twice
	delay  time.Duration
	lost   func(from, to string, c *control.Command) bool // those are lost, too
	fault  error                                          // of every call
	frozen chan struct{}                                  // calls wait until it is closed; nil is not at all
}

// end is what one node has of it (engine.Bus).
type end struct {
	ether  *ether
	uid    string
	handle func([]byte)
	deaf   bool // nothing arrives
	closed bool
}

func (e *ether) open(uid string) *end {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := &end{ether: e, uid: uid}
	e.ends = append(e.ends, b)
	return b
}

// set changes the ether.
func (e *ether) set(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (b *end) Listen(node string, handle func([]byte)) {
	if node != b.uid || b.handle != nil {
		panic("listened as " + node)
	}
	b.ether.set(func() { b.handle = handle })
}

func (b *end) Broadcast(ctx context.Context, message []byte) error {
	return b.carry(ctx, message, func(*end) bool { return true })
}

func (b *end) Send(ctx context.Context, node string, message []byte) error {
	return b.carry(ctx, message, func(to *end) bool { return to.uid == node })
}

func (b *end) carry(ctx context.Context, message []byte, to func(*end) bool) error {
	e := b.ether
	e.mu.Lock()
	frozen := e.frozen
	e.mu.Unlock()
	if frozen != nil {
		select {
		case <-frozen:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var c control.Command
	if err := c.UnmarshalVT(message); err != nil {
		return err
	}
	e.mu.Lock()
	if e.fault != nil {
		defer e.mu.Unlock()
		return e.fault
	}
	var deliveries []func()
	for _, r := range e.ends {
		if !to(r) || e.lost != nil && e.lost(b.uid, r.uid, &c) {
			continue
		}
		times := 1
		if e.random != nil && e.random.Float64() < e.drop {
			times = 0
		} else if e.random != nil && e.random.Float64() < e.twice {
			times = 2
		}
		for range times {
			deliveries = append(deliveries, e.delayed(r, bytes.Clone(message)))
		}
	}
	e.mu.Unlock()
	for _, deliver := range deliveries {
		deliver()
	}
	return nil
}

// delayed is one delivery. The message is no good after it.
func (e *ether) delayed(to *end, message []byte) func() {
	deliver := func() {
		e.mu.Lock()
		handle, reachable := to.handle, !to.deaf && !to.closed
		e.mu.Unlock()
		if handle != nil && reachable {
			handle(message)
		}
		for i := range message {
			message[i] = 0xA5
		}
	}
	if e.random == nil || e.delay == 0 {
		return deliver
	}
	after := time.Duration(e.random.Int64N(int64(e.delay)))
	return func() { time.AfterFunc(after, deliver) }
}

// notes are what sessions were ordered.
type notes struct {
	mu    sync.Mutex
	lines []string
	hold  func() // called in every order
	holds func() // called in Settle
}

func (n *notes) add(format string, args ...any) error {
	n.mu.Lock()
	hold := n.hold
	n.mu.Unlock()
	if hold != nil {
		hold()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
	return nil
}

// take returns what was noted since the last take.
func (n *notes) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := strings.Join(n.lines, "\n")
	n.lines = nil
	return s
}

func (n *notes) Disconnect(_ context.Context, to api.Target, why codec.Disconnect) error {
	return n.add("disconnect %+v %d %s", to, why.Code, why.Reason)
}

func (n *notes) Unsubscribe(_ context.Context, to api.Target, ch string, why codec.Unsubscribe) error {
	return n.add("unsubscribe %+v %q %d %s", to, ch, why.Code, why.Reason)
}

func (n *notes) Subscribe(_ context.Context, to api.Target, o api.Subscribe) error {
	since := ""
	if o.RecoverSince != nil {
		since = fmt.Sprintf(" since %d/%s", o.RecoverSince.Offset, o.RecoverSince.Epoch)
	}
	return n.add("subscribe %+v %q info %s %t data %s %t until %d%s %+v",
		to, o.Channel, o.Info, o.Info == nil, o.Data, o.Data == nil, o.ExpireAt, since, o.Override)
}

func (n *notes) Refresh(_ context.Context, to api.Target, o api.Refresh) error {
	return n.add("refresh %+v %t until %d info %s %t", to, o.Expired, o.ExpireAt, o.Info[:min(len(o.Info), 100)], o.Info == nil)
}

// hang has Settle call f.
func (n *notes) hang(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holds = f
}

func (n *notes) Settle() {
	n.mu.Lock()
	holds := n.holds
	n.mu.Unlock()
	if holds != nil {
		holds()
	}
}

// logs is a log that can be read.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// place is a node of a test, and what it stands on.
type place struct {
	*Node
	end     *end
	mine    notes // orders of its own API
	theirs  notes // orders of others
	logs    logs
	metrics *metrics.Metrics
	stop    func()

	mu       sync.Mutex
	channels map[string]int
	gauges   metrics.NodeGauges
}

// set changes what the node counts.
func (p *place) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// inside is what is kept of others: nodes and those who have left, questions, bytes.
func (p *place) inside() (members, questions, bytes int) {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.asked.mu.Lock()
	defer p.asked.mu.Unlock()
	return len(p.registry.members), len(p.asked.waiting), int(p.inboxBytes.Load())
}

func (p *place) Gauges() metrics.NodeGauges {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gauges
}

func (p *place) Channels(match func(string) bool) map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := make(map[string]int)
	for name, n := range p.channels {
		if match(name) {
			found[name] = n
		}
	}
	return found
}

// put makes a node that does not run yet; nil is no bus.
func put(t *testing.T, e *ether, uid string) *place {
	t.Helper()
	p := &place{metrics: metrics.New(metrics.Config{}), gauges: metrics.NodeGauges{Clients: 4, Users: 3, Subscriptions: 2, Channels: 1}}
	rules := rulesFor(t)
	cfg := Config{
		UID: uid, Name: "name of " + uid, Version: "1.2.3",
		Local: p, Clients: &p.mine, Sessions: &p.theirs,
		Rules: func() *channel.Rules { return rules }, Metrics: p.metrics,
		MetricsInterval: time.Minute,
		Log:             slog.New(slog.NewTextHandler(&p.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if e != nil {
		p.end = e.open(uid)
		cfg.Bus = p.end
	}
	p.Node = New(cfg)
	return p
}

func rulesFor(t testing.TB) *channel.Rules {
	t.Helper()
	cfg := config.Default()
	cfg.Channel.Namespaces = []config.Namespace{
		{Name: "all", ChannelOptions: config.ChannelOptions{
			Presence: true, JoinLeave: true, ForcePushJoinLeave: true, ForceRecovery: true, ForcePositioning: true,
			HistorySize: 1, HistoryTTL: config.Duration(time.Minute),
		}},
	}
	rules, err := channel.NewRules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// run runs the node until stop, or the end of the test.
func (p *place) run(t *testing.T) *place {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Node.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	p.stop = sync.OnceFunc(func() {
		if p.end != nil {
			p.end.ether.set(func() { p.end.closed = true })
		}
		cancel()
		<-done
	})
	t.Cleanup(p.stop)
	return p
}

// nodes runs some nodes that know each other.
func nodes(t *testing.T, e *ether, uids ...string) []*place {
	t.Helper()
	var all []*place
	for _, uid := range uids {
		all = append(all, put(t, e, uid).run(t))
	}
	synctest.Wait()
	for _, p := range all {
		if got := p.knows(); got != strings.Join(uids, " ") {
			t.Fatalf("%s knows %q", p.cfg.UID, got)
		}
	}
	return all
}

// knows is the ids of all nodes in info, in order.
func (p *place) knows() string {
	var uids []string
	for _, info := range p.Info() {
		uids = append(uids, info.UID)
	}
	slices.Sort(uids)
	return strings.Join(uids, " ")
}

// failed is how many control messages had no effect for a reason.
func (p *place) failed(why metrics.ControlFailure) string {
	return p.metric(`stentor_control_messages_failed_total{reason="` + why.String() + `"}`)
}

// metric is the value of a metric.
func (p *place) metric(name string) string {
	var text bytes.Buffer
	p.metrics.Write(&text)
	for line := range strings.Lines(text.String()) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// wants reports what a log lacks.
func (p *place) wants(t *testing.T, text string, times int) {
	t.Helper()
	if n := strings.Count(p.logs.String(), text); n != times {
		t.Errorf("the log of %s has %q %d times, want %d:\n%s", p.cfg.UID, text, n, times, p.logs.String())
	}
}
