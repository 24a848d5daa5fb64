package server

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"

	"stentor/reactor/loop"
	"stentor/server/api"
	"stentor/server/channel"
	"stentor/server/config"
	"stentor/server/metrics"
)

// apiHandler is the HTTP mouth of the server API.
func (s *Server) apiHandler() http.Handler {
	c := &s.cfg.HTTPAPI
	s.api = api.New(api.Config{
		Protocol: "http",
		Broker:   s.engines.Broker,
		Presence: s.engines.Presence,
		Clients:  clients{s.node},
		Node:     s,
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

// Channels are the channels of this node that match and their numbers of subscribers (api.Node).
func (s *Server) Channels(_ context.Context, pattern string) (map[string]int, error) {
	match, err := api.CompilePattern(pattern)
	if err != nil {
		return nil, err
	}
	found := make(map[string]int)
	s.node.Table.Channels(func(name string, subscribers int) {
		if match(name) {
			found[name] = subscribers
		}
	})
	return found, nil
}

// Info describes this node (api.Node).
func (s *Server) Info() []api.NodeInfo {
	g := s.gauges()
	return []api.NodeInfo{{
		UID:         s.uid,
		Name:        s.name,
		Version:     s.version,
		NumClients:  uint32(g.Clients),
		NumUsers:    uint32(g.Users),
		NumSubs:     uint32(g.Subscriptions),
		NumChannels: uint32(g.Channels),
		Uptime:      uint32(time.Since(s.started).Seconds()),
	}}
}

// watch shows the metrics where to read.
func (s *Server) watch() {
	s.metrics.WatchNode(s.gauges)
	s.metrics.WatchReactor(s.reactorGauges)
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
	g := metrics.NodeGauges{Users: s.node.Users.Count(), Clients: s.node.Clients(), Nodes: 1}
	g.Channels, g.Subscriptions = s.node.Table.Count()
	return g
}

func (s *Server) reactorGauges() metrics.ReactorGauges {
	st := s.reactor.Stats()
	g := metrics.ReactorGauges{
		LagBound:    loop.LagBound,
		QueuedBytes: st.QueuedBytes,
		Accepted:    st.Accepted,
		HTTPConns:   st.HTTPConns,
		Refused: map[string]uint64{
			"max_connections":      st.RefusedConns,
			"http_max_connections": st.RefusedHTTP,
			"request_head":         st.BadHeads,
			"head_timeout":         st.HeadTimeouts,
			"upgrade":              st.BadUpgrades,
		},
		Dropped: map[string]uint64{"drop_oldest": st.DroppedOldest, "latest": st.DroppedStale},
	}
	if s.endpoint != nil {
		g.Refused["origin"], g.Refused["connection_limit"], g.Refused["connection_limit_per_ip"] = s.endpoint.Refused()
	}
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
