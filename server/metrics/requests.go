package metrics

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// requests counts HTTP requests. Its zero value is ready.
type requests struct {
	mu     sync.Mutex
	counts map[request]uint64
}

type request struct {
	path, method string
	status       int
}

// methodNames are the HTTP methods that become labels; a client may invent others.
var methodNames = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions}

// Instrument counts what next answers, under path, which is what the handler is mounted at: never what a client asked for.
// Handlers that take the conn over must be reached without it.
func (m *Metrics) Instrument(path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r)
		method := r.Method
		if !slices.Contains(methodNames, method) {
			method = "other"
		}
		m.requests.mu.Lock()
		defer m.requests.mu.Unlock()
		if m.requests.counts == nil {
			m.requests.counts = make(map[request]uint64)
		}
		m.requests.counts[request{path, strings.ToLower(method), status.status}]++
	})
}

func (r *requests) write(p *page) {
	r.mu.Lock()
	counts := maps.Clone(r.counts)
	r.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b request) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		if c := strings.Compare(a.method, b.method); c != 0 {
			return c
		}
		return a.status - b.status
	})
	for _, k := range keys {
		p.counter("centrifugo_node_incoming_http_requests_total",
			`path=`+quoteLabel(k.path)+`,method="`+k.method+`",status="`+utoa(uint64(k.status))+`"`, counts[k])
	}
}

// statusWriter remembers the status of a response.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the response below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
