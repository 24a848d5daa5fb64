package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"strings"
	"time"

	"stentor/server/api"
	"stentor/server/config"
	"stentor/server/probe"
	"stentor/server/swagger"
	"stentor/server/try"
)

// Time-outs of plain HTTP requests.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 10 * time.Second
	idleTimeout       = 60 * time.Second
)

// maxHeaderBytes is the largest head of the requests that follow the first on a connection; the first is read by the reactor, which
// has the same limit. Net/http adds 4 KiB.
const maxHeaderBytes = 16 << 10

// listen builds the HTTP servers. What is for backends and operators goes to the internal port if there is one.
func (s *Server) listen() error {
	public, private := http.NewServeMux(), http.NewServeMux()
	internal := public
	h := &s.cfg.HTTPServer
	if h.InternalPort != "" {
		internal = private
	}
	s.mountEndpoints(public)
	s.mountAPI(public, internal)
	s.mountOperations(internal)
	if s.cfg.Dev.Enabled {
		public.Handle("/", try.Handler())
	}
	outside := s.surviving(public)
	external, err := s.listenForHTTP3(outside, s.reactor.AdoptHandler(outside))
	if err != nil {
		return err
	}
	s.external = s.httpServer(external)
	s.external.Protocols.SetUnencryptedHTTP2(h.H2CExternal)
	if err := s.listenForGRPC(); err != nil {
		return err
	}
	if err := s.listenForChallenges(); err != nil || h.InternalPort == "" {
		return err
	}
	address := h.InternalAddress
	if address == "" {
		address = h.Address
	}
	l, err := net.Listen("tcp", net.JoinHostPort(address, h.InternalPort))
	if err != nil {
		return placeInternal.refused(err)
	}
	s.internalListener = &bounded{Listener: l, most: int64(s.cfg.Reactor.HTTPMaxConnections), free: freeConns, sockets: s.reactor.Guests(), log: s.log,
		text: "connections of the internal port are cut off because there are too many; close idle ones, or raise reactor.http_max_connections"}
	s.internal = s.httpServer(s.surviving(private))
	return nil
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           closeAfterChunked(h),
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		Protocols:         protocols(),
		HTTP2:             http2Limits(),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// surviving logs what panics in next. Net/http would say it where it says what clients do wrong, which is for debugging, and HTTP/3 not at all.
func (s *Server) surviving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v != http.ErrAbortHandler {
				s.panics.Say(s.log, slog.LevelError, "panic in an HTTP request; it is not answered", "method", r.Method, "path", r.URL.Path,
					"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler) // ends the request, and no more
		}()
		next.ServeHTTP(w, r)
	})
}

// closeAfterChunked ends a connection after a request with a chunked body. If such a request also has a length, net/http goes by
// the chunks and says nothing, while a proxy in front may go by the length: what follows must not be read as another request. The
// first request of a connection never has both, but net/http alone sees the others.
func closeAfterChunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) mountAPI(public, internal *http.ServeMux) {
	c := &s.cfg.HTTPAPI
	if c.Disabled {
		return
	}
	mux := internal
	if c.External {
		mux = public
	}
	handler := s.apiHandler()
	s.handle(mux, c.HandlerPrefix, handler)
	s.handle(mux, c.HandlerPrefix+"/", handler)
}

func (s *Server) mountOperations(mux *http.ServeMux) {
	if c := &s.cfg.Prometheus; c.Enabled {
		s.handle(mux, c.HandlerPrefix, s.metrics.Handler())
	}
	if c := &s.cfg.Health; c.Enabled {
		s.handle(mux, c.HandlerPrefix, probe.Handler(s.prober.Check))
	}
	if c := &s.cfg.Swagger; c.Enabled {
		prefix := strings.TrimRight(c.HandlerPrefix, "/")
		handler := swagger.Handler(prefix, api.OpenAPI(s.cfg.HTTPAPI.HandlerPrefix, s.version))
		if prefix != "" {
			s.handle(mux, prefix, handler)
		}
		s.handle(mux, prefix+"/", handler)
	}
	if c := &s.cfg.Debug; c.Enabled {
		mountProfiles(mux, c)
	}
}

func (s *Server) handle(mux *http.ServeMux, path string, h http.Handler) {
	if s.cfg.Prometheus.InstrumentHTTPHandlers {
		h = s.metrics.Instrument(path, h)
	}
	mux.Handle(path, h)
}

// mountProfiles serves Go's profiles. A CPU profile takes as long as it is asked to, so it has no time-out.
func mountProfiles(mux *http.ServeMux, c *config.Debug) {
	untimed := func(h http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // an old kind of connection has none to lift
			h(w, r)
		})
	}
	index := http.StripPrefix(c.HandlerPrefix+"/", http.HandlerFunc(profile))
	mux.Handle(c.HandlerPrefix+"/", untimed(index.ServeHTTP))
	mux.Handle(c.HandlerPrefix+"/cmdline", untimed(pprof.Cmdline))
	mux.Handle(c.HandlerPrefix+"/profile", untimed(pprof.Profile))
	mux.Handle(c.HandlerPrefix+"/symbol", untimed(pprof.Symbol))
	mux.Handle(c.HandlerPrefix+"/trace", untimed(pprof.Trace))
}

// profile serves the named profile that is left of the path, or the list of them.
func profile(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "" {
		pprof.Index(w, r)
		return
	}
	pprof.Handler(r.URL.Path).ServeHTTP(w, r)
}
