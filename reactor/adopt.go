package reactor

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/panjf2000/gnet/v2"

	"stentor/codec/ws"
)

// adoption is an upgrade or an exchange that arrived at net/http, on its way to a loop.
type adoption struct {
	verdict  Verdict
	request  request // of an exchange
	response []byte  // the 101 of an upgrade
	read     []byte  // what the client sent after the head of its request
	adopted  bool    // the loop has it; for others to read when the loop has ended
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
	c, ok := conn.(*httpConn)
	if !ok {
		_, _ = conn.Write(appendResponse(nil, http.StatusBadRequest, needsOwnPort+"\n", false))
		_ = conn.Close()
		return
	}
	a.read, _ = buffered.Reader.Peek(buffered.Reader.Buffered())
	a.read = append(append([]byte(nil), a.read...), c.replay...)
	if err := r.enroll(c, a); err != nil {
		r.conns.Add(-1)
		r.cfg.Log.Warn("a connection could not be moved from net/http to a loop", "error", err)
	}
}

// enroll puts a conn on the next loop in turn. Whatever happens, the conn is no longer net/http's.
func (r *Reactor) enroll(c *httpConn, a *adoption) error {
	met := *r.met.Load()
	if len(met) < len(r.drivers) {
		_ = c.takenOver().Close()
		return errors.New("the loops do not turn yet")
	}
	d := r.drivers[int(r.adoptNext.Add(1))%len(r.drivers)]
	conn := c.takenOver()
	result, err := d.gl.Enroll(gnet.NewContext(context.Background(), a), conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	select {
	case done := <-result:
		return done.Err
	case <-r.done:
		if a.adopted { // and has ended it, with all its conns
			return nil
		}
		return io.ErrClosedPipe
	}
}

// adopt makes a conn of a socket that comes back from net/http.
func (d *driver) adopt(gc gnet.Conn, a *adoption) {
	d.enter()
	defer d.leave()
	d.stats.adopted.Add(1)
	a.adopted = true
	gc.SetSafeContext(nil) // else gnet would keep a for as long as the conn lives
	c := d.newConn(gc)
	d.current = c
	d.adoptOpen(c, a)
	d.flushCurrent()
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
