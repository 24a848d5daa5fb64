package server

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"stentor/reactor/quiet"
)

// sockets counts connections among those of the node (reactor.Guests).
type sockets interface {
	EnterSocket() bool
	LeaveSocket()
}

// Connections of ports that net/http serves by itself. Descriptors must not run out: that would end the loops.
const (
	// freeConns is how many of a port need no place among reactor.max_connections, so that a node that is full can still be looked at.
	// They come out of reactor.DescriptorsKept.
	freeConns = 64
	// challengeConnsMax is for the port where an ACME authority asks by HTTP, which anybody can reach.
	challengeConnsMax = freeConns
)

// bounded is a listener that cuts connections off of which there are too many.
type bounded struct {
	net.Listener
	most    int64 // open at once
	free    int64 // of them without a place
	sockets sockets
	open    atomic.Int64

	log  *slog.Logger
	full quiet.Line
	text string // of the log line when there are more than most
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		n := b.open.Add(1)
		switch {
		case n > b.most:
			b.full.Say(b.log, slog.LevelWarn, b.text, "limit", b.most)
		case n <= b.free:
			return &boundedConn{Conn: c, leave: func() { b.open.Add(-1) }}, nil
		case b.sockets.EnterSocket():
			return &boundedConn{Conn: c, leave: func() { b.sockets.LeaveSocket(); b.open.Add(-1) }}, nil
		}
		b.open.Add(-1)
		_ = c.Close()
	}
}

// boundedConn gives its place back once.
type boundedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
