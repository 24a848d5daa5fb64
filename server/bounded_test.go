package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stentor/server/config"
)

// seats is a number of places.
type seats struct{ taken, most atomic.Int64 }

func (s *seats) EnterSocket() bool {
	if s.taken.Add(1) <= s.most.Load() {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *seats) LeaveSocket() { s.taken.Add(-1) }

// TestBounded: connections are admitted up to the limit, and beyond the free ones as long as there are places; who leaves makes room.
func TestBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	places, log := new(seats), new(syncLog)
	places.most.Store(1)
	b := &bounded{Listener: l, most: 4, free: 2, sockets: places, log: slog.New(slog.NewTextHandler(log, nil)), text: "too many"}
	defer b.Close()
	accepted := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	// dial reports whether the conn was admitted: then it is the next of accepted, else it is cut.
	dial := func() (there net.Conn, ok bool) {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		cut := make(chan struct{})
		go func() {
			defer close(cut)
			_, _ = c.Read(make([]byte, 1))
		}()
		select {
		case there = <-accepted:
			return there, true
		case <-cut:
			return nil, false
		case <-time.After(patience):
			t.Fatal("neither admitted nor cut")
		}
		return nil, false
	}
	var conns []net.Conn
	for i, want := range []bool{true, true, true, false} {
		c, ok := dial()
		if ok != want {
			t.Fatalf("conn %d admitted: %t", i, ok)
		}
		conns = append(conns, c)
	}
	places.most.Store(10)
	if _, ok := dial(); !ok {
		t.Error("there was a place")
	}
	if _, ok := dial(); ok || !strings.Contains(log.String(), "too many") {
		t.Errorf("the limit does not hold; logged %s", log.String())
	}
	conns[2].Close()
	conns[2].Close() // net/http may do it twice
	if _, ok := dial(); !ok {
		t.Error("who left made no room")
	}
	if taken := places.taken.Load(); taken != 2 {
		t.Errorf("%d places taken", taken)
	}
}

// TestInternalPortIsBounded: whoever fills the internal port is cut there, and nobody else notices.
func TestInternalPortIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).Port
	l.Close()
	r := startNodeWith(t, nil, "n", func(c *config.Config) {
		c.HTTPServer.InternalPort, c.Reactor.HTTPMaxConnections, c.Health.Enabled = strconv.Itoa(free), 3, true
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(free))
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		if status, err := health(c); status != 200 {
			t.Fatalf("status %d, %v", status, err)
		}
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if status, err := health(c); err == nil {
		t.Errorf("one too many got status %d", status)
	}
	if resp, err := http.Get("http://" + r.Addr().String() + "/connection/websocket"); err != nil || resp.StatusCode != 400 {
		t.Errorf("clients: %v, %v", resp, err)
	}
	conns[0].Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if status, _ := health(c); status == 200 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("who left made no room")
		}
	}
}

// health asks on a connection, which it leaves open.
func health(c net.Conn) (status int, err error) {
	if _, err := io.WriteString(c, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0, err
	}
	buffer := make([]byte, 4096)
	n, err := c.Read(buffer)
	if err != nil {
		return 0, err
	}
	text, found := strings.CutPrefix(string(buffer[:n]), "HTTP/1.1 ")
	if !found || len(text) < 3 {
		return 0, errors.New("no answer: " + text)
	}
	return strconv.Atoi(text[:3])
}
