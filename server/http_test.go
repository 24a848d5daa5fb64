package server

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// syncLog is a log that many goroutines write to.
type syncLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestPanicsOfRequests: a request that panics is news, but not as often as anybody likes to send it. One that ends itself is none.
func TestPanicsOfRequests(t *testing.T) {
	log := new(syncLog)
	s := &Server{log: slog.New(slog.NewTextHandler(log, nil))}
	web := s.httpServer(s.surviving(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/broken":
			panic("it broke")
		}
	})))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go web.Serve(l)
	defer web.Close()
	get := func(path string) error {
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get("/abort"); err == nil || log.String() != "" {
		t.Errorf("a request that ended itself: %v\n%s", err, log)
	}
	for range 20 {
		if err := get("/broken"); err == nil {
			t.Error("a request that panics was answered")
		}
	}
	if err := get("/fine"); err != nil {
		t.Errorf("after the panics: %v", err)
	}
	got := log.String()
	if lines := strings.Count(got, "panic in an HTTP request"); lines < 1 || lines > 10 || !strings.Contains(got, "level=ERROR") ||
		!strings.Contains(got, "path=/broken") || !strings.Contains(got, "it broke") || !strings.Contains(got, "http_test.go") {
		t.Errorf("%d lines:\n%s", lines, got)
	}
}
