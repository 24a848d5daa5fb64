package talk

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server"
	"stentor/server/config"
)

// patience is how long anything may take that will happen in the end.
const patience = 20 * time.Second

const (
	apiKey      = "key-of-the-house"
	tokenSecret = "secret-of-the-house"
)

// house is a running server with all transports.
type house struct {
	t      testing.TB
	addr   string
	server *server.Server
	stop   context.CancelFunc
	ended  chan error

	trust     *tls.Config       // of clients that use TLS
	transport http.RoundTripper // of requests for streams
}

// base is what every house has; the options of a test are merged into it.
const base = `{
	"http_server": {"address": "127.0.0.1"},
	"http_api": {"key": "` + apiKey + `"},
	"prometheus": {"enabled": true},
	"reactor": {"loops": 2},
	"client": {"token": {"hmac_secret_key": "` + tokenSecret + `"}, "allowed_origins": ["https://good.com"]},
	"http_stream": {"enabled": true}, "sse": {"enabled": true}, "init": {"enabled": true},
	"uni_websocket": {"enabled": true}, "uni_sse": {"enabled": true}, "uni_http_stream": {"enabled": true}
}`

// engines makes the engines of a house.
type engines func(n engine.Node, uid string) (server.Engines, error)

func memory(n engine.Node, _ string) (server.Engines, error) {
	e := memengine.New(memengine.Config{}, n)
	return server.Engines{Broker: e, Presence: e, Run: []func(context.Context) error{e.Run}}, nil
}

// open runs a server with options, JSON or "", until the test ends.
func open(t testing.TB, options string) *house { return openWith(t, options, memory) }

func openWith(t testing.TB, options string, e engines) *house {
	t.Helper()
	cfg := configured(t, options)
	cfg.HTTPServer.Port = 0
	log := slog.New(slog.DiscardHandler)
	s, err := server.New(server.Options{Config: cfg, Version: "test", Log: log, OpenEngine: e})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &house{t: t, server: s, stop: stop, ended: make(chan error, 1), transport: http.DefaultTransport}
	go func() { h.ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-h.ended:
		stop()
		t.Fatalf("the server ended: %v", err)
	}
	h.addr = s.Addr().String()
	t.Cleanup(func() {
		stop()
		if err := <-h.ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return h
}

// configured merges options into base.
func configured(t testing.TB, options string) *config.Config {
	t.Helper()
	var tree, more map[string]any
	if err := json.Unmarshal([]byte(base), &tree); err != nil {
		t.Fatal(err)
	}
	if options != "" {
		if err := json.Unmarshal([]byte(options), &more); err != nil {
			t.Fatalf("%v in %s", err, options)
		}
	}
	merge(tree, more)
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{File: file, Env: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

func merge(into, from map[string]any) {
	for key, value := range from {
		inner, isBlock := value.(map[string]any)
		if have, ok := into[key].(map[string]any); ok && isBlock {
			merge(have, inner)
		} else {
			into[key] = value
		}
	}
}

func (h *house) url(path string) string { return "http://" + h.addr + path }

// call calls a method of the server API, which has to succeed.
func (h *house) call(method, body string) string {
	h.t.Helper()
	req, err := http.NewRequest(http.MethodPost, h.url("/api/"+method), strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("X-API-Key", apiKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || strings.Contains(string(answer), `"error"`) {
		h.t.Fatalf("%s: %d %s (%v)", method, resp.StatusCode, answer, err)
	}
	return string(answer)
}

func (h *house) publish(channel, data string) {
	h.t.Helper()
	h.call("publish", fmt.Sprintf(`{"channel":%q,"data":%s}`, channel, data))
}

// sign makes a token of a user. Of its words, "-1s" is when it expires from now, and anything else is claim=JSON.
func sign(t testing.TB, user string, words ...string) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user}
	for _, word := range words {
		if d, err := time.ParseDuration(word); err == nil {
			claims["exp"] = time.Now().Add(d).Unix()
			continue
		}
		name, value, _ := strings.Cut(word, "=")
		claims[name] = json.RawMessage(value)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// clients is how many clients the server API counts.
func (h *house) clients() (n int) {
	h.t.Helper()
	var answer struct {
		Result struct {
			Nodes []struct {
				NumClients int `json:"num_clients"`
			}
		}
	}
	if err := json.Unmarshal([]byte(h.call("info", "{}")), &answer); err != nil {
		h.t.Fatal(err)
	}
	for _, node := range answer.Result.Nodes {
		n += node.NumClients
	}
	return n
}
