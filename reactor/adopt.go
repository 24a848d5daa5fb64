package reactor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/panjf2000/gnet/v2"

	"stentor/codec/ws"
)

// adoption is an upgrade that arrived at net/http, on its way to a loop.
type adoption struct {
	verdict  Verdict
	response []byte         // the 101
	read     []byte         // what the client sent after its request
	told     netip.AddrPort // whose conn it is, if a balancer has told
	adopted  bool           // the loop has it; for others to read when the loop has ended
}

// AdoptHandler takes the WebSocket upgrades that arrive on kept-alive conns of net/http (from a proxy in front that reuses them)
// and puts those that the router accepts on a loop. Everything else goes to next.
func (r *Reactor) AdoptHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		connection := strings.Join(req.Header.Values("Connection"), ",")
		if !ws.IsUpgrade(connection, strings.Join(req.Header.Values("Upgrade"), ",")) {
			next.ServeHTTP(w, req)
			return
		}
		h := headOf(req)
		switch v := r.router.Route(h); v.Kind {
		case Upgrade:
			r.adoptRequest(w, h, v)
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
		body:   req.ContentLength != 0,
		peer:   req.RemoteAddr,
	}
	h.splitTarget()
	for name, values := range req.Header {
		for _, v := range values {
			h.fields = append(h.fields, field{name, v})
		}
	}
	return h
}

// adoptRequest answers an upgrade that the router has accepted.
func (r *Reactor) adoptRequest(w http.ResponseWriter, h *Head, v Verdict) {
	key, refusal := checkUpgrade(h)
	a := &adoption{verdict: v}
	if refusal != nil {
		r.stats.badUpgrades.Add(1)
		a.response = ws.AppendRefusal(nil, refusal)
	} else {
		a.response = ws.AppendUpgradeResponse(make([]byte, 0, ws.UpgradeResponseBytes), key, v.Protocol, v.Deflate)
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "upgrades need HTTP/1.1 on this server's own port", http.StatusBadRequest)
		return
	}
	c, ok := conn.(*httpConn)
	if refusal != nil || !ok {
		_, _ = conn.Write(a.response)
		_ = conn.Close()
		return
	}
	a.read, _ = buffered.Reader.Peek(buffered.Reader.Buffered())
	a.read = append(append([]byte(nil), a.read...), c.replay...)
	a.told = c.told
	if err := r.enroll(c, a); err != nil {
		r.conns.Add(-1)
		r.cfg.Log.Warn("an upgrade could not be moved from net/http to a loop", "error", err)
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
	c.tell(a.told)
	d.current = c
	d.adoptOpen(c, a)
	d.flushCurrent()
}

func (d *driver) adoptOpen(c *Conn, a *adoption) {
	defer d.survive(c, "open")
	if len(a.read) > 0 {
		d.carry[c] = a.read
	}
	c.open(a.response, &a.verdict)
	if len(a.read) > 0 && c.state != stateDead {
		c.receiveFrames()
	}
}
