// Package unigrpc is the gRPC mouth of the client protocol, for clients that only listen (spec: client-protocol, section 1.6): one
// call, Consume, takes a request to connect and answers with a stream of pushes.
//
//	client ── Consume(ConnectRequest) ──► grpc-go ── consume ──► pipe ──► session, on its loop
//	client ◄── Push, Push, … ◄── grpc-go ◄── writer ◄── pipe ◄── frames ──┘
//
// The service has no generated code: pushes come encoded, once for all clients that get them, and go out as they are (codec.go). A
// request that cannot be served is answered with a status; once there is a session, its end is a Disconnect push and status OK.
//
// It listens on a port of its own. All that strangers can have of it is bounded: connections and streams, with those of the whole node
// and by themselves, streams of one connection, the request, the time until it is complete, what all that are not complete take, and how
// long a push may take.
package unigrpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"stentor/codec"
	"stentor/reactor/quiet"
	"stentor/server/metrics"
	"stentor/server/session"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
)

// ServiceName is the service as gRPC names it, MethodName its one method.
const (
	ServiceName = "centrifugal.centrifugo.unistream.CentrifugoUniStream"
	MethodName  = "Consume"
)

// Limits of a connection. Those of its streams together are the pipes'.
const (
	pingsEvery       = 5 * time.Second  // a client that asks more often is sent away
	idleTimeout      = 60 * time.Second // without a stream
	streamsMax       = 256              // at once
	headerBytesMax   = 16 << 10
	windowBytes      = 64 << 10 // of a stream, and of the connection; gRPC itself would let them grow to 16 MiB
	readBufferBytes  = 4 << 10
	writeBufferBytes = 16 << 10
)

// Defaults of Config.
const (
	messageBytesMaxDefault  = 4 << 20
	handshakeTimeoutDefault = 10 * time.Second
	requestTimeoutDefault   = 10 * time.Second
	requestsBytesMaxDefault = 64 << 20
	writeTimeoutDefault     = 10 * time.Second
	clientsMaxDefault       = 16 << 10
	keepaliveTimeDefault    = 25 * time.Second
	keepaliveTimeoutDefault = 5 * time.Second
)

// Config is what a Server needs.
type Config struct {
	Node    *session.Node
	Pipes   *pipe.Pipes
	Gate    *gate.Gate
	Sockets Sockets
	TLS     *tls.Config // nil: clear text

	ClientsMax       int           // connections, and streams, at once; 16,384 if 0
	MessageBytesMax  int           // of a request; 4 MiB if 0
	RequestsBytesMax int64         // of all requests that are not complete; 64 MiB, or 4 × MessageBytesMax if that is more, if 0
	HandshakeTimeout time.Duration // of TLS and HTTP/2; 10 s if 0
	RequestTimeout   time.Duration // until a request is complete; 10 s if 0
	WriteTimeout     time.Duration // for a connection to take anything; 10 s if 0
	KeepaliveTime    time.Duration // without a sign of life until the client is asked for one; 25 s if 0
	KeepaliveTimeout time.Duration // for that; 5 s if 0

	Log *slog.Logger
}

// Server serves Consume. Make it with New.
type Server struct {
	panics quiet.Line // in calls

	cfg  Config
	grpc *grpc.Server

	conns, streams atomic.Int64
	unread         atomic.Int64 // bytes of requests that are not complete
	refused        atomic.Uint64
}

// New makes a server, which serves nobody before Serve.
func New(cfg Config) *Server {
	cfg.MessageBytesMax = cmp.Or(cfg.MessageBytesMax, messageBytesMaxDefault)
	cfg.ClientsMax = cmp.Or(cfg.ClientsMax, clientsMaxDefault)
	cfg.RequestsBytesMax = cmp.Or(cfg.RequestsBytesMax, max(requestsBytesMaxDefault, 4*int64(cfg.MessageBytesMax)))
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, writeTimeoutDefault)
	cfg.HandshakeTimeout = cmp.Or(cfg.HandshakeTimeout, handshakeTimeoutDefault)
	cfg.RequestTimeout = cmp.Or(cfg.RequestTimeout, requestTimeoutDefault)
	cfg.KeepaliveTime = cmp.Or(cfg.KeepaliveTime, keepaliveTimeDefault)
	cfg.KeepaliveTimeout = cmp.Or(cfg.KeepaliveTimeout, keepaliveTimeoutDefault)
	s := &Server{cfg: cfg}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(encoded{}),
		grpc.InTapHandle(cancellable),
		grpc.MaxRecvMsgSize(cfg.MessageBytesMax),
		grpc.MaxConcurrentStreams(streamsMax),
		grpc.MaxHeaderListSize(headerBytesMax),
		grpc.StaticStreamWindowSize(windowBytes),
		grpc.StaticConnWindowSize(windowBytes),
		grpc.ConnectionTimeout(cfg.HandshakeTimeout),
		grpc.ReadBufferSize(readBufferBytes),
		grpc.WriteBufferSize(writeBufferBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:              cfg.KeepaliveTime,
			Timeout:           cfg.KeepaliveTimeout,
			MaxConnectionIdle: idleTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsEvery, PermitWithoutStream: true}),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: ServiceName,
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: MethodName, Handler: s.consume, ServerStreams: true}},
	}, s)
	return s
}

// Serve serves the connections of l until Stop, and closes it.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(listener{l, s}); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Refused is how many connections and calls there were too many, of them, or of their requests.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// Stop lets streams that are ending end until ctx does, and then ends everything.
func (s *Server) Stop(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
}

// consume serves one client. It has the signature of a grpc.StreamHandler.
func (s *Server) consume(_ any, stream grpc.ServerStream) (err error) {
	defer func() {
		if v := recover(); v != nil { // grpc-go would let it end the process
			s.panics.Say(s.cfg.Log, slog.LevelError, "panic in a call; its stream is ended", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	defer s.streams.Add(-1)
	if s.streams.Add(1) > int64(s.cfg.ClientsMax) {
		s.refused.Add(1)
		return status.Error(codes.ResourceExhausted, pipe.ErrFull.Error())
	}
	ctx := stream.Context()
	w := newWriter(stream)
	request, err := w.request(s.cfg.RequestTimeout)
	if err != nil {
		return err
	}
	var connect codec.ConnectRequest
	if err := codec.DecodeConnectRequest(codec.UniProtobuf, request, &connect); err != nil {
		return status.Error(codes.InvalidArgument, "not a ConnectRequest: "+err.Error())
	}
	ticket, ok := s.cfg.Gate.Admit(caller{ctx})
	if !ok {
		return status.Error(codes.ResourceExhausted, gate.Full)
	}
	user := s.cfg.Gate.User(caller{ctx})
	conn, err := s.cfg.Pipes.Open(func(c *pipe.Conn) (pipe.Receiver, func()) { return s.enter(c, &connect, user, ticket) })
	if err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	err = conn.Serve(ctx, w)
	if w.gaveUp {
		connOf(ctx).giveUp()
	}
	return statusOf(ctx, err)
}

// connOf is the connection of a call.
func connOf(ctx context.Context) *conn {
	p, _ := peer.FromContext(ctx)
	return (*conn)(p.Addr.(*address))
}

// enter makes a session, on its loop.
func (s *Server) enter(c *pipe.Conn, connect *codec.ConnectRequest, user string, ticket gate.Ticket) (pipe.Receiver, func()) {
	one := session.New(s.cfg.Node, c, c.Handle(), session.Options{
		Form:       codec.UniProtobuf,
		Transport:  metrics.UniGRPC,
		Version:    session.HTTP2,
		HeaderUser: user,
	})
	c.TellBy(one, codec.UniProtobuf)
	return s.cfg.Gate.Enter(one, ticket), func() {
		if s.cfg.Gate.Draining() {
			one.Order(codec.DisconnectShutdown)
		} else {
			one.ConnectUni(connect)
		}
	}
}

// statusOf says how a stream ended.
func statusOf(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	default:
		return status.Error(codes.Unavailable, err.Error())
	}
}

// caller is who made a call, as the gate asks about it.
type caller struct{ ctx context.Context }

// RemoteAddr implements gate.Peer.
func (c caller) RemoteAddr() string {
	if p, ok := peer.FromContext(c.ctx); ok {
		return p.Addr.String()
	}
	return ""
}

// Header implements gate.Header with the call's metadata.
func (c caller) Header(name string) string {
	for _, v := range metadata.ValueFromIncomingContext(c.ctx, name) {
		return v
	}
	return ""
}

// canceller is where the context of a stream has its end. A write that waits for the client cannot be ended in another way.
type canceller struct{}

// cancellable makes contexts that have one (tap.ServerInHandle).
func cancellable(ctx context.Context, _ *tap.Info) (context.Context, error) {
	ctx, cancel := context.WithCancel(ctx)
	return context.WithValue(ctx, canceller{}, cancel), nil
}
