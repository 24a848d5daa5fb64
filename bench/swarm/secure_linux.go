package swarm

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// secure is TLS over one socket. Crypto/tls wants to wait for a handshake's answers, so those are made on goroutines of their own, with
// a copy of the descriptor that the runtime polls. From then on it reads only what the swarm has read already, and is told to come
// again when it wants more than that.
type secure struct {
	conn    *tls.Conn
	wire    wire
	dropped bool // its socket is gone
}

// wire is the socket as crypto/tls sees it.
type wire struct {
	shaking *os.File     // until the handshake is over
	in      []byte       // read from the socket, and not taken
	out     func([]byte) // to the socket
}

// errAgain makes crypto/tls keep half a record and give up for now.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "there is no more for now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

func (w *wire) Read(b []byte) (int, error) {
	if w.shaking != nil {
		return w.shaking.Read(b)
	}
	if len(w.in) == 0 {
		return 0, errAgain
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	return n, nil
}

func (w *wire) Write(b []byte) (int, error) {
	if w.shaking != nil {
		return w.shaking.Write(b)
	}
	w.out(b)
	return len(b), nil
}

func (*wire) Close() error                     { return nil } // whoever has the descriptor closes it
func (*wire) LocalAddr() net.Addr              { return nil }
func (*wire) RemoteAddr() net.Addr             { return nil }
func (*wire) SetDeadline(time.Time) error      { return nil }
func (*wire) SetReadDeadline(time.Time) error  { return nil }
func (*wire) SetWriteDeadline(time.Time) error { return nil }

// shakes are the handshakes of a swarm. All but the handshakes themselves belongs to its goroutine.
type shakes struct {
	running int
	waiting []func()
}

// begin starts a handshake, now or when others are done.
func (s *shakes) begin(start func()) {
	s.waiting = append(s.waiting, start)
	s.next()
}

// end lets another one begin.
func (s *shakes) end() {
	s.running--
	s.next()
}

func (s *shakes) next() {
	for s.running < ShakesMax && len(s.waiting) > 0 {
		start := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.running++
		start()
	}
}

// shake makes a handshake on a connected socket and calls done on the swarm's goroutine. The descriptor stays the caller's, who says
// drop before closing it meanwhile.
func (s *Swarm) shake(fd int32, cfg *tls.Config, patience time.Duration, out func([]byte), done func(error)) *secure {
	e := &secure{wire: wire{out: out}}
	e.conn = tls.Client(&e.wire, cfg)
	s.shakes.begin(func() {
		over := func(err error) {
			e.wire.shaking = nil
			s.shakes.end()
			done(err)
		}
		if e.dropped {
			s.Do(func() { over(net.ErrClosed) })
			return
		}
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			s.Do(func() { over(errors.New("a second descriptor: " + remedy(err))) })
			return
		}
		e.wire.shaking = os.NewFile(uintptr(own), "socket")
		go func() {
			err := e.shake(patience)
			s.Do(func() { over(err) })
		}()
	})
	return e
}

// shake waits for the end of the handshake.
func (e *secure) shake(patience time.Duration) error {
	defer e.wire.shaking.Close()
	if err := e.wire.shaking.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return e.conn.Handshake()
}

// drop ends a handshake that is under way on fd.
func (e *secure) drop(fd int32) {
	e.dropped = true
	if e.wire.shaking != nil {
		_ = unix.Shutdown(int(fd), unix.SHUT_RDWR)
	}
}

// secure begins the handshake of client i.
func (g *group) secure(i int32) {
	c := &g.conns[i]
	c.state = stateSecuring
	if err := g.swarm.poll.remove(int(c.fd)); err != nil {
		g.drop(i, 0, "epoll: "+err.Error())
		return
	}
	var e *secure
	out := func(b []byte) {
		if g.secures[i] == e {
			g.put(i, b)
		}
	}
	e = g.swarm.shake(c.fd, g.tls, g.cfg.Patience, out, func(err error) { g.secured(i, e, err) })
	g.secures[i] = e
}

// secured goes on after the handshake, unless the conn has gone meanwhile.
func (g *group) secured(i int32, e *secure, err error) {
	if g.secures[i] != e {
		return
	}
	if err != nil {
		g.drop(i, 0, "TLS handshake: "+handshakeHint(err))
		return
	}
	g.noteSecured(e)
	if err := g.swarm.poll.add(int(g.conns[i].fd), g.number, i, interestRead); err != nil {
		g.drop(i, 0, "epoll: "+err.Error())
		return
	}
	g.enter(i, g.role.connected(i))
}

// noteSecured counts a handshake.
func (g *group) noteSecured(e *secure) {
	if g.stats.Secured == nil {
		g.stats.Secured = map[string]int{}
	}
	state := e.conn.ConnectionState()
	text := tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	if state.DidResume {
		text += ", resumed"
	}
	g.stats.Secured[text]++
}

// expose ends TLS on client i's conn, whose descriptor is about to be closed.
func (g *group) expose(i int32) {
	if e := g.secures[i]; e != nil {
		e.drop(g.conns[i].fd)
		g.secures[i] = nil
	}
}

// readSecure takes what has arrived for client i, once, record by record.
func (g *group) readSecure(i int32) {
	s := g.swarm
	if s.cipher == nil {
		s.cipher = make([]byte, readBytes)
	}
	e, n := g.secures[i], g.fetch(i, s.cipher)
	if n == 0 {
		return
	}
	e.wire.in = s.cipher[:n]
	for g.secures[i] == e {
		n, err := e.conn.Read(s.buf)
		if n > 0 {
			g.stats.Records++
			g.arrived(i, s.buf[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, errAgain):
			if g.conns[i].state == stateParting { // what has come is the ticket
				g.hangUp(i)
			}
			return
		case g.secures[i] != e:
		case errors.Is(err, io.EOF):
			g.drop(i, 0, "TLS was closed without a close frame while waiting for "+g.conns[i].state.String())
		default:
			g.drop(i, 0, "TLS: "+err.Error()+" while waiting for "+g.conns[i].state.String())
		}
	}
	e.wire.in = nil
}

// handshakeHint adds to the error of a handshake what can be done about it.
func handshakeHint(err error) string {
	text := err.Error()
	var unknown *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		return text + ": give the --ca that has signed the server's certificate, or --insecure"
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return text + ": the server has closed the conn: does it speak TLS on this port?"
	case errors.As(err, new(tls.RecordHeaderError)):
		return text + ": does the server speak TLS on this port?"
	}
	return text
}
