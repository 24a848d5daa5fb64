package reactor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/panjf2000/gnet/v2"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// adoption is a conn on its way to a loop: an upgrade or an exchange that arrived at net/http, or a conn whose TLS handshake is done.
type adoption struct {
	verdict  Verdict
	request  request        // of an exchange
	response []byte         // the 101 of an upgrade
	read     []byte         // what the client sent after the head of its request
	told     netip.AddrPort // whose conn it is, if a balancer has told
	adopted  bool           // the loop has it; for others to read when the loop has ended

	secured *tls.Conn // nil without TLS
	headAt  loop.Time // when its request head must be complete; 0 if it has been read
}

// AdoptHandler takes the requests that arrive on kept-alive conns of net/http (from a proxy in front that reuses them) and are for
// the loops: it puts the conns of those that the router upgrades or serves there on a loop. What the router hands off, and what
// does not come by HTTP/1, goes to next.
func (r *Reactor) AdoptHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ProtoMajor != 1 {
			next.ServeHTTP(w, req)
			return
		}
		h := headOf(req)
		switch v := r.router.Route(h); v.Kind {
		case Upgrade:
			r.adoptUpgrade(w, h, v)
		case Exchange:
			r.adoptExchange(w, h, v)
		case Refuse:
			r.stats.refusedByRouter.Add(1)
			w.Header().Set("Connection", "close")
			if v.Status == 0 {
				v.Status = http.StatusForbidden
			}
			http.Error(w, v.Body, v.Status)
		default:
			next.ServeHTTP(w, req)
		}
	})
}

// headOf is a net/http request in the router's words.
func headOf(req *http.Request) *Head {
	h := &Head{
		Method: req.Method,
		Target: req.RequestURI,
		Proto:  req.Proto,
		Host:   req.Host,
		peer:   req.RemoteAddr,
		secure: req.TLS != nil,

		length:  max(req.ContentLength, 0),
		chunked: len(req.TransferEncoding) > 0,
		fields:  make([]field, 0, len(req.Header)),
	}
	h.splitTarget()
	for name, values := range req.Header {
		for _, v := range values {
			h.fields = append(h.fields, field{name, v})
		}
	}
	return h
}

// adoptUpgrade answers an upgrade that the router has accepted.
func (r *Reactor) adoptUpgrade(w http.ResponseWriter, h *Head, v Verdict) {
	key, refusal := checkUpgrade(h)
	if refusal != nil {
		r.stats.badUpgrades.Add(1)
		r.answerHijacked(w, ws.AppendRefusal(nil, refusal))
		return
	}
	response := ws.AppendUpgradeResponse(make([]byte, 0, ws.UpgradeResponseBytes), key, v.Protocol, v.Deflate)
	r.moveBack(w, &adoption{verdict: v, response: response})
}

// adoptExchange moves a request that the router wants served on a loop. Net/http has read its head and not its body.
func (r *Reactor) adoptExchange(w http.ResponseWriter, h *Head, v Verdict) {
	a := &adoption{verdict: v, request: h.request()}
	if a.request.chunked {
		// If there was a length as well, net/http has gone by the chunks and forgotten it, and a proxy may have gone by the length.
		a.request.keep = false
	}
	r.moveBack(w, a)
}

// answerHijacked sends a response around net/http, then ends the conn.
func (r *Reactor) answerHijacked(w http.ResponseWriter, response []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, needsOwnPort, http.StatusBadRequest)
		return
	}
	answerAndClose(conn, response)
}

// answerAndClose is for a conn that was net/http's, whose deadlines went with it.
func answerAndClose(conn net.Conn, response []byte) {
	_ = conn.SetWriteDeadline(time.Now().Add(lingerTimeout))
	_, _ = conn.Write(response)
	_ = conn.Close()
}

const needsOwnPort = "this needs HTTP/1.1 on the server's own port"

// moveBack takes the conn of a request away from net/http and puts it on a loop.
func (r *Reactor) moveBack(w http.ResponseWriter, a *adoption) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, needsOwnPort, http.StatusBadRequest)
		return
	}
	socket, replay, secured := socketOf(conn)
	if socket == nil {
		answerAndClose(conn, appendResponse(nil, http.StatusBadRequest, needsOwnPort+"\n", false))
		return
	}
	a.read, _ = buffered.Reader.Peek(buffered.Reader.Buffered())
	a.read = append(append([]byte(nil), a.read...), replay...)
	a.told = socket.told
	a.secured = secured
	if err := r.enroll(socket, a); err != nil {
		if secured != nil {
			secured.NetConn().(*wire).uncount()
		}
		r.conns.Add(-1)
		r.cfg.Log.Warn("a connection could not be moved from net/http to a loop", "error", err)
	}
}

// socketOf takes a conn of net/http's apart: the socket, nil if it is not of a kind that we gave to net/http, what is to be read
// before it, and the TLS over it, which is from now on ready for a loop.
func socketOf(conn net.Conn) (socket *httpConn, replay []byte, secured *tls.Conn) {
	switch c := conn.(type) {
	case *httpConn:
		return c, c.replay, nil
	case *httpsConn:
		wire, ok := c.NetConn().(*wire)
		if !ok {
			return nil, nil, nil
		}
		socket, _ = wire.conn.(*httpConn)
		if socket != nil {
			wire.raw, wire.conn = wire.unread(), nil
		}
		return socket, c.replay, c.Conn
	}
	return nil, nil, nil
}

// enroll puts a conn on the next loop in turn. Whatever happens, the conn is no longer net/http's.
func (r *Reactor) enroll(c *httpConn, a *adoption) error {
	d := r.drivers[int(r.adoptNext.Add(1))%len(r.drivers)]
	return r.enrollOn(d, c.takenOver(), a)
}

// enrollOn puts a socket on the loop of d. Whatever happens, conn is closed.
func (r *Reactor) enrollOn(d *driver, conn net.Conn, a *adoption) error {
	if met := *r.met.Load(); len(met) < len(r.drivers) {
		_ = conn.Close()
		return errors.New("the loops do not turn yet")
	}
	if conn.RemoteAddr() == nil {
		_ = conn.Close()
		return errGone
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(false) // net makes all its conns send probes every 15 s; those of a loop do not
	}
	result, err := d.gl.Enroll(gnet.NewContext(context.Background(), a), conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	select {
	case done := <-result:
		if done.Err == nil && !a.adopted { // gnet keeps the error to itself if its poller does not take the socket
			return errors.New("the loop did not take it")
		}
		return done.Err
	case <-r.done:
		if a.adopted { // and has ended it, with all its conns
			return nil
		}
		_ = conn.Close()
		return io.ErrClosedPipe
	}
}

// adopt makes a conn of a socket that comes back from net/http.
func (d *driver) adopt(gc gnet.Conn, a *adoption) {
	d.enter()
	defer d.leave()
	a.adopted = true
	gc.SetSafeContext(nil) // else gnet would keep a for as long as the conn lives
	c := d.newConn(gc)
	c.tell(a.told)
	d.current = c
	if a.secured != nil {
		c.secure(a.secured)
	}
	if a.headAt == 0 {
		d.stats.adopted.Add(1)
		d.adoptOpen(c, a)
	} else {
		c.state, c.stateAt = stateHead, a.headAt
		c.rearm()
	}
	s := c.secured()
	if s != nil && c.state != stateDead {
		d.receive(c)
	}
	d.flushCurrent()
	if s != nil {
		s.settle()
	}
}

func (d *driver) adoptOpen(c *Conn, a *adoption) {
	defer d.survive(c, "open")
	if len(a.read) > 0 {
		d.carry[c] = a.read
	}
	if a.verdict.Kind == Exchange {
		c.beginExchange(a.request, &a.verdict)
		return
	}
	c.open(a.response, &a.verdict)
	if len(a.read) > 0 && c.state != stateDead {
		c.receiveFrames()
	}
}
