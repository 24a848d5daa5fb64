package reactor

import (
	"cmp"
	"crypto/tls"
	"errors"
	"runtime"
)

// TLS lets a port speak TLS, on the loops:
//
//	hello, collected on the loop ─► dup ─► queue ─► a goroutine, while the handshake lasts ─► h2: HTTPListener
//	                                                                                      └► else: back on the same loop
//
// A handshake waits for its client, so it cannot be made on a loop; and crypto/tls cannot put one aside and take it up again, so it
// needs a goroutine. It gets one when its hello is complete and there is time to compute, for as long as it lasts: who connects and
// is silent costs none. Handshakes take turns to compute, and none has one while it waits for its client (handshakes.go). After it
// the conn is crypto/tls's and the loop's: a tls.Conn over a wire that never waits (wire.go), under the same six methods as a plain
// socket (secure.go).
type TLS struct {
	// Config is asked for every handshake, so that certificates can be changed. DynamicRecordSizingDisabled must be set: what is
	// written together is one record then, up to 16 KiB. Its functions, such as GetCertificate, are called while other handshakes
	// wait for their turn, and must not wait themselves.
	Config func() *tls.Config

	// Addr is a "host:port" that speaks TLS, with a port of its own; Config.Addr speaks plain text then. Without it Config.Addr speaks TLS.
	Addr string

	// PlainToo serves clients without TLS on the port that speaks TLS. They get a 400 if it is not set.
	PlainToo bool

	// HandshakesMax bounds the handshakes that have begun, 35 KB each with the stack: 1,024 for each of GOMAXPROCS, at least 2,048
	// and at most 8,192. When it is reached, those that wait longest for their clients make room. HandshakesQueuedMax bounds those
	// that wait to begin, 3 KB each; 1,024. The conns of others are closed.
	HandshakesMax       int
	HandshakesQueuedMax int

	// HandshakesAtOnce is how many handshakes compute at a time; half of GOMAXPROCS, at least 1. The rest is for the loops.
	HandshakesAtOnce int
}

const (
	handshakesPerProcessor = 1 << 10
	handshakesMaxLeast     = 2 << 10
	handshakesMaxMost      = 8 << 10
)

// withDefaults is of a copy; a nil TLS stays nil.
func (t *TLS) withDefaults() *TLS {
	if t == nil {
		return nil
	}
	c, processors := *t, runtime.GOMAXPROCS(0)
	c.HandshakesMax = cmp.Or(c.HandshakesMax, min(max(processors*handshakesPerProcessor, handshakesMaxLeast), handshakesMaxMost))
	c.HandshakesQueuedMax = cmp.Or(c.HandshakesQueuedMax, 1024)
	c.HandshakesAtOnce = cmp.Or(c.HandshakesAtOnce, max(processors/2, 1))
	return &c
}

func (t *TLS) check() error {
	switch {
	case t == nil:
		return nil
	case t.Config == nil || t.Config() == nil:
		return errors.New("reactor: TLS without a tls.Config")
	case !t.Config().DynamicRecordSizingDisabled:
		return errors.New("reactor: DynamicRecordSizingDisabled of the tls.Config must be set")
	case t.HandshakesMax < 0 || t.HandshakesQueuedMax < 0 || t.HandshakesAtOnce < 0:
		return errors.New("reactor: a limit of TLS handshakes is negative")
	}
	return nil
}

// Secure reports whether the conn speaks TLS.
func (c *Conn) Secure() bool { return c.secured() != nil }

// Secure reports whether the request came by TLS.
func (h *Head) Secure() bool {
	if h.conn != nil {
		return h.conn.Secure()
	}
	return h.secure
}
