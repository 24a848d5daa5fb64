package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"

	"stentor/reactor"
	"stentor/server/transport/pipe"
	"stentor/server/transport/unigrpc"
	"stentor/server/transport/webtransport"
)

// others are the transports that have goroutines and ports of their own.
type others struct {
	pipes *pipe.Pipes // for them, and for HTTP/2

	grpc         *unigrpc.Server // nil if it is off
	grpcListener net.Listener

	http3       *webtransport.Server // nil if it is off
	http3Socket net.PacketConn
}

func newPipes(r *reactor.Reactor, connsMax, queueBytesMax int) *pipe.Pipes {
	return pipe.New(pipe.Config{
		Loops:         r.Loops(),
		Guests:        r.Guests(),
		Done:          r.Done(),
		ConnsMax:      connsMax,
		QueueBytesMax: queueBytesMax,
	})
}

// listenForGRPC opens the port of uni_grpc, if that is on.
func (s *Server) listenForGRPC() (err error) {
	c := &s.cfg.UniGRPC
	if !c.Enabled {
		return nil
	}
	if s.grpcListener, err = net.Listen("tcp", net.JoinHostPort(c.Address, strconv.Itoa(c.Port))); err != nil {
		return placeGRPC.refused(err)
	}
	var secure *tls.Config
	if s.certs.UniGRPC != nil {
		secure = s.certs.UniGRPC.Config("h2")
	}
	s.grpc = unigrpc.New(unigrpc.Config{
		Node:            s.node,
		Pipes:           s.pipes,
		Gate:            s.gate,
		Sockets:         s.reactor.Guests(),
		TLS:             secure,
		ClientsMax:      s.cfg.Reactor.StreamMaxConnections,
		MessageBytesMax: c.MaxReceiveMessageSize,
		Log:             s.log,
	})
	return nil
}

// http3Port is the port of HTTP/3: the UDP twin of the one that speaks TLS.
func (s *Server) http3Port() int {
	if h := &s.cfg.HTTPServer; h.TLSPort > 0 {
		return h.TLSPort
	}
	return s.cfg.HTTPServer.Port
}

// listenForHTTP3 opens the port of HTTP/3, if that is on. Whatever is served over HTTP/1.1 and HTTP/2 is served there, too: browsers that
// have been told of it ask there for everything. It returns what tells them, around next.
func (s *Server) listenForHTTP3(public, next http.Handler) (http.Handler, error) {
	h := &s.cfg.HTTPServer
	if !h.HTTP3.Enabled {
		return next, nil
	}
	socket, err := net.ListenPacket("udp", net.JoinHostPort(h.Address, strconv.Itoa(s.http3Port())))
	if err != nil {
		return nil, placeHTTP3.refused(err)
	}
	path := ""
	if s.cfg.WebTransport.Enabled {
		path = s.cfg.WebTransport.HandlerPrefix
	}
	s.http3Socket = socket
	s.http3 = webtransport.New(webtransport.Config{
		Node:            s.node,
		Pipes:           s.pipes,
		Gate:            s.gate,
		Path:            path,
		Handler:         public,
		TLS:             s.certs.External.Config(),
		MessageBytesMax: s.cfg.WebTransport.MessageSizeLimit,
		Log:             s.log,
	})
	return webtransport.Announce(socket.LocalAddr().(*net.UDPAddr).Port, next), nil
}

// runOthers serves their ports, as soon as there are loops for their clients.
func (s *Server) runOthers(run func(name string, f func() error)) {
	ready := func(serve func() error) func() error {
		return func() error {
			select {
			case <-s.Ready():
				return serve()
			case <-s.reactor.Done():
				return nil
			}
		}
	}
	if s.grpc != nil {
		run("uni_grpc", ready(func() error { return s.grpc.Serve(s.grpcListener) }))
	}
	if s.http3 != nil {
		run("HTTP/3", ready(func() error { return s.http3.Serve(s.http3Socket) }))
	}
}

// GRPCAddr is where uni_grpc listens, and HTTP3Addr where HTTP/3 does; nil if they are off.
func (s *Server) GRPCAddr() net.Addr {
	if s.grpc == nil {
		return nil
	}
	return s.grpcListener.Addr()
}

func (s *Server) HTTP3Addr() net.Addr {
	if s.http3 == nil {
		return nil
	}
	return s.http3Socket.LocalAddr()
}

// stopOthers ends what is left of them.
func (s *Server) stopOthers(ctx context.Context) {
	if s.grpc != nil {
		s.grpc.Stop(ctx)
		_ = s.grpcListener.Close() // if it was never served
	}
	if s.http3 != nil {
		s.http3.Stop()
		_ = s.http3Socket.Close()
	}
}
