package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	a := &api{}
	server := httptest.NewServer(a)
	defer server.Close()
	ctx := context.Background()
	for _, fresh := range []bool{false, true} {
		l, err := NewLine(server.URL+"/api", "secret")
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
		l, err := NewLine(c.url, c.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Call(context.Background(), "publish", []byte("{}")); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.url, err)
		}
		l.Close()
	}
	if _, err := NewLine("https://example.org", ""); err == nil {
		t.Error("https was taken")
	}
}

func TestHead(t *testing.T) {
	for _, c := range []struct {
		text string
		want head
		ok   bool
		bad  bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", head{status: 200, length: 5}, true, false},
		{"HTTP/1.1 200 OK\r\ncontent-length:5\r\nConnection: Close\r\n\r\n", head{status: 200, length: 5, close: true}, true, false},
		{"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n", head{status: 503, length: -1, chunked: true}, true, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", head{}, false, false},
		{"HTTP/1.1 200 OK\r\n\r\n", head{}, false, true},
		{"HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\n", head{}, false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", head{}, false, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", head{}, false, true},
		{strings.Repeat("x", headMax), head{}, false, true},
	} {
		var h head
		n, ok, err := h.parse([]byte(c.text))
		if ok != c.ok || (err != nil) != c.bad || ok && (h != c.want || n != strings.Index(c.text, "\r\n\r\n")+4) {
			t.Errorf("%.40q: %+v %d %v %v", c.text, h, n, ok, err)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h head
		n, ok, err := h.parse(b)
		if ok && (err != nil || n > len(b) || h.length < 0 && !h.chunked) {
			t.Fatalf("%+v %d %v", h, n, err)
		}
	})
}

func FuzzFirstError(f *testing.F) {
	f.Add([]byte(`{"replies":[{"publish":{}},{"error":{"code":100,"message":"x"}}]}`))
	f.Add([]byte(`{"error"`))
	f.Fuzz(func(t *testing.T, b []byte) { _ = firstError(b) })
}
