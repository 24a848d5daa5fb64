package api

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/config"
	"stentor/server/metrics"
)

// world is all that an API stands on, and notes what it is asked.
type world struct {
	mu     sync.Mutex
	notes  []string
	fail   error // of all that can fail
	remote bool
	offset uint64
	hold   chan struct{} // Publish waits for it
	busy   int           // Publish calls under way
	most   int           // of those at once

	logs syncBuffer
	api  *API
	m    *metrics.Metrics
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// take returns what was noted since the last take.
func (w *world) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.Join(w.notes, "\n")
	w.notes = nil
	return s
}

// Publish notes a publication. Channels with history give offsets.
func (w *world) Publish(_ context.Context, ch string, p *codec.Publication, o engine.PublishOptions) (r engine.PublishResult, err error) {
	if strings.HasPrefix(ch, "panic") {
		panic("the broker broke")
	}
	w.mu.Lock()
	w.busy++
	w.most = max(w.most, w.busy)
	hold := w.hold
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	if w.fail != nil {
		return r, w.fail
	}
	note := "publish " + ch + " " + string(p.Data)
	if o.HasHistory() {
		note += fmt.Sprintf(" history=%d,%v,%v", o.HistorySize, o.HistoryTTL, o.HistoryMetaTTL)
		w.offset++
		r.Offset, r.Epoch = w.offset, "xyz"
	}
	if p.Tags != nil {
		note += fmt.Sprintf(" tags=%v", p.Tags)
	}
	if o.IdempotencyKey != "" {
		note += " key=" + o.IdempotencyKey
		r.Suppressed = engine.SuppressIdempotency
	}
	if o.Version != 0 {
		note += fmt.Sprintf(" version=%d/%s", o.Version, o.VersionEpoch)
	}
	if o.Delta {
		note += " delta"
	}
	w.notes = append(w.notes, note)
	return r, nil
}

// History notes what is read, and answers with one publication of each sort.
func (w *world) History(_ context.Context, ch string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	note := fmt.Sprintf("history %s limit=%d meta=%v", ch, f.Limit, f.MetaTTL)
	if f.Since != nil {
		note += fmt.Sprintf(" since=%d/%s", f.Since.Offset, f.Since.Epoch)
	}
	if f.Reverse {
		note += " reverse"
	}
	w.note("%s", note)
	at := codec.StreamPosition{Offset: 9, Epoch: "xyz"}
	if w.fail != nil {
		return nil, at, w.fail
	}
	if f.Since != nil && f.Since.Epoch != "" && f.Since.Epoch != at.Epoch {
		return nil, at, engine.ErrEpoch
	}
	pubs := []*codec.Publication{
		{Offset: 7, Data: []byte(`{"a": 1}`)},
		{Offset: 8, Data: []byte(`"b"`), Tags: map[string]string{"t": "v"}, Version: 3,
			Info: &codec.ClientInfo{User: "u", Client: "c", ConnInfo: []byte(`{}`), ChanInfo: []byte(`[]`)}},
		{Offset: 9, Data: []byte("\x00\xff")},
	}
	if f.Limit >= 0 {
		pubs = pubs[:min(f.Limit, len(pubs))]
	}
	return pubs, at, nil
}

func (w *world) RemoveHistory(_ context.Context, ch string) error {
	w.note("remove history %s", ch)
	return w.fail
}

// Presence tells of one client, or of none.
func (w *world) Presence(_ context.Context, ch string) (map[string]*codec.ClientInfo, error) {
	w.note("presence %s", ch)
	switch ch {
	case "pres:none":
		return nil, w.fail
	case "pres:bytes":
		return map[string]*codec.ClientInfo{"c": {Client: "c", ConnInfo: []byte("\xff"), ChanInfo: []byte("x")}}, w.fail
	}
	return map[string]*codec.ClientInfo{"c": {Client: "c", User: "u", ConnInfo: []byte(`{"a":1}`), ChanInfo: []byte(`2`)}}, w.fail
}

func (w *world) PresenceStats(_ context.Context, ch string) (engine.PresenceStats, error) {
	w.note("presence_stats %s", ch)
	if ch == "pres:none" {
		return engine.PresenceStats{}, w.fail
	}
	return engine.PresenceStats{Clients: 3, Users: 2}, w.fail
}

func (w *world) Local() bool { return !w.remote }

func (w *world) Disconnect(_ context.Context, to Target, why codec.Disconnect) error {
	w.note("disconnect user=%q client=%q session=%q whitelist=%q code=%d reason=%q", to.User, to.Client, to.Session, to.Whitelist, why.Code, why.Reason)
	return w.fail
}

func (w *world) Unsubscribe(_ context.Context, to Target, ch string, why codec.Unsubscribe) error {
	w.note("unsubscribe channel=%q user=%q client=%q session=%q code=%d", ch, to.User, to.Client, to.Session, why.Code)
	return w.fail
}

func (w *world) Subscribe(_ context.Context, to Target, o Subscribe) error {
	note := fmt.Sprintf("subscribe channel=%q user=%q client=%q session=%q", o.Channel, to.User, to.Client, to.Session)
	if o.Info != nil {
		note += fmt.Sprintf(" info=%s", o.Info)
	}
	if o.Data != nil {
		note += fmt.Sprintf(" data=%s", o.Data)
	}
	if o.ExpireAt != 0 {
		note += fmt.Sprintf(" expire_at=%d", o.ExpireAt)
	}
	if o.RecoverSince != nil {
		note += fmt.Sprintf(" since=%d/%s", o.RecoverSince.Offset, o.RecoverSince.Epoch)
	}
	if o.Override != (auth.Override{}) {
		note += fmt.Sprintf(" override=%+v", o.Override)
	}
	w.note("%s", note)
	return w.fail
}

func (w *world) Refresh(_ context.Context, to Target, o Refresh) error {
	note := fmt.Sprintf("refresh user=%q client=%q session=%q expired=%t expire_at=%d", to.User, to.Client, to.Session, o.Expired, o.ExpireAt)
	if o.Info != nil {
		note += fmt.Sprintf(" info=%s", o.Info)
	}
	w.note("%s", note)
	return w.fail
}

func (w *world) Channels(_ context.Context, pattern string) (map[string]int, error) {
	match, err := CompilePattern(pattern)
	if err != nil || w.fail != nil {
		return nil, cmp.Or(err, w.fail)
	}
	found := make(map[string]int)
	for name, n := range map[string]int{"news": 3, "chat:1": 1, "chat:22": 2} {
		if match(name) {
			found[name] = n
		}
	}
	return found, nil
}

func (w *world) Info() []NodeInfo {
	return []NodeInfo{{UID: "u1", Name: "host_8000", Version: "1.0", NumClients: 2, NumSubs: 3, NumChannels: 1, Uptime: 60}}
}

// rulesFor are the namespaces of these tests.
func rulesFor(tb testing.TB) *channel.Rules {
	tb.Helper()
	ns := func(name string, o config.ChannelOptions) config.Namespace {
		return config.Namespace{Name: name, ChannelOptions: o}
	}
	cfg := config.Default()
	cfg.Channel.Namespaces = []config.Namespace{
		ns("chat", config.ChannelOptions{HistorySize: 10, HistoryTTL: config.Duration(time.Minute)}),
		ns("json", config.ChannelOptions{PublicationDataFormat: "json"}),
		ns("object", config.ChannelOptions{PublicationDataFormat: "json_object"}),
		ns("delta", config.ChannelOptions{DeltaPublish: true}),
		ns("wild", config.ChannelOptions{AllowWildcards: true}),
		ns("map", config.ChannelOptions{SubscriptionType: "map"}),
		ns("poll", config.ChannelOptions{SubscriptionType: "shared_poll"}),
		ns("pres", config.ChannelOptions{Presence: true}),
	}
	rules, err := channel.NewRules(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{m: metrics.New(metrics.Config{})}
	w.api = New(Config{Protocol: "http", Broker: w, Presence: w, Clients: w, Node: w, Metrics: w.m, Log: w.logger()}, rulesFor(tb))
	return w
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// open is the HTTP mouth without a key.
func (w *world) open() *HTTP {
	return NewHTTP(w.api, HTTPConfig{Prefix: "/api", Insecure: true, Log: w.logger()})
}

// post sends body to path, with headers as name, value pairs.
func post(h *HTTP, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// metric is the line of the metrics that begins with prefix.
func (w *world) metric(prefix string) string {
	var text bytes.Buffer
	w.m.Write(&text)
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
