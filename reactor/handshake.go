package reactor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"stentor/reactor/loop"
)

// handshake is a TLS handshake from its complete hello on. Its socket is on no loop meanwhile.
type handshake struct {
	driver  *driver // where the conn comes from and goes back to
	fd      int     // until conn is made
	hello   []byte  // and what came behind it
	headAt  loop.Time
	endAt   time.Time      // for the handshake; the same moment
	told    netip.AddrPort // whose conn it is, if a balancer has told
	conn    net.Conn
	wire    *wire
	turn    chan struct{}
	evicted bool // with handshakes.mu, as all that follows

	waitsSince     time.Time // for its client
	listed         bool
	previous, next *handshake
}

// beginHandshake takes the socket of a conn whose ClientHello is complete off the loop. read is all that has arrived.
func (c *Conn) beginHandshake(read []byte) {
	d := c.driver
	fd, err := c.gc.Dup()
	if err != nil {
		d.stats.handshakesRefused.Add(1)
		c.refuseHello(alertInternalError)
		return
	}
	h := &handshake{
		driver: d,
		fd:     fd,
		hello:  append([]byte(nil), read...),
		headAt: c.stateAt,
		endAt:  time.Now().Add(time.Duration(c.stateAt-d.loop.Now()) * loop.TickPeriod),
		told:   c.told(),
		turn:   make(chan struct{}, 1),
	}
	c.flags |= flagHandedOff // before begin: from there on the copy is counted by its owner
	if d.reactor.handshakes.begin(h) {
		c.discard(len(read))
		c.hangUp() // closes gnet's descriptor; the connection lives on in the copy
		return
	}
	c.flags &^= flagHandedOff
	_ = unix.Close(fd)
	d.stats.handshakesRefused.Add(1)
	c.hangUp()
}

// run makes the handshake and passes the conn on. It begins with a turn.
func (h *handshake) run() {
	r := h.driver.reactor
	secured, err := h.negotiate()
	r.handshakes.giveBack()
	if err != nil {
		r.stats.handshakesFailed.Add(1)
		r.cfg.Log.Debug("TLS handshake failed", "error", err)
		h.close()
		r.conns.Add(-1)
		return
	}
	h.passOn(secured)
}

// negotiate is the handshake itself.
func (h *handshake) negotiate() (secured *tls.Conn, err error) {
	r := h.driver.reactor
	defer func() {
		if v := recover(); v != nil {
			r.stats.panics.Add(1)
			r.panicLine.Say(r.cfg.Log, slog.LevelError, "panic in a TLS handshake; its connection is closed",
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()
	if h.conn, err = fdConn(h.fd); err != nil {
		return nil, err
	}
	if time.Now().After(h.endAt) {
		return nil, errors.New("its turn came too late")
	}
	if err := h.conn.SetDeadline(h.endAt); err != nil {
		return nil, err
	}
	h.wire = &wire{conn: h.conn, raw: h.hello, handshake: h}
	h.hello = nil
	secured = tls.Server(h.wire, r.cfg.TLS.Config())
	if err := secured.Handshake(); err != nil {
		return nil, err
	}
	h.wire.handshake = nil
	return secured, h.conn.SetDeadline(time.Time{})
}

// alertDrainTime and alertDrainBytes bound what is read after a handshake that has failed: unread input would reset the connection,
// and the client would not see the alert.
const (
	alertDrainTime  = 5 * time.Millisecond
	alertDrainBytes = 64 << 10
)

// close ends the socket of a handshake that has failed.
func (h *handshake) close() {
	tcp, ok := h.conn.(*net.TCPConn)
	if !ok {
		return
	}
	until := time.Now().Add(alertDrainTime)
	if until.Before(h.endAt) && !h.interrupted() { // else the client has said nothing
		_ = tcp.CloseWrite()
		_ = tcp.SetReadDeadline(until)
		_, _ = io.CopyN(io.Discard, tcp, alertDrainBytes)
	}
	_ = tcp.Close()
}

// passOn gives the conn to net/http if it speaks HTTP/2, and back to its loop if not.
func (h *handshake) passOn(secured *tls.Conn) {
	r, version := h.driver.reactor, tls12
	state := secured.ConnectionState()
	if state.Version == tls.VersionTLS13 {
		version = tls13
	}
	h.wire.count(&r.stats, version)
	r.stats.handshakesDone.Add(1)
	switch state.NegotiatedProtocol {
	case "", "http/1.1":
	case "h2":
		if !r.http.take(h.conn, secured, h.told) {
			h.giveUp(secured)
		}
		return
	default: // acme-tls/1, for one: the handshake is all that was asked for, and it may have been made without client certificates
		h.giveUp(secured)
		return
	}
	h.wire.raw, h.wire.conn = h.wire.unread(), nil
	trimTLS(secured)
	if err := r.enrollOn(h.driver, h.conn, &adoption{secured: secured, headAt: h.headAt, told: h.told}); err != nil {
		h.wire.uncount()
		r.conns.Add(-1)
		r.cfg.Log.Warn("a TLS connection could not be moved to a loop after its handshake", "error", err)
	}
}

// giveUp ends a conn whose handshake is done.
func (h *handshake) giveUp(secured *tls.Conn) {
	_ = secured.Close() // counts it out of the open ones as well
	h.driver.reactor.conns.Add(-1)
}

// interrupt makes reads and writes fail, now and later. handshakes.mu is held.
func (h *handshake) interrupt() { _ = h.conn.SetDeadline(time.Unix(1, 0)) }

// drop ends a handshake that has not begun. handshakes.mu is held.
func (h *handshake) drop() {
	_ = unix.Close(h.fd)
	h.driver.reactor.conns.Add(-1)
}

func (h *handshake) interrupted() bool {
	s := &h.driver.reactor.handshakes
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.evicted || s.stopped
}

func (h *handshake) pause(wait func()) { h.driver.reactor.handshakes.pause(h, wait) }
