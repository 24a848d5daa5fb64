package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// trust is what a client of server needs for TLS; nil without it.
func trust(server *httptest.Server) *tls.Config {
	if server.TLS == nil {
		return nil
	}
	return server.Client().Transport.(*http.Transport).TLSClientConfig
}

func TestLine(t *testing.T) {
	a := &api{}
	plain, secured := httptest.NewServer(a), httptest.NewTLSServer(a)
	defer plain.Close()
	defer secured.Close()
	ctx := context.Background()
	for _, c := range []struct {
		server *httptest.Server
		fresh  bool
	}{{plain, false}, {plain, true}, {secured, false}, {secured, true}} {
		server, fresh := c.server, c.fresh
		l, err := NewLine(server.URL+"/api", "secret", trust(server))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.Fresh = fresh
		many := make([]string, 500) // their answer is long enough to come in chunks
		for i := range many {
			many[i] = "news"
		}
		for _, c := range []struct {
			method string
			body   func(channels []string) ([]byte, error)
			want   int
		}{
			{"publish", func(c []string) ([]byte, error) { return Body(c[0], []byte("1")) }, 1},
			{"batch", func(c []string) ([]byte, error) { return BatchBody(c, []byte("2")) }, 500},
			{"broadcast", func(c []string) ([]byte, error) { return BroadcastBody(c, []byte("3")) }, 500},
		} {
			a.data = nil
			body, err := c.body(many)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // on the same conn, unless fresh
				if err := l.Call(ctx, c.method, body); err != nil {
					t.Fatalf("%s: %v", c.method, err)
				}
			}
			if len(a.data) != 2*c.want {
				t.Errorf("%s: published %d", c.method, len(a.data))
			}
			full, err := c.body(append(many[:1:1], "full"))
			if err != nil {
				t.Fatal(err)
			}
			if c.method == "publish" {
				full, _ = Body("full", []byte("1"))
			}
			var refused *Error
			if err := l.Call(ctx, c.method, full); !errors.As(err, &refused) || refused.Code != 100 {
				t.Errorf("%s to a full channel: %v", c.method, err)
			}
		}
	}
}

func TestLineErrors(t *testing.T) {
	short := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")
		conn.Close()
	}))
	defer short.Close()
	server := httptest.NewServer(&api{})
	defer server.Close()
	for _, c := range []struct{ url, key, says string }{
		{server.URL + "/api", "wrong", "http_api.key"},
		{server.URL + "/other", "secret", "--api-url"},
		{"http://127.0.0.1:1", "secret", "refused"},
	} {
		l, err := NewLine(c.url, c.key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Call(context.Background(), "publish", []byte("{}")); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.url, err)
		}
		l.Close()
	}
	if _, err := NewLine("ftp://example.org", "", nil); err == nil {
		t.Error("ftp was taken")
	}
}

func FuzzFirstError(f *testing.F) {
	f.Add([]byte(`{"replies":[{"publish":{}},{"error":{"code":100,"message":"x"}}]}`))
	f.Add([]byte(`{"error"`))
	f.Fuzz(func(t *testing.T, b []byte) { _ = firstError(b) })
}
