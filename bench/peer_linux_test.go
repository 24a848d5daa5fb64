package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"
)

// another is a server of the protocol that others have written, with as much of the HTTP API around it as the generator uses.
func another(t *testing.T) *httptest.Server {
	t.Helper()
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
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
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
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// TestAgainstAnother: the generator measures any server of the protocol, with no other option than its address.
func TestAgainstAnother(t *testing.T) {
	server := another(t)
	target := "ws" + server.URL[len("http"):] + "/connection/websocket"
	for _, form := range [][]string{nil, {"--protobuf"}} {
		for _, args := range [][]string{
			{"idlesub", "--clients", "50", "--settle", "100ms"},
			{"fanout", "--subscribers", "50", "--pace", "delivered", "--publications", "20"},
			{"many", "--subscribers", "50", "--rate", "50", "--duration", "1s", "--pace", "rate"},
			{"recover", "--clients", "20", "--per-channel", "5", "--rounds", "2", "--away", "10ms"},
			{"connect", "--clients", "50", "--rounds", "2"},
		} {
			r, log, err := executeAt(t, target, append(args, form...)...)
			if err != nil || r == nil {
				t.Errorf("%q: %v\n%s", args, err, log)
			}
		}
	}
}
