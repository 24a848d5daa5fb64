package unigrpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"stentor/codec/wire"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server/pipetest"
)

// house is a node with a gRPC port.
type house struct {
	*pipetest.House
	t      testing.TB
	server *Server
	addr   string
	cert   *tls.Certificate // nil: clear text
}

func memory(n engine.Node) pipetest.Engine { return memengine.New(memengine.Config{Stripes: 1}, n) }

// open runs a house until the end of the test, when no goroutine may be left of it.
func open(t testing.TB, c pipetest.Config, change func(*Config)) *house {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
	})
	c.Engine = memory
	h := &house{House: pipetest.Open(t, c), t: t}
	cfg := Config{Node: h.Node, Pipes: h.Pipes, Gate: h.Gate, Sockets: h.Reactor.Guests(), Log: h.Log}
	if change != nil {
		change(&cfg)
	}
	if cfg.TLS != nil {
		h.cert = &cfg.TLS.Certificates[0]
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	h.server = New(cfg)
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		h.server.Stop(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return h
}

// certificate makes one for 127.0.0.1 that signs itself.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// dial makes a client of the library.
func (h *house) dial(options ...grpc.DialOption) *grpc.ClientConn {
	return h.dialTo(h.addr, options...)
}

func (h *house) dialTo(addr string, options ...grpc.DialOption) *grpc.ClientConn {
	h.t.Helper()
	creds := insecure.NewCredentials()
	if h.cert != nil {
		roots := x509.NewCertPool()
		roots.AddCert(h.cert.Leaf)
		creds = credentials.NewTLS(&tls.Config{RootCAs: roots})
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
