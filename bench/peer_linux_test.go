package bench

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"
)

// another is a server of the protocol that others have written, with as much of the HTTP API around it as the generator uses.
func another(t *testing.T, secured bool) *httptest.Server {
	t.Helper()
	pings := centrifuge.PingPongConfig{PingInterval: time.Second, PongTimeout: 500 * time.Millisecond}
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		t.Fatal(err)
	}
	kept := centrifuge.WithHistory(100, time.Minute)
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "42"}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(e centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: true, EnablePositioning: true}}, nil)
		})
		c.OnPublish(func(e centrifuge.PublishEvent, answer centrifuge.PublishCallback) {
			answer(centrifuge.PublishReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Shutdown(context.Background()) })
	type publication struct {
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
	}
	publish := func(p publication) map[string]any {
		if _, err := node.Publish(p.Channel, p.Data, kept); err != nil {
			return map[string]any{"error": map[string]any{"code": 100, "message": err.Error()}}
		}
		return map[string]any{}
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{PingPongConfig: pings}))
	mux.Handle("/connection/http_stream", centrifuge.NewHTTPStreamHandler(node, centrifuge.HTTPStreamConfig{PingPongConfig: pings}))
	mux.Handle("/connection/sse", centrifuge.NewSSEHandler(node, centrifuge.SSEConfig{PingPongConfig: pings}))
	mux.Handle("/emulation", centrifuge.NewEmulationHandler(node, centrifuge.EmulationConfig{}))
	mux.HandleFunc("/api/publish", func(w http.ResponseWriter, r *http.Request) {
		var p publication
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"result": publish(p)})
	})
	mux.HandleFunc("/api/batch", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Commands []struct{ Publish publication }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var replies []any
		for _, c := range body.Commands {
			replies = append(replies, map[string]any{"publish": publish(c.Publish)})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"replies": replies})
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of conns that end right after their handshake
	if secured {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// authority is a file with the certificate of a server over TLS.
func authority(t *testing.T, server *httptest.Server) string {
	t.Helper()
	file := t.TempDir() + "/ca.pem"
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAgainstAnother: the generator measures any server of the protocol, with no other option than its address.
func TestAgainstAnother(t *testing.T) {
	server := another(t, false)
	target := "ws" + server.URL[len("http"):] + "/connection/websocket"
	for _, form := range [][]string{nil, {"--protobuf"}} {
		for _, args := range [][]string{
			{"idlesub", "--clients", "50", "--settle", "100ms"},
			{"fanout", "--subscribers", "50", "--pace", "delivered", "--publications", "20"},
			{"many", "--subscribers", "50", "--rate", "50", "--duration", "1s", "--pace", "rate"},
			{"recover", "--clients", "20", "--per-channel", "5", "--rounds", "2", "--away", "10ms"},
			{"connect", "--clients", "50", "--rounds", "2"},
		} {
			r, said, err := executeAt(t, target, append(args, form...)...)
			if err != nil || r == nil {
				t.Errorf("%q: %v\n%s", args, err, said)
			}
		}
	}
}

// TestOverOtherTransports does likewise over what another server has besides, plain and over TLS.
func TestOverOtherTransports(t *testing.T) {
	for _, c := range []struct {
		transport []string
		secured   bool
	}{
		{[]string{"--transport", "http_stream"}, false},
		{[]string{"--transport", "http_stream", "--protobuf"}, true},
		{[]string{"--transport", "sse"}, false},
		{[]string{"--transport", "sse"}, true},
		{[]string{"--transport", "websocket"}, true},
	} {
		t.Run(fmt.Sprintf("%v TLS=%v", c.transport, c.secured), func(t *testing.T) {
			t.Parallel() // they wait more than they work
			server := another(t, c.secured)
			if c.secured {
				c.transport = append(c.transport, "--ca", authority(t, server), "--server-name", "example.com")
			}
			overAnother(t, server.URL, c.transport)
		})
	}
}

// overAnother takes the scenarios over one transport.
func overAnother(t *testing.T, target string, transport []string) {
	for _, args := range [][]string{
		{"idlesub", "--clients", "50", "--settle", "1300ms"}, // beyond a ping that must be answered
		{"fanout", "--subscribers", "50", "--pace", "delivered", "--publications", "20"},
		{"recover", "--clients", "20", "--per-channel", "5", "--rounds", "2", "--away", "10ms"},
		{"recover", "--clients", "20", "--per-channel", "5", "--rounds", "1", "--away", "10ms", "--pipeline", "none"},
		{"mixed", "--subscribers", "20", "--requesters", "20", "--request", "publish", "--rounds", "1", "--phase", "500ms", "--rate", "5"},
		{"connect", "--clients", "50", "--rounds", "1"},
	} {
		r, said, err := executeAt(t, target, append(args, transport...)...)
		if err != nil || r == nil {
			t.Errorf("%q: %v\n%s", args, err, said)
			continue
		}
		if !strings.HasPrefix(r.Over, transport[1]) || strings.Contains(r.Over, "TLS") != strings.HasPrefix(target, "https") {
			t.Errorf("%q: over %q", args, r.Over)
		}
		if faults := r.Count("faults"); len(faults) > 0 {
			t.Errorf("%q: %v", args, faults)
		}
		if args[0] == "idlesub" && metric(t, r, "pings answered") < 50 {
			t.Errorf("%v pings", metric(t, r, "pings answered"))
		}
		if _, ok := r.Metric("TLS records per delivery"); args[0] == "fanout" && ok != strings.HasPrefix(target, "https") {
			t.Errorf("%q: records %v", args, ok)
		}
	}
}

// TestHandshakesOfOthers: clients over TLS beside handshakes, plain targets refused.
func TestHandshakesOfOthers(t *testing.T) {
	server := another(t, true)
	args := []string{"handshakes", "--subscribers", "20", "--rate", "20", "--handshakes", "50", "--phase", "1s", "--rounds", "2", "--in-flight", "32"}
	r, said, err := executeAt(t, server.URL, append(args, "--insecure", "--tls-version", "1.3", "--pid", strconv.Itoa(os.Getpid()), "--transport", "sse")...)
	if err != nil || r == nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if rate := metric(t, r, "handshakes per second"); rate < 45 || rate > 55 {
		t.Errorf("%v handshakes per second", rate)
	}
	if metric(t, r, "server CPU per handshake") <= 0 || metric(t, r, ratioP99) <= 0 || r.Over != "sse, TLS 1.3" {
		t.Errorf("%s", said)
	}
	curve(t, r, "handshake, from when it was due")
	if _, _, err := executeAt(t, "ws"+server.URL[len("https"):], args...); err == nil || !strings.Contains(err.Error(), "needs TLS") {
		t.Errorf("a plain target: %v", err)
	}
}

// TestWhatTransportsCannot: options that do not go together are refused before anything is started, with what to do about it.
func TestWhatTransportsCannot(t *testing.T) {
	for _, c := range []struct {
		target string
		args   []string
		says   string
	}{
		{"ws://127.0.0.1:1", []string{"mixed", "--transport", "uni_sse"}, "needs a transport in both directions"},
		{"ws://127.0.0.1:1", []string{"presence", "--transport", "uni_websocket"}, "needs a transport in both directions"},
		{"ws://127.0.0.1:1", []string{"soak", "--transport", "uni_http_stream"}, "needs a transport in both directions"},
		{"ws://127.0.0.1:1", []string{"mixed", "--transport", "sse", "--request", "ping"}, "needs --transport websocket"},
		{"ws://127.0.0.1:1", []string{"connect", "--transport", "sse", "--floor"}, "leave out --floor"},
		{"ws://127.0.0.1:1", []string{"ping", "--transport", "sse", "--floor", "--pid", "1"}, "leave out --floor"},
		{"ws://127.0.0.1:1", []string{"idle", "--transport", "pigeon"}, "--transport: \"pigeon\" is not one of websocket"},
		{"ws://127.0.0.1:1", []string{"idle", "--transport", "sse", "--protobuf"}, "carries JSON only"},
		{"ws://127.0.0.1:1/connection/websocket", []string{"idle", "--transport", "sse"}, "is the path of websocket"},
		{"ws://127.0.0.1:1", []string{"idle", "--tls-version", "1.3"}, "need --tls"},
		{"wss://127.0.0.1:1", []string{"idle", "--tls-version", "1.1"}, "not 1.2 or 1.3"},
		{"wss://127.0.0.1:1", []string{"idle", "--ca", "/nowhere"}, "--ca: open /nowhere"},
		{"ftp://127.0.0.1:1", []string{"idle"}, "is not like ws://"},
	} {
		if _, _, err := executeAt(t, c.target, c.args...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %q: %v", c.target, c.args, err)
		}
	}
}
