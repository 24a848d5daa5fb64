package unigrpc

import (
	"net"
	"sync"
	"sync/atomic"
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
	sockets Sockets
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.sockets.EnterSocket() {
			_ = c.Close()
			continue
		}
		return &conn{Conn: c, sockets: l.sockets}, nil
	}
}

// conn is a connection. It is also its own remote address, which is all of it that a call sees.
type conn struct {
	net.Conn
	sockets Sockets
	once    sync.Once
	stuck   atomic.Int32
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return (*address)(c) }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(c.sockets.LeaveSocket)
	return c.Conn.Close()
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
