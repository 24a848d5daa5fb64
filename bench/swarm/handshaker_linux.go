package swarm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"stentor/bench/measure"
	"stentor/codec"
)

// handshakers secure conns on a schedule, each by the first client that is free, and end them as soon as they are secure, or
// have the ticket with which the next is to resume. Count is how
// many may be under way at the same time: with all of them busy, a handshake waits, and its latency counts from when it was due.
type handshakers struct {
	*group
	plan  measure.Schedule
	going bool
	next  int64   // number of the next to fall due
	asked []int64 // when that of a client was due
	free  int     // the client to look at first

	tickets *tickets // nil: nobody resumes
}

// newHandshakers is open at once: there is nobody to dial before Shake.
func newHandshakers(g *group, done func(Opened)) *group {
	h := &handshakers{group: g, asked: make([]int64, len(g.conns))}
	g.role = h
	if g.tls.ClientSessionCache != nil {
		h.tickets = &tickets{ClientSessionCache: g.tls.ClientSessionCache}
		g.tls.ClientSessionCache = h.tickets
	}
	g.due = never
	for i := range g.conns {
		g.conns[i].counted = true // so that those that fail are counted among the closes
	}
	done(Opened{})
	return g
}

// Shake lets a group of handshakers secure perSecond conns a second; 0 ends it.
func (s *Swarm) Shake(name string, perSecond float64) error {
	g, err := s.known(name)
	if err != nil {
		return err
	}
	h, ok := g.role.(*handshakers)
	switch {
	case !ok:
		return fmt.Errorf("group %s has the role %s and makes no handshakes", name, g.cfg.Role)
	case perSecond < 0:
		return errors.New("the number of handshakes per second must not be below 0")
	}
	if h.going = perSecond > 0; h.going {
		h.plan, h.next = measure.Every(s.now(), perSecond), 0
	}
	g.due = 0
	return nil
}

func (h *handshakers) turn(now int64) int64 {
	if !h.going {
		return never
	}
	for at := h.plan.Due(h.next); at <= now; at = h.plan.Due(h.next) {
		i, ok := h.idle()
		if !ok {
			return now + int64(time.Millisecond) // all are busy: look again
		}
		h.next++
		h.asked[i] = at
		h.dial(i)
	}
	return h.plan.Due(h.next)
}

// idle finds a client without a conn.
func (h *handshakers) idle() (int32, bool) {
	for range h.conns {
		i := h.free
		if h.free++; h.free == len(h.conns) {
			h.free = 0
		}
		if h.conns[i].fd < 0 {
			return int32(i), true
		}
	}
	return 0, false
}

// connected is called when the conn of client i is secure.
func (h *handshakers) connected(i int32) state {
	h.stats.Shaken++
	h.stats.Latency.Record(time.Duration(h.swarm.now() - h.asked[i]))
	if h.tickets != nil && !h.ticket(i) {
		return stateParting
	}
	h.hangUp(i)
	return stateClosed
}

// ticket is true if client i has its ticket. That of TLS 1.2 comes with the handshake, that of 1.3 behind it, or in what has been read already.
func (h *handshakers) ticket(i int32) bool {
	e, before := h.secures[i], h.tickets.put.Load()
	if e.conn.ConnectionState().Version != tls.VersionTLS13 {
		return true
	}
	_, _ = e.conn.Read(h.swarm.buf) // an error ends the conn just as well
	return h.tickets.put.Load() != before
}

// tickets are a cache of them that counts.
type tickets struct {
	tls.ClientSessionCache
	put atomic.Int64
}

func (t *tickets) Put(key string, s *tls.ClientSessionState) {
	t.put.Add(1)
	t.ClientSessionCache.Put(key, s)
}

func (h *handshakers) upgraded(int32) state              { return stateClosed }
func (h *handshakers) reply(int32, uint32, *codec.Reply) {}
