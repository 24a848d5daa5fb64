package bare

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"stentor/bench/pipe"
	"stentor/codec/ws"
)

// TestMain lets the test binary be the child process that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		if err := Work(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestWriterWritesToAll(t *testing.T) {
	for _, via := range []Via{Write, Uring} {
		t.Run(string(via), func(t *testing.T) {
			if via == Uring {
				if err := UringRefusal(); err != nil {
					t.Skip(err)
				}
			}
			writesToAll(t, via)
		})
	}
}

func writesToAll(t *testing.T, via Via) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	self, err := pipe.Self("bare")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Start(ctx, self, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", w.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	if err := w.Accept(ctx, len(conns), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	// Large enough that a socket fills up and the writer has to wait for its reader.
	frame := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	result := make(chan error, 1)
	var sent Sent
	go func() {
		s, err := w.Send(ctx, via, []byte("head"), frame)
		sent = s
		result <- err
	}()
	for i, c := range conns {
		got := make([]byte, 4+len(frame))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatalf("conn %d: %v", i, err)
		}
		if string(got[:4]) != "head" || !bytes.Equal(got[4:], frame) {
			t.Errorf("conn %d got other bytes", i)
		}
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if sent.Writes != 6 || sent.Waits == 0 {
		t.Errorf("%+v", sent)
	}
	if cpu, err := w.CPU(); err != nil || cpu <= 0 {
		t.Errorf("cpu %v %v", cpu, err)
	}
	if err := w.Accept(ctx, 4, 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "3 of 4") {
		t.Errorf("waiting for a receiver that does not come: %v", err)
	}
}

func TestWriterNoticesAReceiverThatLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	self, err := pipe.Self("bare")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Start(ctx, self, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c, err := net.Dial("tcp", w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Accept(ctx, 1, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	c.Close()
	for ctx.Err() == nil {
		if _, err = w.Send(ctx, Write, []byte("x")); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "write") {
		t.Errorf("error %v", err)
	}
}

func TestStartWithBadThreads(t *testing.T) {
	self, err := pipe.Self("bare")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), self, 0); err == nil {
		t.Error("no threads were taken")
	}
}

func TestUpgradeAndEcho(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	self, err := pipe.Self("bare")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Start(ctx, self, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 { // Listen forgets what was before
		if err := f.Listen(ctx); err != nil {
			t.Fatal(err)
		}
		const clients = 3
		upgraded := make(chan error, 1)
		go func() { upgraded <- f.Upgrade(ctx, clients, 10*time.Second) }()
		var conns []net.Conn
		for range clients {
			conns = append(conns, upgrade(t, f.Addr))
		}
		if err := <-upgraded; err != nil {
			t.Fatal(err)
		}
		pinged := make(chan int, clients)
		for _, c := range conns {
			go answer(c, pinged)
		}
		if err := f.Echo(ctx, Echo{Ping: []byte("ping"), PongBytes: 4, Pings: 20, Span: 50 * time.Millisecond, Tick: 10 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		for _, c := range conns {
			c.Close()
		}
		sum := 0
		for range clients {
			sum += <-pinged
		}
		if sum != 20 {
			t.Errorf("%d pings", sum)
		}
	}
	if err := f.Echo(ctx, Echo{}); err == nil {
		t.Error("pings of nothing were taken")
	}
}

// upgrade dials and speaks as a client of the generator does.
func upgrade(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	request := ws.ClientRequest{Host: "test", Target: "/", Key: ws.NewKey()}
	if _, err := c.Write(request.Append(nil)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1024)
	n, err := c.Read(head)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := ws.ParseUpgradeResponse(head[:n], request.Key); !ok || err != nil {
		t.Fatalf("%q: %v", head[:n], err)
	}
	return c
}

// answer writes back whatever comes, and says how many times four bytes came.
func answer(c net.Conn, pinged chan<- int) {
	b, sum := make([]byte, 1024), 0
	for {
		n, err := c.Read(b)
		if err != nil {
			pinged <- sum / 4
			return
		}
		sum += n
		_, _ = c.Write(b[:n])
	}
}

func FuzzFindKey(f *testing.F) {
	request := ws.ClientRequest{Host: "test", Target: "/", Key: ws.NewKey()}
	f.Add(request.Append(nil))
	f.Add([]byte("Sec-WebSocket-Key: \r\n\r\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if key, ok := FindKey(head); ok && len(key) != 24 {
			t.Errorf("key %q", key)
		}
	})
}
