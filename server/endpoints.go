package server

import (
	"context"
	"errors"
	"net/http"

	"stentor/reactor"
	"stentor/server/cluster"
	"stentor/server/config"
	"stentor/server/transport/gate"
	"stentor/server/transport/nethttp"
	"stentor/server/transport/stream"
	"stentor/server/transport/websocket"
)

// endpoint is where clients connect, on the loops.
type endpoint interface {
	Route(h *reactor.Head) reactor.Verdict
}

// endpoints are those of the configuration, by path. The table never changes.
func (s *Server) endpoints() map[string]endpoint {
	c := s.cfg
	all := map[string]endpoint{}
	if !c.WebSocket.Disabled {
		all[c.WebSocket.HandlerPrefix] = websocket.New(websocket.Config{
			Node:            s.node,
			Gate:            s.gate,
			MessageBytesMax: c.WebSocket.MessageSizeLimit,
			Compression:     c.WebSocket.Compression,
		})
	}
	if u := &c.UniWebSocket; u.Enabled {
		all[u.HandlerPrefix] = websocket.NewUni(websocket.UniConfig{
			Config: websocket.Config{
				Node:            s.node,
				Gate:            s.gate,
				MessageBytesMax: u.MessageSizeLimit,
				Compression:     u.Compression,
			},
			JoinPushes:     u.JoinPushMessages,
			NoDisconnect:   u.DisableDisconnectPush,
			NoClosingFrame: u.DisableClosingHandshake,
		})
	}
	for path, one := range s.streams() {
		all[path] = one
	}
	if c.SSE.Enabled || c.HTTPStream.Enabled {
		all[c.Emulation.HandlerPrefix] = stream.NewEmulation(stream.EmulationConfig{
			Node:         s.node,
			Gate:         s.gate,
			BodyBytesMax: c.Emulation.MaxRequestBodySize,
			Others:       stream.NewOthers(stream.OthersConfig{Ask: s.askOther, Lanes: s.passing}),
		})
	}
	if c.Init.Enabled {
		all[c.Init.HandlerPrefix] = stream.NewInit(s.gate)
	}
	return all
}

// streams are the endpoints whose responses do not end.
func (s *Server) streams() map[string]*stream.Endpoint {
	c := s.cfg
	all := map[string]*stream.Endpoint{}
	for _, one := range []struct {
		on        bool
		path      string
		transport stream.Transport
		bodyMax   int
		refusals  *config.ConnectCodeToHTTPResponse
	}{
		{c.SSE.Enabled, c.SSE.HandlerPrefix, stream.SSE, c.SSE.MaxRequestBodySize, nil},
		{c.HTTPStream.Enabled, c.HTTPStream.HandlerPrefix, stream.HTTPStream, c.HTTPStream.MaxRequestBodySize, nil},
		{c.UniSSE.Enabled, c.UniSSE.HandlerPrefix, stream.UniSSE, c.UniSSE.MaxRequestBodySize, &c.UniSSE.ConnectCodeToHTTPResponse},
		{c.UniHTTPStream.Enabled, c.UniHTTPStream.HandlerPrefix, stream.UniHTTPStream, c.UniHTTPStream.MaxRequestBodySize,
			&c.UniHTTPStream.ConnectCodeToHTTPResponse},
	} {
		if !one.on {
			continue
		}
		cfg := stream.Config{Transport: one.transport, Node: s.node, Gate: s.gate, BodyBytesMax: one.bodyMax}
		if one.refusals != nil {
			cfg.Refusals = stream.NewRefusals(one.refusals)
		}
		all[one.path] = stream.New(cfg)
	}
	return all
}

func (s *Server) gateConfig() gate.Config {
	c := &s.cfg.Client
	return gate.Config{
		ConnectionsMax:  c.ConnectionLimit,
		PerAddressMax:   c.ConnectionLimitPerIP,
		ConnectionsRate: c.ConnectionRateLimit,
		UserIDHeader:    c.UserIDHTTPHeader,
		Draining:        &s.draining,
		Log:             s.log,
	}
}

// mountEndpoints serves what of the endpoints may come by net/http: on HTTP/2, and on HTTP/1.1 where a proxy has sent something else
// before on the same connection and the reactor does not take it back.
func (s *Server) mountEndpoints(mux *http.ServeMux) {
	for path, e := range s.routes {
		switch e := e.(type) {
		case *stream.Endpoint:
			s.handle(mux, path, asWritten(nethttp.New(e, s.pipes)))
		case http.Handler:
			s.handle(mux, path, asWritten(e))
		}
	}
}

// asWritten serves requests whose path needs no unescaping, as the loops do: there is one way to write a path, and what a proxy in
// front forbids is not reached by another.
func asWritten(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawPath != "" {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// passingWorkers is how many commands of other nodes are put into mailboxes at once; nobody waits for what becomes of them.
const passingWorkers = 4

// hearOthers has this node take the commands that other nodes pass on.
func (s *Server) hearOthers() {
	s.cluster.Handle(stream.EmulationOp, passingWorkers, func(_ context.Context, data []byte) (code uint32, answer []byte) {
		return stream.AnswerOther(s.node, data), nil
	})
}

// askOther passes commands on to another node.
func (s *Server) askOther(ctx context.Context, node string, data []byte) error {
	_, err := s.cluster.Ask(ctx, node, stream.EmulationOp, data)
	if errors.Is(err, cluster.ErrUnknownNode) {
		return stream.ErrNoNode
	}
	return err
}
