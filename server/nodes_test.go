package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server/config"
)

// patience is how long anything may take that will happen in the end.
const patience = 30 * time.Second

const (
	testKey    = "key-of-the-api"
	testSecret = "secret-of-the-tokens"
)

// wire is a bus between the servers of this process (engine.Bus is what one server has of it).
type wire struct {
	mu     sync.Mutex
	handle map[string]func([]byte) // by node
}

func (w *wire) Listen(node string, handle func([]byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handle[node] = handle
}

func (w *wire) Broadcast(_ context.Context, message []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, handle := range w.handle {
		handle(bytes.Clone(message))
	}
	return nil
}

func (w *wire) Send(_ context.Context, node string, message []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if handle := w.handle[node]; handle != nil {
		handle(bytes.Clone(message))
	}
	return nil
}

// running is a server of a test.
type running struct {
	*Server
	t    *testing.T
	stop func()
}

// startNode runs a server whose control messages go over w; nil is none.
func startNode(t *testing.T, w *wire, name string) *running {
	t.Helper()
	return startNodeWith(t, w, name, func(*config.Config) {})
}

// startNodeWith is startNode with another configuration.
func startNodeWith(t *testing.T, w *wire, name string, change func(c *config.Config)) *running {
	t.Helper()
	cfg := config.Default()
	cfg.HTTPServer.Address, cfg.HTTPServer.Port = "127.0.0.1", 0
	cfg.HTTPAPI.Key = testKey
	cfg.Client.Token.HMACSecretKey, cfg.Client.AllowAnonymousConnectWithoutToken = testSecret, true
	cfg.Prometheus.Enabled = true
	cfg.Node.Name = name
	cfg.Channel.WithoutNamespace.AllowSubscribeForClient = true
	cfg.Channel.WithoutNamespace.AllowSubscribeForAnonymous = true
	cfg.Channel.Namespaces = []config.Namespace{{Name: "kept", ChannelOptions: config.ChannelOptions{
		HistorySize: 10, HistoryTTL: config.Duration(time.Minute), ForceRecovery: true, ForcePositioning: true,
	}}}
	cfg.Reactor.Loops = 2
	change(cfg)
	s, err := New(Options{Config: cfg, Version: "test", Log: slog.New(slog.DiscardHandler), OpenEngine: func(r engine.Node, _ string) (Engines, error) {
		e := memengine.New(memengine.Config{}, r)
		if w == nil {
			return Engines{Broker: e, Presence: e, Run: []func(context.Context) error{e.Run}}, nil
		}
		return Engines{Broker: e, Presence: e, Bus: w, Run: []func(context.Context) error{e.Run}}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &running{s, t, stop}
}

// api calls a method and returns what it answers.
func (r *running) api(method, params string) string {
	r.t.Helper()
	req, err := http.NewRequest("POST", "http://"+r.Addr().String()+"/api/"+method, strings.NewReader(params))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-API-Key", testKey)
	return r.body(req)
}

func (r *running) body(req *http.Request) string {
	r.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// visitor is a client of a server.
type visitor struct {
	t    *testing.T
	conn *websocket.Conn
}

// visit connects as user, or as nobody when it is empty.
func (r *running) visit(user string) *visitor {
	r.t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+r.Addr().String()+"/connection/websocket", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	token := ""
	if user != "" {
		if token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user}).SignedString([]byte(testSecret)); err != nil {
			r.t.Fatal(err)
		}
	}
	v := &visitor{r.t, conn}
	v.says(`{"id":1,"connect":{"token":"`+token+`"}}`, `{"id":1,"connect":{`)
	return v
}

// says sends a command and checks the beginning of its reply.
func (v *visitor) says(command, want string) {
	v.t.Helper()
	if err := v.conn.WriteMessage(websocket.TextMessage, []byte(command)); err != nil {
		v.t.Fatal(err)
	}
	v.hears(want)
}

// hears checks the beginning of the next message, or how the connection is closed.
func (v *visitor) hears(want string) {
	v.t.Helper()
	_ = v.conn.SetReadDeadline(time.Now().Add(patience))
	_, text, err := v.conn.ReadMessage()
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		text, err = fmt.Appendf(nil, "closed %d %s", closed.Code, closed.Text), nil
	}
	if err != nil || !strings.HasPrefix(string(text), want) {
		v.t.Fatalf("heard %s, %v; want %s", text, err, want)
	}
}

// TestNodes: the API of one server acts on the clients of all.
func TestNodes(t *testing.T) {
	w := &wire{handle: map[string]func([]byte){}}
	a, b, c := startNode(t, w, "a"), startNode(t, w, "b"), startNode(t, w, "c")
	for end := time.Now().Add(patience); a.nodes() != "a b c" || b.nodes() != "b a c"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nodes %q", a.nodes())
		}
	}
	onA, onB, nobody := a.visit("42"), b.visit("42"), c.visit("")
	all := []*visitor{onA, onB}

	for _, v := range append(all, nobody) {
		v.says(`{"id":2,"subscribe":{"channel":"news"}}`, `{"id":2,"subscribe":{`)
	}
	nobody.says(`{"id":3,"subscribe":{"channel":"other"}}`, `{"id":3,"subscribe":{`)
	if got := a.api("channels", `{"pattern":"n*"}`); got != `{"result":{"channels":{"news":{"num_clients":3}}}}` {
		t.Errorf("channels: %s", got)
	}
	if got := a.api("channels", `{"pattern":"["}`); got != `{"error":{"code":100,"message":"internal server error"}}` {
		t.Errorf("bad pattern: %s", got)
	}
	for _, order := range []struct{ method, params, hear string }{
		{"subscribe", `{"user":"42","channel":"kept:1","data":{"d":1}}`, `{"push":{"channel":"kept:1","subscribe":{"recoverable":true,`},
		{"unsubscribe", `{"user":"42","channel":"news"}`, `{"push":{"channel":"news","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}`},
		{"refresh", `{"user":"42","expire_at":9999999999}`, `{"push":{"refresh":{"expires":true,`},
		{"disconnect", `{"user":"42","disconnect":{"code":4001,"reason":"bye"}}`, `closed 4001 bye`},
	} {
		if got := a.api(order.method, order.params); got != `{"result":{}}` {
			t.Errorf("%s: %s", order.method, got)
		}
		for _, v := range all {
			v.hears(order.hear)
		}
	}
	a.api("disconnect", `{"user":""}`)
	nobody.hears("closed 3503 force disconnect")

	req, _ := http.NewRequest("GET", "http://"+b.Addr().String()+"/metrics", nil)
	if got := b.body(req); !strings.Contains(got, "\ncentrifugo_node_num_nodes 3\n") {
		t.Errorf("metrics: %s", got)
	}
	c.stop()
	if got := a.nodes(); got != "a b" {
		t.Errorf("after one has gone: nodes %q", got)
	}
}

// nodes are the names of those in info.
func (r *running) nodes() string {
	r.t.Helper()
	var info struct {
		Result struct{ Nodes []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(r.api("info", "{}")), &info); err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, n := range info.Result.Nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, " ")
}

// TestAlone: a server without a bus is a cluster of one.
func TestAlone(t *testing.T) {
	a := startNode(t, nil, "a")
	v := a.visit("42")
	v.says(`{"id":2,"subscribe":{"channel":"news"}}`, `{"id":2,"subscribe":{`)
	if got := a.api("channels", `{"pattern":"n*"}`); got != `{"result":{"channels":{"news":{"num_clients":1}}}}` {
		t.Errorf("channels: %s", got)
	}
	if got := a.nodes(); got != "a" {
		t.Errorf("nodes %q", got)
	}
	a.api("disconnect", `{"user":"42"}`)
	v.hears("closed 3503 force disconnect")
}
