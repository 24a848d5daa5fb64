package reactor

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// handedOff is a socket on its way to net/http, with the bytes that were read from it.
type handedOff struct {
	fd      int
	conn    net.Conn // instead of fd: it was not on a loop
	read    []byte
	secured *tls.Conn      // over it; nil without TLS
	told    netip.AddrPort // whose it is, if a balancer has told
}

// errGone is for a socket that has been reset on its way. It has no peer any more, which neither net/http's HTTP/2 nor gnet expects:
// both panic.
var errGone = errors.New("its client has gone")

// close gives the socket up.
func (h *handedOff) close() {
	if h.conn != nil {
		_ = h.conn.Close()
		return
	}
	_ = unix.Close(h.fd)
}

// ended gives the places of a conn back that net/http does not get.
func (h *handedOff) ended(l *httpListener) {
	if h.secured != nil {
		h.secured.NetConn().(*wire).uncount()
	}
	l.ended()
}

// handOff gives the socket to net/http. Only its descriptor is duplicated here; the rest is Accept's work.
func (c *Conn) handOff(read []byte) {
	d := c.driver
	l := d.reactor.http
	if l.conns.Add(1) > int64(d.cfg.HTTPConnsMax) {
		l.conns.Add(-1)
		d.stats.refusedHTTP.Add(1)
		c.refuse(503, "too many HTTP connections\n")
		return
	}
	fd, err := c.gc.Dup()
	if err == nil {
		h := handedOff{fd: fd, read: append([]byte(nil), read...), told: c.told()}
		if s := c.secured(); s != nil {
			h.secured = s.leave()
		}
		c.flags |= flagHandedOff // before the push: from there on the copy is counted by its owner
		if l.push(h) {
			d.stats.handedOff.Add(1)
			c.drain()
			c.hangUp() // closes gnet's descriptor; the connection lives on in the copy
			return
		}
		c.flags &^= flagHandedOff
		_ = unix.Close(fd)
	}
	l.conns.Add(-1)
	c.refuse(503, "not serving HTTP\n")
}

// httpListener is where net/http gets the conns that are handed off.
type httpListener struct {
	reactor *Reactor
	queue   chan handedOff
	conns   atomic.Int64 // handed off and not closed

	mu     sync.Mutex // held while pushing and closing: a closed listener has an empty queue
	closed chan struct{}
}

// HTTPListener has the conns whose requests the router hands off, their first bytes replayed. Give it to http.Server.Serve.
func (r *Reactor) HTTPListener() net.Listener { return r.http }

func newHTTPListener(r *Reactor) *httpListener {
	return &httpListener{reactor: r, queue: make(chan handedOff, r.cfg.HTTPConnsMax), closed: make(chan struct{})}
}

func (l *httpListener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// push never blocks: the queue has room for all conns that are admitted.
func (l *httpListener) push(h handedOff) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() {
		return false
	}
	l.queue <- h
	return true
}

// Accept implements net.Listener.
func (l *httpListener) Accept() (net.Conn, error) {
	for {
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		case h := <-l.queue:
			conn, err := l.open(h)
			if err != nil {
				h.ended(l)
				if err != errGone {
					l.reactor.cfg.Log.Warn("a connection could not be handed to net/http", "error", err)
				}
				continue
			}
			return conn, nil
		}
	}
}

// open makes a conn that begins with what was read.
func (l *httpListener) open(h handedOff) (net.Conn, error) {
	socket := h.conn
	if socket == nil {
		var err error
		if socket, err = fdConn(h.fd); err != nil {
			return nil, err
		}
		if socket.RemoteAddr() == nil {
			_ = socket.Close()
			return nil, errGone
		}
	}
	if h.secured == nil {
		return &httpConn{Conn: socket, listener: l, replay: h.read, told: h.told}, nil
	}
	wire := h.secured.NetConn().(*wire)
	wire.conn = &httpConn{Conn: socket, listener: l, told: h.told}
	if h.read == nil {
		return h.secured, nil // net/http asks a *tls.Conn for its protocol
	}
	return &httpsConn{Conn: h.secured, replay: h.read}, nil
}

// take gives net/http a conn that was not on a loop; false if that has too many, or has ended.
func (l *httpListener) take(socket net.Conn, secured *tls.Conn, told netip.AddrPort) bool {
	if l.conns.Add(1) > int64(l.reactor.cfg.HTTPConnsMax) {
		l.conns.Add(-1)
		l.reactor.stats.refusedHTTP.Add(1)
		return false
	}
	if !l.push(handedOff{conn: socket, secured: secured, told: told}) {
		l.conns.Add(-1)
		return false
	}
	l.reactor.stats.handedOff.Add(1)
	return true
}

// ended gives the place of one conn back.
func (l *httpListener) ended() {
	l.conns.Add(-1)
	l.reactor.conns.Add(-1)
}

// Close implements net.Listener: no more conns are handed off.
func (l *httpListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() {
		return net.ErrClosed
	}
	close(l.closed)
	for len(l.queue) > 0 {
		h := <-l.queue
		h.close()
		h.ended(l)
	}
	return nil
}

// Addr implements net.Listener.
func (l *httpListener) Addr() net.Addr { return l.reactor.Addr() }

// httpConn reads again what the loop has read already.
type httpConn struct {
	net.Conn
	listener *httpListener
	replay   []byte
	told     netip.AddrPort // whose it is, if a balancer has told
	once     sync.Once
}

// RemoteAddr implements net.Conn.
func (c *httpConn) RemoteAddr() net.Addr {
	if c.told.IsValid() {
		return net.TCPAddrFromAddrPort(c.told)
	}
	return c.Conn.RemoteAddr()
}

// Read implements net.Conn.
func (c *httpConn) Read(p []byte) (int, error) {
	if len(c.replay) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.replay)
	if c.replay = c.replay[n:]; len(c.replay) == 0 {
		c.replay = nil
	}
	return n, nil
}

// Close implements net.Conn.
func (c *httpConn) Close() error {
	c.once.Do(c.listener.ended)
	return c.Conn.Close()
}

// CloseWrite lets net/http end a response before it stops reading.
func (c *httpConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ReadFrom keeps sendfile(2) for those who serve files.
func (c *httpConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// takenOver gives the socket to someone else who closes it: the place among the HTTP conns is free again, the one among all
// conns goes along.
func (c *httpConn) takenOver() net.Conn {
	c.once.Do(func() { c.listener.conns.Add(-1) })
	return c.Conn
}

// httpsConn is a conn with TLS that reads again what the loop has read already. net/http finds its ConnectionState.
type httpsConn struct {
	*tls.Conn
	replay []byte
}

// Read implements net.Conn.
func (c *httpsConn) Read(p []byte) (int, error) {
	if len(c.replay) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.replay)
	if c.replay = c.replay[n:]; len(c.replay) == 0 {
		c.replay = nil
	}
	return n, nil
}
