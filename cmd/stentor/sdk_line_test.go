package main

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// line is a TCP proxy between a client and the server, which a test cuts. scripts/e2e/line.mjs is its twin.
type line struct {
	url    string // http://127.0.0.1:port
	server string // host:port

	fromServer, toServer atomic.Int64 // bytes

	flow  sync.RWMutex // locked while nothing gets through
	delay atomic.Int64 // of every piece, in nanoseconds

	mu    sync.Mutex
	dead  bool
	conns []net.Conn // of both sides
}

// newLine makes a line to the server at url.
func newLine(t *testing.T, url string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{url: "http://" + l.Addr().String(), server: strings.TrimPrefix(url, "http://")}
	t.Cleanup(func() {
		l.Close()
		n.cut()
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go n.join(client)
		}
	}()
	return n
}

// join connects a client with the server until one of them, or the test, ends it.
func (n *line) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", n.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !n.enter(client, server) {
		return
	}
	go func() {
		defer client.Close()
		defer server.Close()
		io.Copy(counted{server, n, &n.toServer}, client)
	}()
	io.Copy(counted{client, n, &n.fromServer}, server)
}

// enter reports that the line is not cut, and notes what a cut has to close.
func (n *line) enter(conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.dead {
		n.conns = append(n.conns, conns...)
	}
	return !n.dead
}

// cut breaks all connections, and those that come, until mend.
func (n *line) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = true
	for _, c := range n.conns {
		if c, ok := c.(*net.TCPConn); ok {
			c.SetLinger(0) // a reset, as of a router that has forgotten the connection
		}
		c.Close()
	}
	n.conns = nil
}

// mend lets clients through again.
func (n *line) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = false
}

// stall keeps everything back, and nobody hears of it, until flows.
func (n *line) stall() { n.flow.Lock() }

func (n *line) flows() { n.flow.Unlock() }

// counted counts what is written to a conn.
type counted struct {
	net.Conn
	line *line
	n    *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	if d := c.line.delay.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	c.line.flow.RLock()
	defer c.line.flow.RUnlock()
	c.n.Add(int64(len(b)))
	return c.Conn.Write(b)
}
