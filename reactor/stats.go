package reactor

import (
	"sync/atomic"
	"time"

	"stentor/reactor/loop"
)

// counters are kept by all loops.
type counters struct {
	accepted, upgraded, handedOff, adopted atomic.Uint64

	refusedConns, refusedHTTP, refusedByRouter, badHeads, badUpgrades, headTimeouts, badProxyHeaders atomic.Uint64

	exchanges, badBodies, bodyTimeouts, early atomic.Uint64

	slow, shed, writeErrors, violations, fragmentTimeouts, panics, stalls atomic.Uint64

	droppedOldest, droppedStale atomic.Uint64

	longestStall atomic.Int64 // nanoseconds

	plainOnTLS, badHellos, helloTimeouts                                               atomic.Uint64
	handshakes, handshakesDone, handshakesFailed, handshakesRefused, handshakesEvicted atomic.Uint64
	tlsBroken                                                                          atomic.Uint64

	tls [tlsVersions]atomic.Int64 // open
}

// Stats is what a reactor has counted. Numbers of events count from the start; the others are of now.
type Stats struct {
	Conns       int   // client sockets, handed-off ones included
	WebSockets  int   // upgraded ones
	Streams     int   // responses that do not end
	ConnsMax    int   // where newcomers are refused
	HTTPConns   int   // handed off to net/http
	Guests      int   // clients whose bytes other goroutines move
	QueuedBytes int64 // memory of unsent and incomplete messages

	Accepted  uint64
	Upgraded  uint64
	HandedOff uint64
	Adopted   uint64 // upgrades and exchanges that came back from net/http

	RefusedConns    uint64 // over MaxConns
	RefusedHTTP     uint64 // over HTTPConnsMax
	RefusedByRouter uint64
	BadHeads        uint64 // 400 for the request head
	BadUpgrades     uint64 // a WebSocket handshake that was not right
	HeadTimeouts    uint64
	BadProxyHeaders uint64 // conns of a balancer that did not begin with a PROXY header, or not in time

	Exchanges    uint64 // requests served on the loops
	BadBodies    uint64 // 400, 413 or 417 for a request body
	BodyTimeouts uint64
	Early        uint64 // closed because they sent too much before they were answered, or on a stream

	Slow             uint64 // closed with Config.Slow, those that were shed while open included
	Shed             uint64 // closed because all loops together held too much
	WriteErrors      uint64
	Violations       uint64 // of the WebSocket protocol
	FragmentTimeouts uint64
	Panics           uint64

	DroppedOldest uint64 // frames that slow clients did not get, by their Drop
	DroppedStale  uint64

	Stalls       uint64 // callbacks that held a loop longer than Config.StallReport
	LongestStall time.Duration

	TLS12, TLS13 int // open conns, handed-off ones included; those of TLS 1.0 and 1.1 count as 1.2
	Handshaking  int // TLS handshakes under way or queued

	PlainOnTLS        uint64 // clients without TLS on a port that wants it
	BadHellos         uint64 // no ClientHello, or one that is too large
	HelloTimeouts     uint64 // silent, or the ClientHello not complete in time
	Handshakes        uint64 // begun
	HandshakesDone    uint64 // and secure
	HandshakesFailed  uint64 // the evicted ones included
	HandshakesRefused uint64 // too many were waiting
	HandshakesEvicted uint64 // that waited for their clients and made room for others
	TLSBroken         uint64 // conns whose records made no sense

	Loops []LoopStats
}

// LoopStats is one loop's share.
type LoopStats struct {
	Conns     int // handed-off ones not included
	SlowConns int
	MailItems int
	MailBytes int
	Lag       *loop.Lag
}

// Stats reads the counters. Any goroutine may call it.
func (r *Reactor) Stats() Stats {
	c := &r.stats
	s := Stats{
		Conns:       int(r.conns.Load()),
		ConnsMax:    int(r.connsMax.Load()),
		HTTPConns:   int(r.http.conns.Load()),
		Guests:      r.guests.Present(),
		QueuedBytes: r.owed.Load(),

		Accepted:  c.accepted.Load(),
		Upgraded:  c.upgraded.Load(),
		HandedOff: c.handedOff.Load(),
		Adopted:   c.adopted.Load(),

		RefusedConns:    c.refusedConns.Load(),
		RefusedHTTP:     c.refusedHTTP.Load(),
		RefusedByRouter: c.refusedByRouter.Load(),
		BadHeads:        c.badHeads.Load(),
		BadUpgrades:     c.badUpgrades.Load(),
		HeadTimeouts:    c.headTimeouts.Load(),
		BadProxyHeaders: c.badProxyHeaders.Load(),

		Exchanges:    c.exchanges.Load(),
		BadBodies:    c.badBodies.Load(),
		BodyTimeouts: c.bodyTimeouts.Load(),
		Early:        c.early.Load(),

		Slow:             c.slow.Load(),
		Shed:             c.shed.Load(),
		WriteErrors:      c.writeErrors.Load(),
		Violations:       c.violations.Load(),
		FragmentTimeouts: c.fragmentTimeouts.Load(),
		Panics:           c.panics.Load(),

		DroppedOldest: c.droppedOldest.Load(),
		DroppedStale:  c.droppedStale.Load(),

		Stalls:       c.stalls.Load(),
		LongestStall: time.Duration(c.longestStall.Load()),

		TLS12:       int(c.tls[tls12].Load()),
		TLS13:       int(c.tls[tls13].Load()),
		Handshaking: r.handshakes.underWay(),

		PlainOnTLS:        c.plainOnTLS.Load(),
		BadHellos:         c.badHellos.Load(),
		HelloTimeouts:     c.helloTimeouts.Load(),
		Handshakes:        c.handshakes.Load(),
		HandshakesDone:    c.handshakesDone.Load(),
		HandshakesFailed:  c.handshakesFailed.Load(),
		HandshakesRefused: c.handshakesRefused.Load(),
		HandshakesEvicted: c.handshakesEvicted.Load(),
		TLSBroken:         c.tlsBroken.Load(),
	}
	for _, d := range r.drivers {
		s.WebSockets += int(d.webSockets.Load())
		s.Streams += int(d.streams.Load())
		items, bytes := d.loop.Waiting()
		s.Loops = append(s.Loops, LoopStats{
			Conns:     int(d.conns.Load()),
			SlowConns: int(d.slowConns.Load()),
			MailItems: items,
			MailBytes: bytes,
			Lag:       d.loop.Lag(),
		})
	}
	return s
}
