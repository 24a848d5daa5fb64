package api

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HTTPConfig is what the HTTP mouth of an API is made of.
type HTTPConfig struct {
	// Prefix is the path of the legacy endpoint; each method is below it, under its name.
	Prefix string
	// Key is what requests must name. Empty refuses all of them, unless Insecure takes all of them.
	Key      string
	Insecure bool
	// TransportErrors makes errors HTTP statuses, for all requests. A request can ask for it by itself.
	TransportErrors bool
	// Draining reports that the server is about to stop; nil is never.
	Draining func() bool
	Log      *slog.Logger
}

// HTTP serves an API under its prefix.
type HTTP struct {
	api     *API
	cfg     HTTPConfig
	key     key
	routes  map[string]int // method by path
	large   chan struct{}  // one place for each large body
	keyHint sync.Once
}

// NewHTTP makes the HTTP mouth of a. It serves Prefix and what is below it, and answers 404 to everything else.
func NewHTTP(a *API, cfg HTTPConfig) *HTTP {
	cfg.Prefix = strings.TrimRight(cfg.Prefix, "/")
	h := &HTTP{
		api:    a,
		cfg:    cfg,
		key:    newKey(cfg.Key),
		routes: map[string]int{cfg.Prefix: methodNone},
		large:  make(chan struct{}, largeMax),
	}
	if cfg.Prefix == "" {
		h.routes = map[string]int{"/": methodNone}
	}
	for m := range numMethods {
		h.routes[cfg.Prefix+"/"+methods[m].name] = m
	}
	return h
}

// ServeHTTP answers one request.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, known := h.routes[r.URL.Path]
	switch {
	case !known:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case !h.allowed(r):
		w.WriteHeader(http.StatusUnauthorized)
		return
	case h.cfg.Draining != nil && h.cfg.Draining():
		w.Header().Set("Connection", "close") // the next request should find another server
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	b, ok := h.read(w, r)
	if !ok {
		return
	}
	defer b.done()
	if m == methodNone {
		h.serveLegacy(w, r, b.text())
		return
	}
	h.serveMethod(w, r, m, b.text())
}

func (h *HTTP) allowed(r *http.Request) bool {
	if h.cfg.Insecure {
		return true
	}
	if !h.key.set {
		h.keyHint.Do(func() {
			h.cfg.Log.Warn("API requests are refused with 401 because http_api.key is empty: set it and send it as the header X-API-Key," +
				" or set http_api.insecure for development")
		})
		return false
	}
	return h.key.opens(r)
}

// serveMethod runs one method with the body as its request.
func (h *HTTP) serveMethod(w http.ResponseWriter, r *http.Request, m int, text string) {
	began := time.Now()
	result, err, fault := h.api.run(r.Context(), m, text)
	if fault != nil {
		h.refuse(w, methods[m].name, fault)
		return
	}
	out := getBuffer()
	defer putBuffer(out)
	status, fault := h.appendAnswer(out, r, m, result, err)
	if fault != nil {
		h.unwritten(methods[m].name, fault)
		httpError(w, http.StatusInternalServerError)
		return
	}
	extend(w, began)
	write(w, status, *out)
}

// Times of slow requests. A survey of the nodes may take as long as net/http gives to a whole response, and its answer would not be
// written any more.
const (
	// slowRequest is when the work on a request has taken so long that the writing of its response gets time of its own.
	slowRequest = 100 * time.Millisecond
	// responseTimeout is that time.
	responseTimeout = 10 * time.Second
)

// extend gives the response to a request whose work began then time to be written.
func extend(w http.ResponseWriter, began time.Time) {
	if now := time.Now(); now.Sub(began) > slowRequest {
		_ = http.NewResponseController(w).SetWriteDeadline(now.Add(responseTimeout)) // some writers have no deadline at all
	}
}

// appendAnswer appends the body of a response, and tells its status. A batch is not wrapped.
func (h *HTTP) appendAnswer(out *[]byte, r *http.Request, m int, result any, err *Error) (status int, fault error) {
	switch {
	case err != nil && h.transportErrors(r):
		return err.status(), appendJSON(out, err)
	case err == nil && m == methodBatch:
		return http.StatusOK, appendJSON(out, result)
	}
	fault = appendOutcome(out, "{", result, err)
	appendText(out, "}")
	return http.StatusOK, fault
}

// appendOutcome appends a result or an error under its name, behind prefix.
func appendOutcome(out *[]byte, prefix string, result any, err *Error) error {
	appendText(out, prefix)
	if err != nil {
		appendText(out, `"error":`)
		return appendJSON(out, err)
	}
	appendText(out, `"result":`)
	return appendJSON(out, result)
}

func (h *HTTP) transportErrors(r *http.Request) bool {
	return h.cfg.TransportErrors || r.Header.Get("X-Centrifugo-Error-Mode") == "transport"
}

// unwritten logs a result that could not be written as JSON.
func (h *HTTP) unwritten(method string, fault error) {
	h.api.failures.Say(h.cfg.Log, slog.LevelError, "encoding an API response failed", "method", method, "error", fault)
}

// refuse answers a body that is not the JSON of a request.
func (h *HTTP) refuse(w http.ResponseWriter, method string, fault error) {
	h.cfg.Log.Debug("bad API request: the body is no JSON of a request", "method", method, "error", describe(fault))
	httpError(w, http.StatusBadRequest)
}

// httpError answers with the name of a status as text.
func httpError(w http.ResponseWriter, status int) {
	http.Error(w, http.StatusText(status), status)
}

// jsonType is shared by all responses: nobody writes to it.
var jsonType = []string{"application/json"}

func write(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = jsonType
	if len(body) > 2<<10 { // net/http counts small ones by itself
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone: nobody is left to tell
}
