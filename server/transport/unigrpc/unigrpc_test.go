package unigrpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"stentor/codec"
	"stentor/codec/wire"
	"stentor/server/certs/certtest"
	"stentor/server/config"
	"stentor/server/pipetest"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
)

// TestConsume: a client hears what happens in its channels until either side has had enough.
func TestConsume(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			ca := certtest.New(t)
			h := open(t, pipetest.Config{}, func(c *Config) {
				if secure {
					c.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, certtest.Leaf{}).TLS}}
				}
			})
			if secure {
				h.roots = ca.Pool
			}
			cc := h.dial()
			a, b := h.consume(cc, nil, "news", "sport"), h.consume(cc, nil, "news")
			c := a.expectConnect()
			if c.Ping != 25 || c.Pong || c.Version != "test" || len(c.Subs) != 2 || c.Session == "" {
				t.Errorf("connect: %v", c)
			}
			b.expectConnect()
			h.Publish("news", `{"n":1}`)
			h.Publish("news", `{"n":3}`)
			a.expectPub("news", `{"n":1}`)
			a.expectPub("news", `{"n":3}`)
			h.Publish("sport", `{"n":2}`)
			a.expectPub("sport", `{"n":2}`)
			b.expectPub("news", `{"n":1}`)
			b.expectPub("news", `{"n":3}`)
			b.cancel()
			h.Eventually("one client is gone", func() bool { return h.Node.Clients() == 1 })
			h.Disconnect(codec.DisconnectForceReconnect)
			a.expectDisconnect(3011)
			if n := h.Ended(3011); n != 1 {
				t.Errorf("%d clients were counted out with 3011", n)
			}
		})
	}
}

// TestDisconnects: what is wrong with a client is said in the stream.
func TestDisconnects(t *testing.T) {
	h := open(t, pipetest.Config{Config: func(c *config.Config) {
		c.Client.Insecure = false
		c.Client.Token.HMACSecretKey = "secret"
	}}, nil)
	cc := h.dial()
	h.consume(cc, &wire.ConnectRequest{Token: "nonsense"}).expectDisconnect(3500)
	h.consume(cc, nil).expectDisconnect(3501)
	h.Draining.Store(true)
	h.consume(cc, &wire.ConnectRequest{Token: "nonsense"}).expectDisconnect(3001)
}

// TestStatuses: what is no client of the protocol is answered by gRPC.
func TestStatuses(t *testing.T) {
	h := open(t, pipetest.Config{
		Gate:  func(c *gate.Config) { c.ConnectionsMax = 2 },
		Pipes: func(c *pipe.Config) { c.ConnsMax = 1 },
	}, func(c *Config) { c.MessageBytesMax, c.RequestTimeout = 1000, 200*time.Millisecond })
	cc := h.dial()

	s := h.begin(cc, t.Context())
	_ = s.CloseSend()
	s.expectStatus(codes.Internal) // gRPC's own word for a call without its request

	h.begin(cc, t.Context()).expectStatus(codes.Canceled) // the request does not come

	h.consume(cc, &wire.ConnectRequest{Data: make([]byte, 2000)}).expectStatus(codes.ResourceExhausted)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	raw, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+ServiceName+"/"+MethodName, grpc.ForceCodecV2(encoded{}))
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.SendMsg(&message{bytes: []byte("\x0a\xffnonsense")})
	_ = raw.CloseSend()
	if err := raw.RecvMsg(new([]byte)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("nonsense: %v", err)
	}

	one := h.consume(cc, nil)
	one.expectConnect()
	h.consume(cc, nil).expectStatus(codes.ResourceExhausted)
	one.cancel()

	if err := cc.Invoke(t.Context(), "/"+ServiceName+"/Other", &wire.ConnectRequest{}, &wire.Push{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("another method: %v", err)
	}
}

// TestUserHeader: the metadata of a trusted proxy names the user.
func TestUserHeader(t *testing.T) {
	h := open(t, pipetest.Config{Config: func(c *config.Config) { c.Client.Insecure, c.Client.UserIDHTTPHeader = false, "X-User" }}, nil)
	s := h.begin(h.dial(), metadata.AppendToOutgoingContext(t.Context(), "x-user", "42"))
	if err := s.SendMsg(&wire.ConnectRequest{}); err != nil {
		t.Fatal(err)
	}
	s.expectConnect()
	if n := len(h.Node.Users.Sessions(nil, "42")); n != 1 {
		t.Errorf("%d sessions of the user", n)
	}
	s.cancel()
}

// TestPings: pings are empty pushes.
func TestPings(t *testing.T) {
	h := open(t, pipetest.Config{Config: func(c *config.Config) {
		c.Client.PingInterval, c.Client.PongTimeout = config.Duration(300*time.Millisecond), config.Duration(100*time.Millisecond)
	}}, nil)
	s := h.consume(h.dial(), nil)
	s.expectConnect()
	for range 3 {
		var p wire.Push
		if err := s.RecvMsg(&p); err != nil || p.SizeVT() != 0 {
			t.Fatalf("%v (%v), want a ping", &p, err)
		}
	}
	s.cancel()
}

// TestSlow: a client that does not read is ended, and nobody else has to wait for it. A connection on which that happens again and
// again is ended, too, for the memory that gRPC keeps of such streams.
func TestSlow(t *testing.T) {
	h := open(t, pipetest.Config{Pipes: func(c *pipe.Config) {
		c.QueueBytesMax, c.WriteTimeout, c.CloseTimeout = 64<<10, 300*time.Millisecond, 300*time.Millisecond
	}}, nil)
	good := h.consume(h.dial(), nil, "news")
	good.expectConnect()
	cc := h.dial()
	other := h.consume(cc, nil, "quiet")
	other.expectConnect()
	data := `"` + strings.Repeat("x", 10_000) + `"`
	for range stuckMax + 1 {
		slow := h.consume(cc, nil, "news")
		slow.expectConnect()
		clients := h.Node.Clients()
		h.Eventually("the slow one is gone", func() bool {
			h.Publish("news", data)
			good.expectPub("news", data)
			return h.Node.Clients() < clients
		})
	}
	if s := h.Reactor.Stats(); s.Slow+s.WriteErrors < stuckMax+1 {
		t.Errorf("%d slow clients are counted and %d write errors", s.Slow, s.WriteErrors)
	}
	other.expectStatus(codes.Unavailable)
	h.Publish("news", data)
	good.expectPub("news", data)
	good.cancel()
}

// cut is a proxy that forwards until it is told to say nothing more, without closing anything.
type cut struct {
	net.Listener
	to    string
	quiet atomic.Bool
	all   sync.WaitGroup
}

func (c *cut) run(t *testing.T) {
	c.all.Go(func() {
		for {
			a, err := c.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", c.to)
			if err != nil {
				t.Error(err)
				return
			}
			forward := func(to, from net.Conn) {
				defer to.Close()
				buf := make([]byte, 4096)
				for {
					n, err := from.Read(buf)
					if err != nil {
						return
					}
					if !c.quiet.Load() {
						_, _ = to.Write(buf[:n])
					}
				}
			}
			c.all.Go(func() { forward(a, b) })
			c.all.Go(func() { forward(b, a) })
		}
	})
	t.Cleanup(func() { c.Close(); c.all.Wait() })
}

// TestKeepalive: a client that has gone without a word is found out.
func TestKeepalive(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.KeepaliveTime, c.KeepaliveTimeout = time.Second, time.Second })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cut{Listener: l, to: h.addr}
	c.run(t)
	cc := h.dialTo(l.Addr().String())
	s := h.consume(cc, nil)
	s.expectConnect()
	c.quiet.Store(true)
	h.Eventually("the server misses the client", func() bool { return h.Node.Clients() == 0 })
	s.cancel()
	cc.Close()
}

// TestDrain: all are told, then the port closes, and those who do not leave are cut off.
func TestDrain(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	s := h.consume(h.dial(), nil)
	s.expectConnect()
	h.Draining.Store(true)
	h.Disconnect(codec.DisconnectShutdown)
	s.expectDisconnect(3001)
	stubborn := h.begin(h.dial(), t.Context()) // never sends its request
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	h.server.Stop(ctx)
	stubborn.expectStatus(codes.Unavailable)
}

// TestGarbage: what is not HTTP/2 gets no further than its connection.
func TestGarbage(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.HandshakeTimeout = 300 * time.Millisecond })
	for _, s := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x00\x05hello", strings.Repeat("x", 100_000), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 1000)} {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(pipetest.WaitMax))
		_, _ = c.Write([]byte(s))
		_, _ = io.Copy(io.Discard, c) // until it is closed
		c.Close()
	}
	s := h.consume(h.dial(), nil)
	s.expectConnect()
	s.cancel()
}

// TestSockets: the connections take places among all, and give them back.
func TestSockets(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	cc := h.dial()
	s := h.consume(cc, nil)
	s.expectConnect()
	if n := h.Reactor.Stats().Conns; n != 2 { // its socket, and its place as a client
		t.Errorf("%d places are taken", n)
	}
	s.cancel()
	cc.Close()
	h.Eventually("the places are free", func() bool { return h.Reactor.Stats().Conns == 0 })
}

// TestMany: a thousand streams, what they cost, and that all of them get everything in order.
func TestMany(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	const conns, streams, messages = 5, 200, 10
	before := pipetest.Measure()
	var all []*stream
	for range conns {
		cc := h.dial()
		for range streams {
			all = append(all, h.consume(cc, nil, "news"))
		}
	}
	for _, s := range all {
		s.expectConnect()
	}
	t.Logf("a stream, client and server together: %s", pipetest.Measure().Each(conns*streams, before))
	for n := range messages {
		h.Publish("news", fmt.Sprint(n))
	}
	var reading sync.WaitGroup
	for _, s := range all {
		reading.Go(func() {
			for n := range messages {
				var p wire.Push
				if err := s.RecvMsg(&p); err != nil || p.Pub == nil || string(p.Pub.Data) != fmt.Sprint(n) {
					t.Errorf("%v (%v), want %d", &p, err, n)
					return
				}
			}
			s.cancel()
		})
	}
	reading.Wait()
}
