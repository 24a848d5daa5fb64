package natsengine

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// dialer makes sockets for one attempt to connect, which end with ctx.
type dialer struct {
	ctx    context.Context
	limit  time.Duration
	intake *intake

	last *socket
	err  error // of the last failure
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.limit}).DialContext(d.ctx, network, address)
	if err != nil {
		d.err = err
		return nil, err
	}
	d.last = &socket{Conn: conn, intake: d.intake}
	d.last.stop = context.AfterFunc(d.ctx, func() { conn.Close() })
	return d.last, nil
}

// socket is the connection below nats.Conn.
type socket struct {
	net.Conn
	intake  *intake
	closed  atomic.Bool
	watched atomic.Bool
	stop    func() bool
}

// watch has reads fail when nothing comes for SilenceMax. Until then the library sets the time limits.
func (s *socket) watch() {
	s.watched.Store(true)
	_ = s.SetReadDeadline(time.Now().Add(SilenceMax)) // of the read that waits already
}

// errSilent is what a read fails with.
var errSilent = errors.New("the server has said nothing for " + SilenceMax.String())

// Read holds back while too much waits for the deliverers.
func (s *socket) Read(b []byte) (int, error) {
	for s.intake.full() && !s.closed.Load() {
		time.Sleep(intakePause)
	}
	watched := s.watched.Load()
	if watched {
		_ = s.SetReadDeadline(time.Now().Add(SilenceMax))
	}
	n, err := s.Conn.Read(b)
	s.intake.bytes.Add(int64(n))
	if watched && errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSilent
	}
	return n, err
}

// Write ends the connection when it fails. The library drops what it could not write and goes on, so a later PONG would confirm what
// never went out.
func (s *socket) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if err != nil {
		s.Close()
	}
	return n, err
}

func (s *socket) Close() error {
	s.closed.Store(true)
	s.stop()
	return s.Conn.Close()
}
