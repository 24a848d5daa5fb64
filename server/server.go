package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/reactor/quiet"
	"stentor/server/api"
	"stentor/server/auth"
	"stentor/server/certs"
	"stentor/server/channel"
	"stentor/server/cluster"
	"stentor/server/config"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
	"stentor/server/probe"
	"stentor/server/session"
	"stentor/server/transport/gate"
)

// Options is what a Server is made of.
type Options struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	// OpenEngine makes the engines of the node with this uid; what they have to say goes to the node.
	OpenEngine func(node engine.Node, uid string) (Engines, error)
	// QueueTotalBytesMax bounds what all clients together may have waiting, when the configuration does not say.
	QueueTotalBytesMax int64
}

// Engines are what a node stands on. One engine may play several of the parts.
type Engines struct {
	Broker   engine.Broker
	Presence engine.Presence
	Bus      engine.Bus // nil: there are no other nodes
	// Gauges is the state of brokers on other machines; nil if there are none.
	Gauges func() []metrics.BrokerGauges
	// Run is what has to run as long as the node does, that of the broker included.
	Run []func(context.Context) error
}

// Server is one node: make it with New, run it once with Run.
type Server struct {
	cfg     *config.Config
	log     *slog.Logger
	version string
	uid     string // of this node

	reactor *reactor.Reactor
	node    *session.Node
	engines Engines
	cluster *cluster.Node
	metrics *metrics.Metrics
	pools   [2]*loop.Pool       // of large replies, of fetches
	lanes   *loop.Lanes         // of work that waits for the engine
	passing *loop.Lanes         // of commands that wait for other nodes
	gate    *gate.Gate          // before all transports
	routes  map[string]endpoint // by path
	others
	certs    *certs.Set
	rules    atomic.Pointer[channel.Rules]
	api      *api.API
	prober   *probe.Prober
	draining atomic.Bool
	panics   quiet.Line // of HTTP requests

	external, internal, challenges *http.Server // internal is nil without internal_port, challenges without ACME over HTTP
	internalListener               net.Listener
	challengesListener             net.Listener
}

// New assembles a server and opens its listeners, so that a port that is taken is known before anything runs.
func New(o Options) (*Server, error) {
	s := &Server{cfg: o.Config, log: o.Log, version: o.Version, uid: newUID()}
	var err error
	if s.certs, err = certs.Open(o.Config, o.Log); err != nil {
		return nil, err
	}
	r, err := reactor.New(s.reactorConfig(o.QueueTotalBytesMax), s)
	if err != nil {
		return nil, err
	}
	s.reactor = r
	s.metrics = metrics.New(metrics.Config{Loops: len(r.Loops()), Version: o.Version})
	s.pools = [2]*loop.Pool{loop.NewPool(o.Log), loop.NewPool(o.Log)}
	s.lanes, s.passing = loop.NewLanes(o.Log), loop.NewLanes(o.Log)
	table := hub.NewTable(r.Loops())
	opened := time.Now()
	table.SetMaxLag(o.Config.Client.ChannelPositionMaxTimeLag.Std(), func() time.Duration { return time.Since(opened) })
	table.Watch(s.metrics)
	if s.engines, err = o.OpenEngine(table, s.uid); err != nil {
		return nil, err
	}
	if !s.engines.Broker.Local() {
		table.Connect(s.engines.Broker)
	}
	s.node = &session.Node{
		UID:      s.uid,
		Settings: session.SettingsOf(o.Config, o.Version),
		Broker:   s.engines.Broker,
		Presence: s.engines.Presence,
		Table:    table,
		Users:    hub.NewUsers(),
		Loops:    r.Loops(),
		Pool:     s.pools[0],
		Fetches:  s.pools[1],
		Lanes:    s.lanes,
		Metrics:  s.metrics,
		Log:      o.Log,
		Now:      time.Now,
	}
	p, origins, err := s.judge(o.Config)
	if err != nil {
		return nil, err
	}
	s.node.Start(p)
	s.prober = probe.New(s.uid, s.engines.Broker, table, r.Loops())
	s.join()
	s.hearOthers()
	s.gate = gate.New(s.gateConfig(), origins)
	s.pipes = newPipes(r, o.Config.Reactor.StreamMaxConnections, o.Config.Client.QueueMaxSize)
	s.routes = s.endpoints()
	s.watch()
	return s, s.listen()
}

func (s *Server) reactorConfig(queueTotal int64) reactor.Config {
	c, h := &s.cfg.Reactor, &s.cfg.HTTPServer
	if c.QueueTotalMax > 0 {
		queueTotal = c.QueueTotalMax
	}
	closeWith := func(d codec.Disconnect) reactor.Close { return reactor.Close{Code: uint16(d.Code), Reason: d.Reason} }
	return reactor.Config{
		Addr:               net.JoinHostPort(h.Address, strconv.Itoa(h.Port)),
		Loops:              c.Loops,
		MaxConns:           c.MaxConnections,
		HTTPConnsMax:       c.HTTPMaxConnections,
		ProxyTrusted:       h.ProxyProtocol.Networks(),
		H2C:                h.H2CExternal,
		TLS:                s.externalTLS(),
		ReadBufferBytes:    c.ReadBufferSize,
		SendBufferBytes:    c.SendBufferSize,
		FlushDelay:         c.FlushDelay.Std(),
		QueueBytesMax:      s.cfg.Client.QueueMaxSize,
		QueueTotalBytesMax: queueTotal,
		Panic:              closeWith(codec.DisconnectServerError),
		Slow:               closeWith(codec.DisconnectSlow),
		WriteError:         closeWith(codec.DisconnectWriteError),
		Closing:            s.countClose,
		Deflate:            deflate(s.cfg),
		Log:                s.log,
	}
}

// countClose counts a close frame with those of its transport.
func (s *Server) countClose(recv reactor.Receiver, code uint16) {
	transport := metrics.WebSocket
	if r, knows := recv.(interface{ Transport() metrics.Transport }); knows {
		transport = r.Transport()
	}
	s.metrics.Close(transport, uint32(code))
}

// deflate is how messages are compressed, on both WebSocket transports if on both. What a message may become is ten times what it may
// be, if nothing else is said.
func deflate(cfg *config.Config) reactor.Deflate {
	w, u := &cfg.WebSocket, &cfg.UniWebSocket
	if !w.Compression && u.Compression {
		return reactor.Deflate{
			Level:            u.CompressionLevel,
			BytesMin:         u.CompressionMinSize,
			InflatedBytesMax: cmp.Or(u.DecompressedMessageSizeLimit, 10*u.MessageSizeLimit),
		}
	}
	return reactor.Deflate{
		Level:            w.CompressionLevel,
		BytesMin:         w.CompressionMinSize,
		InflatedBytesMax: cmp.Or(w.DecompressedMessageSizeLimit, 10*w.MessageSizeLimit),
	}
}

// judge builds all that decides who may do what.
func (s *Server) judge(cfg *config.Config) (*policy.Policy, *auth.Origins, error) {
	rules, err := channel.NewRules(cfg)
	if err != nil {
		return nil, nil, err
	}
	connection, subscription, err := auth.NewVerifiers(cfg)
	if err != nil {
		return nil, nil, err
	}
	origins, err := auth.NewOrigins(cfg.Client.AllowedOrigins, s.log)
	if err != nil {
		return nil, nil, err
	}
	p, err := policy.New(cfg, rules, connection, subscription, s.log)
	if err != nil {
		return nil, nil, err
	}
	s.label(cfg, rules)
	s.rules.Store(rules)
	s.node.Table.SetScope(rules.Scope)
	if rules.AnyDrop() {
		s.node.Table.SetSlow(rules.Slow)
	} else {
		s.node.Table.SetSlow(nil)
	}
	return p, origins, nil
}

// Reload takes the parts of cfg that may change while the server runs: channel options, tokens, origins, and certificates, which are read
// anew from their files. On an error everything stays as it was.
func (s *Server) Reload(cfg *config.Config) error {
	show, err := s.certs.Read(cfg)
	if err != nil {
		return err
	}
	p, origins, err := s.judge(cfg)
	if err != nil {
		return err
	}
	show()
	s.node.SetPolicy(p)
	if s.api != nil {
		s.api.SetRules(s.rules.Load())
	}
	s.gate.SetOrigins(origins)
	return nil
}

// Route decides about a request head on the public port (reactor.Router). Whatever is not for a real-time endpoint goes to
// net/http.
func (s *Server) Route(h *reactor.Head) reactor.Verdict {
	if e := s.routes[h.Path]; e != nil {
		return e.Route(h)
	}
	return reactor.Verdict{Kind: reactor.HandOff}
}

// Addr is where the public port listens.
func (s *Server) Addr() net.Addr { return s.reactor.Addr() }

// TLSAddr is where the port listens that speaks TLS alone, nil if there is none.
func (s *Server) TLSAddr() net.Addr { return s.reactor.TLSAddr() }

// ChallengesAddr is where an ACME authority may ask over HTTP, nil if it may not.
func (s *Server) ChallengesAddr() net.Addr {
	if s.challenges == nil {
		return nil
	}
	return s.challengesListener.Addr()
}

// InternalAddr is where the internal port listens, nil if there is none.
func (s *Server) InternalAddr() net.Addr {
	if s.internal == nil {
		return nil
	}
	return s.internalListener.Addr()
}

// Ready is closed when the server accepts clients.
func (s *Server) Ready() <-chan struct{} { return s.reactor.Ready() }

// Run serves until ctx ends, then drains within shutdown.timeout. It returns nil after an orderly end.
func (s *Server) Run(ctx context.Context) error {
	engineCtx, stopEngine := context.WithCancel(context.Background())
	defer stopEngine()
	ended := make(chan error, 11+len(s.engines.Run))
	run := func(name string, f func() error) {
		go func() {
			// The reactor closes net/http's listener when it ends, and then says itself why.
			if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				ended <- fmt.Errorf("%s: %w", name, err)
			}
		}()
	}
	if a := s.certs.Authority; a != nil {
		a.Preload() // before the reactor: its first handshakes ask for what an earlier run has left
	}
	reactorDone := make(chan struct{})
	run("reactor", func() error { defer close(reactorDone); return s.reactor.Run() })
	run("positions", func() error { return s.node.CheckPositions(engineCtx) })
	run("presence", func() error { return s.node.RefreshPresence(engineCtx) })
	run("channels", func() error { return s.node.Table.Tend(engineCtx) })
	var engines sync.WaitGroup
	for _, work := range s.engines.Run {
		engines.Add(1)
		run("engine", func() error { defer engines.Done(); return work(engineCtx) })
	}
	run("cluster", func() error { s.awaitEngines(engineCtx); return s.cluster.Run(engineCtx) })
	run("http", func() error { return s.external.Serve(s.reactor.HTTPListener()) })
	if s.internal != nil {
		run("internal http", s.serveInternal)
	}
	s.runAuthority(engineCtx, run)
	s.runOthers(run)
	select {
	case err := <-ended:
		s.stop(context.Background())
		return placeOf(&s.cfg.HTTPServer, err).refused(err)
	case <-ctx.Done():
	}
	err := s.shutdown(reactorDone)
	stopEngine()
	s.awaitEnginesEnd(&engines)
	return err
}

// engineStopTimeout is how long engines may take to say their last words to other nodes, and before that to take what clients leave.
const engineStopTimeout = 2 * time.Second

// engineStartTimeout is how long the servers behind an engine have to be reached before it is news that they are not.
const engineStartTimeout = time.Second

// awaitEngines waits for their first connections, which are made while the node starts.
func (s *Server) awaitEngines(ctx context.Context) {
	if s.engines.Gauges == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, engineStartTimeout)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !s.enginesReached() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Server) enginesReached() bool {
	for _, broker := range s.engines.Gauges() {
		for _, server := range broker.Servers {
			if !server.Reachable || !server.Listening {
				return false
			}
		}
	}
	return true
}

func (s *Server) awaitEnginesEnd(engines *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { engines.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(engineStopTimeout):
		s.log.Warn("an engine did not stop in time")
	}
}

// shutdown takes the server down in order: the API answers 503 and newcomers are sent away, clients are closed at a pace, the
// other nodes are told, HTTP requests end, the loops stop last, and then the engine.
func (s *Server) shutdown(reactorDone <-chan struct{}) error {
	timeout := s.cfg.Shutdown.Timeout.Std()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.log.Info("shutting down", "timeout", timeout)
	s.draining.Store(true)
	s.drain(ctx, timeout)
	s.stop(ctx)
	<-reactorDone
	s.log.Info("stopped")
	return nil
}

// httpCloseTimeout is how long requests that are being served may take after the clients have gone.
const httpCloseTimeout = time.Second

func (s *Server) stop(ctx context.Context) {
	s.cluster.Leave(ctx)
	httpCtx, cancel := context.WithTimeout(ctx, httpCloseTimeout)
	defer cancel()
	for _, srv := range []*http.Server{s.external, s.internal, s.challenges} {
		if srv != nil && srv.Shutdown(httpCtx) != nil {
			srv.Close()
		}
	}
	s.stopOthers(httpCtx)
	if err := s.reactor.Stop(ctx); err != nil {
		s.log.Error("loops did not stop in order", "error", err)
	}
	for _, p := range s.pools {
		p.Close()
	}
	lastWords, done := context.WithTimeout(ctx, engineStopTimeout)
	defer done()
	if left := s.lanes.Drain(lastWords); left > 0 {
		s.log.Warn("the engine did not take everything in time; clients that have gone may be shown as present for a while", "left", left)
	}
	s.lanes.Close()
	s.passing.Close()
}
