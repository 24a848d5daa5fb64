package stream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
	"stentor/server/hub"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

// anyOrigin lets all pages in but those of one site.
type anyOrigin struct{}

func (anyOrigin) Allowed(origin string) bool { return origin != "https://evil.com" }

func newGate() *gate.Gate {
	return gate.New(gate.Config{Draining: new(atomic.Bool), Log: slog.New(slog.DiscardHandler)}, anyOrigin{})
}

// newNode is a node with one loop that nobody turns.
func newNode() *session.Node {
	loops := []*loop.Loop{loop.New(0, loop.Config{Ring: func() {}})}
	table := hub.NewTable(loops)
	memory := memengine.New(memengine.Config{Stripes: 1}, table)
	n := &session.Node{UID: "here", Loops: loops, Table: table, Broker: memory, Presence: memory, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	n.Start(nil)
	return n
}

// TestEmulationOverHTTP2: what net/http has read is answered in the same way.
func TestEmulationOverHTTP2(t *testing.T) {
	lanes := loop.NewLanes(slog.New(slog.DiscardHandler))
	var asked atomic.Value
	others := NewOthers(OthersConfig{Lanes: lanes, Ask: func(_ context.Context, node string, data []byte) error {
		asked.Store(string(data))
		switch node {
		case "there":
			return nil
		case "panics":
			panic("as the test wants it")
		case "nowhere":
			return ErrNoNode
		}
		return errors.New("no answer")
	}})
	mux := http.NewServeMux()
	mux.Handle("/emulation", NewEmulation(EmulationConfig{Node: newNode(), Gate: newGate(), BodyBytesMax: 100, Others: others}))
	mux.Handle("/init", NewInit(newGate()))
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/emulation", `{"session":"s","node":"here","data":"{}"}`, 204},
		{"POST", "/emulation", `{"session":"s","node":"here","data":1}`, 204},
		{"POST", "/emulation", `{"session":"s","node":"there","data":"a\nb"}`, 204},
		{"POST", "/emulation", `{"session":"s","node":"nowhere","data":"{}"}`, 404},
		{"POST", "/emulation", `{"session":"s","node":"silent","data":"{}"}`, 500},
		{"POST", "/emulation", `{"session":"s","node":"panics","data":"{}"}`, 500},
		{"POST", "/emulation", `{`, 400},
		{"POST", "/emulation", `{"data":"` + strings.Repeat("x", 100) + `"}`, 413},
		{"GET", "/emulation", "", 405},
		{"OPTIONS", "/emulation", "", 204},
		{"GET", "/init", "", 200},
		{"OPTIONS", "/init", "", 204},
		{"PUT", "/init", "", 405},
	} {
		req, err := http.NewRequest(tt.method, s.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://good.com")
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || resp.ProtoMajor != 2 || tt.path == "/init" && tt.status == 200 && string(text) != "{}" {
			t.Errorf("%s %s %s: %s %s %q, want %d", tt.method, tt.path, tt.body, resp.Proto, resp.Status, text, tt.status)
		}
		if resp.Header.Get("Access-Control-Allow-Origin") != "https://good.com" {
			t.Errorf("%s %s %s: a page may not see that", tt.method, tt.path, tt.body)
		}
		if strings.Contains(tt.body, "there") {
			var m codec.EmulationRequest
			if err := codec.DecodeEmulationRequest(codec.Protobuf, []byte(asked.Load().(string)), &m); err != nil || string(m.Data) != `"a\nb"` {
				t.Errorf("passed on: %+v (%v)", m, err)
			}
		}
	}
}

// held is work that is done when the test wants it.
type held struct {
	mu   sync.Mutex
	work []func()
	full bool
}

func (h *held) Do(_ uint64, work func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return false
	}
	h.work = append(h.work, work)
	return true
}

// TestPassingIsBounded: in number and in bytes, and what is done gives its place back.
func TestPassingIsBounded(t *testing.T) {
	for name, tt := range map[string]struct{ size, fit int }{
		"many":  {1, PassingMax},
		"large": {1 << 20, PassingBytesMax>>20 - 1}, // each takes some more than its commands
	} {
		t.Run(name, func(t *testing.T) {
			lanes := new(held)
			o := NewOthers(OthersConfig{Lanes: lanes, Ask: func(context.Context, string, []byte) error { return nil }})
			m := codec.EmulationRequest{Node: "n", Session: "s", Data: make([]byte, tt.size)}
			answered := 0
			for range 2 {
				passed := 0
				for o.pass(codec.Protobuf, &m, func(status int) { answered += status / 204 }) {
					passed++
				}
				if passed != tt.fit {
					t.Errorf("%d are under way, want %d", passed, tt.fit)
				}
				for _, work := range lanes.work {
					work()
				}
				lanes.work = nil
			}
			if answered != 2*tt.fit || o.count.Load() != 0 || o.bytes.Load() != 0 {
				t.Errorf("%d answered; %d with %d bytes are still counted", answered, o.count.Load(), o.bytes.Load())
			}
			lanes.full = true
			if o.pass(codec.Protobuf, &m, func(int) { t.Error("answered") }) || o.count.Load() != 0 || o.bytes.Load() != 0 {
				t.Errorf("what nobody does is counted")
			}
		})
	}
}

func TestAnswerOther(t *testing.T) {
	n := newNode()
	for data, want := range map[string]uint32{
		"\xff": answerMalformed,
		string(codec.AppendEmulationRequest(nil, codec.Protobuf, &codec.EmulationRequest{Session: "made up", Data: []byte(`"{}"`)})): answerNoSession,
	} {
		if code := AnswerOther(n, []byte(data)); code != want {
			t.Errorf("%q: code %d, want %d", data, code, want)
		}
	}
}
