package unigrpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"stentor/codec/wire"
	"stentor/server/pipetest"
)

// house is a node with a gRPC port.
type house struct {
	*pipetest.House
	t      testing.TB
	server *Server
	addr   string
	roots  *x509.CertPool // that clients trust; nil: clear text
}

// open runs a house until the end of the test.
func open(t testing.TB, c pipetest.Config, change func(*Config)) *house {
	t.Helper()
	h := &house{House: pipetest.Open(t, c), t: t}
	cfg := Config{Node: h.Node, Pipes: h.Pipes, Gate: h.Gate, Sockets: h.Reactor.Guests(), Log: h.Log}
	if change != nil {
		change(&cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	h.server = New(cfg)
	h.Serve(func() error { return h.server.Serve(l) }, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		h.server.Stop(ctx)
	})
	return h
}

// dial makes a client of the library.
func (h *house) dial(options ...grpc.DialOption) *grpc.ClientConn {
	return h.dialTo(h.addr, options...)
}

func (h *house) dialTo(addr string, options ...grpc.DialOption) *grpc.ClientConn {
	h.t.Helper()
	creds := insecure.NewCredentials()
	if h.roots != nil {
		creds = credentials.NewTLS(&tls.Config{RootCAs: h.roots})
	}
	cc, err := grpc.NewClient(addr, append(options, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { cc.Close() })
	return cc
}

// stream is a call of Consume.
type stream struct {
	grpc.ClientStream
	h      *house
	cancel context.CancelFunc
}

func (h *house) begin(cc *grpc.ClientConn, ctx context.Context) *stream {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, pipetest.WaitMax)
	h.t.Cleanup(cancel)
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+ServiceName+"/"+MethodName)
	if err != nil {
		h.t.Fatal(err)
	}
	return &stream{s, h, cancel}
}

// consume begins a call with a request that subscribes to channels.
func (h *house) consume(cc *grpc.ClientConn, req *wire.ConnectRequest, channels ...string) *stream {
	h.t.Helper()
	s := h.begin(cc, h.t.Context())
	if req == nil {
		req = &wire.ConnectRequest{}
	}
	for _, c := range channels {
		if req.Subs == nil {
			req.Subs = map[string]*wire.SubscribeRequest{}
		}
		req.Subs[c] = &wire.SubscribeRequest{}
	}
	if err := s.SendMsg(req); err != nil {
		h.t.Fatal(err)
	}
	if err := s.CloseSend(); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// next is the next push that is no ping.
func (s *stream) next() *wire.Push {
	s.h.t.Helper()
	for {
		var p wire.Push
		if err := s.RecvMsg(&p); err != nil {
			s.h.t.Fatalf("receive: %v", err)
		}
		if p.SizeVT() > 0 {
			return &p
		}
	}
}

// expectConnect reads the first push.
func (s *stream) expectConnect() *wire.Connect {
	s.h.t.Helper()
	c := s.next().Connect
	if c == nil || c.Client == "" {
		s.h.t.Fatalf("the first push is not one of connect: %v", c)
	}
	return c
}

// expectPub reads a publication.
func (s *stream) expectPub(channel, data string) {
	s.h.t.Helper()
	p := s.next()
	if p.Channel != channel || p.Pub == nil || string(p.Pub.Data) != data {
		s.h.t.Fatalf("got %v, want %s in %s", p, data, channel)
	}
}

// expectDisconnect reads the last push, and the end.
func (s *stream) expectDisconnect(code uint32) {
	s.h.t.Helper()
	if d := s.next().Disconnect; d == nil || d.Code != code {
		s.h.t.Fatalf("got %v, want disconnect %d", d, code)
	}
	s.expectStatus(codes.OK)
}

// expectStatus reads the end.
func (s *stream) expectStatus(want codes.Code) {
	s.h.t.Helper()
	var p wire.Push
	err := s.RecvMsg(&p)
	if err == nil {
		s.h.t.Fatalf("got %v, want the end", &p)
	}
	if err.Error() == "EOF" {
		err = nil
	}
	if got := status.Code(err); got != want {
		s.h.t.Fatalf("ended with %v (%v), want %v", got, err, want)
	}
}
