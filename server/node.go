package server

import (
	"net/http"
	"os"
	"strconv"

	"github.com/google/uuid"

	"stentor/reactor"
	"stentor/reactor/loop"
	"stentor/server/api"
	"stentor/server/channel"
	"stentor/server/cluster"
	"stentor/server/config"
	"stentor/server/metrics"
	"stentor/server/probe"
)

// apiHandler is the HTTP mouth of the server API.
func (s *Server) apiHandler() http.Handler {
	c := &s.cfg.HTTPAPI
	s.api = api.New(api.Config{
		Protocol: "http",
		Broker:   s.engines.Broker,
		Presence: s.engines.Presence,
		Clients:  s.cluster.Clients(),
		Node:     s.cluster,
		Metrics:  s.metrics,
		Log:      s.log,

		QueueBytesMax: s.cfg.Client.QueueMaxSize,
	}, s.rules.Load())
	return api.NewHTTP(s.api, api.HTTPConfig{
		Prefix:          c.HandlerPrefix,
		Key:             c.Key,
		Insecure:        c.Insecure,
		TransportErrors: c.ErrorMode == "transport",
		Draining:        s.draining.Load,
		Log:             s.log,
	})
}

// join makes this node a part of its cluster.
func (s *Server) join() {
	s.cluster = cluster.New(cluster.Config{
		UID:             s.uid,
		Name:            nodeName(s.cfg.Node.Name, s.cfg.HTTPServer.Port),
		Version:         s.version,
		Bus:             s.engines.Bus,
		Local:           alone{s},
		Clients:         clients{node: s.node},
		Sessions:        clients{node: s.node, foreign: true},
		Rules:           s.rules.Load,
		Metrics:         s.metrics,
		MetricsInterval: s.cfg.Node.InfoMetricsAggregateInterval.Std(),
		Log:             s.log,
	})
}

// alone is this node without the others (cluster.Local).
type alone struct{ s *Server }

// Gauges is how much there is here.
func (a alone) Gauges() metrics.NodeGauges {
	n := a.s.node
	g := metrics.NodeGauges{Users: n.Users.Count(), Clients: n.Clients()}
	g.Channels, g.Subscriptions = n.Table.Count()
	return g
}

// Channels are the channels here that match and their numbers of subscribers.
func (a alone) Channels(match func(channel string) bool) map[string]int {
	found := make(map[string]int)
	a.s.node.Table.Channels(func(name string, subscribers int) {
		if !probe.Own(name) && match(name) {
			found[name] = subscribers
		}
	})
	return found
}

// watch shows the metrics where to read.
func (s *Server) watch() {
	s.metrics.WatchNode(s.gauges)
	s.metrics.WatchReactor(s.reactorGauges)
	if s.engines.Gauges != nil {
		s.metrics.WatchBrokers(s.engines.Gauges)
	}
}

// label has the metrics tell the namespaces of rules apart, if that is wanted.
func (s *Server) label(cfg *config.Config, rules *channel.Rules) {
	if !cfg.Prometheus.Enabled || !cfg.Prometheus.ChannelNamespaces {
		return
	}
	s.metrics.TellApart(rules.Namespace, rules.Namespaces())
	rules.SetLabels(func(namespace string) uint16 { return uint16(s.metrics.Namespace(namespace)) })
}

func (s *Server) gauges() metrics.NodeGauges {
	g := alone{s}.Gauges()
	g.Nodes = s.cluster.Count()
	return g
}

func (s *Server) reactorGauges() metrics.ReactorGauges {
	st := s.reactor.Stats()
	g := metrics.ReactorGauges{
		LagBound:    loop.LagBound,
		QueuedBytes: st.QueuedBytes,
		Accepted:    st.Accepted,
		HTTPConns:   st.HTTPConns,
		HandedOff:   st.HandedOff,
		Adopted:     st.Adopted,
		Refused: map[string]uint64{
			"max_connections":      st.RefusedConns,
			"http_max_connections": st.RefusedHTTP,
			"request_head":         st.BadHeads,
			"head_timeout":         st.HeadTimeouts,
			"proxy_header":         st.BadProxyHeaders,
			"upgrade":              st.BadUpgrades,

			"stream_max_connections": s.pipes.Refused(),
		},
		Dropped: map[string]uint64{"drop_oldest": st.DroppedOldest, "latest": st.DroppedStale},
	}
	if s.certs.External != nil {
		g.TLS = tlsGauges(&st)
		g.Refused["tls_plain"], g.Refused["tls_hello"], g.Refused["tls_hello_timeout"] = st.PlainOnTLS, st.BadHellos, st.HelloTimeouts
	}
	if s.grpc != nil {
		g.Refused["stream_max_connections"] += s.grpc.Refused()
	}
	if s.http3 != nil {
		g.Refused["http3_connections"] = s.http3.Refused()
	}
	g.Refused["origin"], g.Refused["connection_limit"], g.Refused["connection_limit_per_ip"] = s.gate.Refused()
	for _, l := range st.Loops {
		counts, sum := l.Lag.Read()
		g.Loops = append(g.Loops, metrics.LoopGauges{
			Conns:     l.Conns,
			MailItems: l.MailItems,
			MailBytes: l.MailBytes,
			LagCounts: counts[:],
			LagSum:    sum,
		})
	}
	if len(g.Loops) > 0 {
		g.Loops[0].Stalls = st.Stalls
	}
	return g
}

func tlsGauges(st *reactor.Stats) *metrics.TLSGauges {
	return &metrics.TLSGauges{
		Conns:       map[string]int{"1.2": st.TLS12, "1.3": st.TLS13},
		Handshaking: st.Handshaking,
		Handshakes: map[string]uint64{
			"ok":      st.HandshakesDone,
			"failed":  st.HandshakesFailed - min(st.HandshakesFailed, st.HandshakesEvicted),
			"evicted": st.HandshakesEvicted,
			"refused": st.HandshakesRefused,
		},
		Broken: st.TLSBroken,
	}
}

func newUID() string { return uuid.NewString() }

// nodeName is the configured name, or host and port.
func nodeName(configured string, port int) string {
	if configured != "" {
		return configured
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + "_" + strconv.Itoa(port)
}

// Loops is how many event loops there are.
func (s *Server) Loops() int { return len(s.node.Loops) }

// MaxConnections is where newcomers are refused.
func (s *Server) MaxConnections() int { return s.reactor.Stats().ConnsMax }
