package unigrpc

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Sockets counts connections among those of the node (reactor.Guests).
type Sockets interface {
	EnterSocket() bool
	LeaveSocket()
}

// stuckMax is how many streams of a connection may have been given up because their client did not read them. What gRPC holds of such a
// stream, 64 KiB, it holds as long as the connection lasts.
const stuckMax = 4

// listener accepts connections that are counted, and can be found from their calls.
type listener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.server.enterConn() {
			return &conn{Conn: c, server: l.server}, nil
		}
		_ = c.Close()
	}
}

func (s *Server) enterConn() bool {
	if s.conns.Add(1) > int64(s.cfg.ClientsMax) {
		s.conns.Add(-1)
		s.refused.Add(1)
		return false
	}
	if !s.cfg.Sockets.EnterSocket() {
		s.conns.Add(-1)
		return false
	}
	return true
}

func (s *Server) leaveConn() {
	s.conns.Add(-1)
	s.cfg.Sockets.LeaveSocket()
}

// conn is a connection. It is also its own remote address, which is all of it that a call sees.
type conn struct {
	net.Conn
	server *Server
	once   sync.Once
	stuck  atomic.Int32

	mu      sync.Mutex
	reading int   // requests that are not whole
	unread  int64 // bytes that have come for them
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return (*address)(c) }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(c.server.leaveConn)
	return c.Conn.Close()
}

// Write implements net.Conn. A client that takes nothing is gone, however much it sends: gRPC itself would wait for it.
func (c *conn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close() // gRPC would go on reading
	}
	return n, err
}

// errTooMuch ends a connection.
var errTooMuch = errors.New("too much of requests that are not whole")

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.came(int64(n)) {
		c.server.refused.Add(1)
		_ = c.Close()
		return 0, errTooMuch
	}
	return n, err
}

// requestBytesSmall is how much a connection may send of requests that are not whole, whatever others do.
const requestBytesSmall = 64 << 10

// came counts bytes that have come. GRPC keeps what it has of a request until that is whole, and each may be large. All connections
// together may have so much of that under way; then those end that bring more than requestBytesSmall. It reports false for such a one.
func (c *conn) came(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading == 0 {
		return true
	}
	c.unread += n
	return c.server.unread.Add(n) <= c.server.cfg.RequestsBytesMax || c.unread <= requestBytesSmall
}

// begin notes that a call waits for its request.
func (c *conn) begin() {
	c.mu.Lock()
	c.reading++
	c.mu.Unlock()
}

// finish notes that it has it, so many bytes, or will not get it.
func (c *conn) finish(size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	given := min(int64(size), c.unread)
	if c.reading--; c.reading == 0 {
		given = c.unread
	}
	c.unread -= given
	c.server.unread.Add(-given)
}

// giveUp notes that a stream has been given up, and ends the connection when there are too many.
func (c *conn) giveUp() {
	if c.stuck.Add(1) > stuckMax {
		_ = c.Close()
	}
}

// address is the remote address of a conn.
type address conn

// Network implements net.Addr.
func (a *address) Network() string { return a.Conn.RemoteAddr().Network() }

// String implements net.Addr.
func (a *address) String() string { return a.Conn.RemoteAddr().String() }
