package unigrpc

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stentor/codec/wire"
	"stentor/server/pipetest"
	"stentor/server/transport/pipe"
)

// deaf is a connection whose owner reads nothing any more once it is told, and goes on to write.
type deaf struct {
	net.Conn
	quit <-chan struct{}
	end  sync.Once
	gone chan struct{}
}

func (d *deaf) Read(b []byte) (int, error) {
	select {
	case <-d.quit:
		<-d.gone
		return 0, net.ErrClosed
	default:
		return d.Conn.Read(b)
	}
}

func (d *deaf) Close() error {
	d.end.Do(func() { close(d.gone) })
	return d.Conn.Close()
}

// TestDeaf: a client that reads nothing from its connection, for which it has let us send without limit, does not keep it, even if the
// server hears of it all the time.
func TestDeaf(t *testing.T) {
	h := open(t, pipetest.Config{Pipes: func(c *pipe.Config) {
		c.WriteTimeout, c.CloseTimeout = 300*time.Millisecond, 300*time.Millisecond
	}}, func(c *Config) { c.WriteTimeout, c.KeepaliveTime = 300*time.Millisecond, time.Hour }) // as if it sent a sign of life now and then
	quit := make(chan struct{})
	cc := h.dial(grpc.WithInitialWindowSize(1<<30), grpc.WithInitialConnWindowSize(1<<30), grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		return &deaf{Conn: c, quit: quit, gone: make(chan struct{})}, err
	}))
	s := h.consume(cc, nil, "news")
	s.expectConnect()
	close(quit)
	data := `"` + strings.Repeat("x", 100_000) + `"`
	h.Eventually("the client is gone", func() bool {
		h.Publish("news", data)
		return h.Node.Clients() == 0
	})
	h.Eventually("its connection is gone", func() bool { return h.Reactor.Stats().Conns == 0 })
	cc.Close()
}

// TestUnfinishedRequests: what has come of requests that are not complete is bounded, for all connections together. Who has little of it
// goes on.
func TestUnfinishedRequests(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.RequestsBytesMax = 100_000 })
	begin := func(cc *grpc.ClientConn) grpc.ClientStream { // one that says itself when its request is complete
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), pipetest.WaitMax)
		t.Cleanup(cancel)
		s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+ServiceName+"/"+MethodName)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	request := &wire.ConnectRequest{Data: []byte(`"` + strings.Repeat("x", 50_000) + `"`)}
	modest, greedy := h.dial(), h.dial()
	one := begin(modest)
	h.Eventually("a call has begun", func() bool { return h.server.streams.Load() == 1 })
	_ = one.SendMsg(request)
	h.Eventually("the request has come", func() bool { return h.server.unread.Load() > 50_000 })
	var many []grpc.ClientStream
	for range 4 {
		many = append(many, begin(greedy))
	}
	for _, s := range many {
		_ = s.SendMsg(request)
	}
	for _, s := range many {
		if err := s.RecvMsg(new(wire.Push)); status.Code(err) != codes.Unavailable {
			t.Errorf("%v for who sends too much", err)
		}
	}
	if n := h.server.Refused(); n != 1 {
		t.Errorf("%d were counted as refused", n)
	}
	_ = one.CloseSend()
	var push wire.Push
	if err := one.RecvMsg(&push); err != nil || push.Connect == nil {
		t.Errorf("%v (%v) for who has sent little", &push, err)
	}
	h.Eventually("nothing is under way", func() bool { return h.server.unread.Load() == 0 })
	modest.Close()
}

// TestClientsMax: more connections, or more calls, than there may be clients are refused.
func TestClientsMax(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.ClientsMax = 2 })
	cc := h.dial()
	one := h.consume(cc, nil)
	one.expectConnect()
	silent := h.begin(cc, t.Context())
	h.Eventually("two calls are under way", func() bool { return h.server.streams.Load() == 2 })
	h.consume(cc, nil).expectStatus(codes.ResourceExhausted)
	silent.cancel()
	h.Eventually("a place comes free", func() bool { return h.server.streams.Load() == 1 })
	two := h.consume(cc, nil)
	two.expectConnect()

	other, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	h.Eventually("another connection is there", func() bool { return h.server.conns.Load() == 2 })
	third, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	_ = third.SetReadDeadline(time.Now().Add(pipetest.WaitMax))
	if _, err := third.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a third connection is served: %v", err)
	}
	one.cancel()
	two.cancel()
}
