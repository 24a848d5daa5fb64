package publish

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// api is a server that notes what it is told. It refuses the channel "full".
type api struct {
	mu       sync.Mutex
	channels []string
	data     []string
}

func (a *api) publish(p Publication) map[string]any {
	if p.Channel == "full" {
		return map[string]any{"error": map[string]any{"code": 100, "message": "internal server error"}}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.channels = append(a.channels, p.Channel)
	a.data = append(a.data, string(p.Data))
	return map[string]any{"result": map[string]any{}}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-API-Key") != "secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var body struct {
		Publication
		Channels []string
		Commands []struct{ Publish Publication }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var answer any
	switch r.URL.Path {
	case "/api/publish":
		answer = a.publish(body.Publication)
	case "/api/broadcast":
		var responses []any
		for _, c := range body.Channels {
			responses = append(responses, a.publish(Publication{c, body.Data}))
		}
		answer = map[string]any{"result": map[string]any{"responses": responses}}
	case "/api/batch":
		var replies []any
		for _, c := range body.Commands {
			reply := a.publish(c.Publish)
			if reply["error"] == nil {
				reply = map[string]any{"publish": map[string]any{}}
			}
			replies = append(replies, reply)
		}
		answer = map[string]any{"replies": replies}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func TestClient(t *testing.T) {
	a := &api{}
	server := httptest.NewServer(a)
	defer server.Close()
	ctx := context.Background()
	c := New(server.URL+"/api/", "secret", nil)
	many := make([]string, BroadcastMax+1)
	for i := range many {
		many[i] = "m"
	}
	data := [][]byte{[]byte("1"), []byte("2"), []byte("3")}

	for _, step := range []struct {
		name     string
		call     func(channel string) error
		data     []string
		anyOrder bool
	}{
		{"one", func(ch string) error { return c.One(ctx, ch, []byte(`{"a":1}`)) }, []string{`{"a":1}`}, false},
		{"batch", func(ch string) error { return c.Batch(ctx, ch, data) }, []string{"1", "2", "3"}, false},
		{"together", func(ch string) error { return c.Together(ctx, ch, data) }, []string{"1", "2", "3"}, true},
		{"broadcast", func(ch string) error { return c.Broadcast(ctx, []string{ch, ch}, []byte("7")) }, []string{"7", "7"}, false},
		{"long broadcast", func(ch string) error {
			many[BroadcastMax] = ch
			return c.Broadcast(ctx, many, []byte("8"))
		}, nil, false},
	} {
		a.channels, a.data = nil, nil
		if err := step.call("news"); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if step.anyOrder {
			slices.Sort(a.data)
		}
		if step.data != nil && !slices.Equal(a.data, step.data) {
			t.Errorf("%s: published %v", step.name, a.data)
		}
		if step.data == nil && len(a.data) != BroadcastMax+1 {
			t.Errorf("%s: published %d", step.name, len(a.data))
		}
		if err := step.call("full"); err == nil || Kind(err) != "100 internal server error" {
			t.Errorf("%s to a full channel: %v (%s)", step.name, err, Kind(err))
		}
	}
}

func TestClientErrors(t *testing.T) {
	server := httptest.NewServer(&api{})
	ctx := context.Background()
	for _, c := range []struct {
		url, key, says, kind string
	}{
		{server.URL + "/api", "wrong", "http_api.key", "HTTP 401"},
		{server.URL + "/other", "secret", "--api-url", "HTTP 404"},
		{"http://127.0.0.1:1", "secret", "refused", "no answer"},
		{"://", "secret", "--api-url", "no answer"},
	} {
		err := New(c.url, c.key, nil).One(ctx, "news", []byte("1"))
		if err == nil || !strings.Contains(err.Error(), c.says) || Kind(err) != c.kind {
			t.Errorf("%s: %v (%s)", c.url, err, Kind(err))
		}
	}
	server.Close()
}
