package reactor

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"slices"

	"github.com/panjf2000/gnet/v2"

	"stentor/reactor/loop"
)

// secure is the socket of a conn that speaks TLS, as its conn sees it: what arrives is decrypted, what is put is encrypted. It has
// no memory but what is incomplete: records under way are encrypted in gnet's buffer, messages under way decrypted in kept.
type secure struct {
	gnet.Conn
	tls   *tls.Conn
	wire  *wire
	owner *Conn

	plain []byte // decrypted and not consumed: a part of kept if that is not nil, else of what the loop's conns share
	kept  []byte

	// Of an incomplete record, or message of TLS itself: its memory, as told to the driver's account, when it must be complete, and
	// how many bytes must be there before it is worth a look.
	rest   uint32
	restAt loop.Time
	need   int

	said, ended, broken bool // close_notify, by us and by the peer; nothing can be read any more
}

// sealing is what the TLS conns of a loop share.
type sealing struct {
	raw    bytes.Buffer // of the tls.Conn that is reading: see lendTLS
	plain  []byte       // decrypted in this callback
	sealed []byte       // encrypted, on its way to the socket
	joined []byte
}

// sealingKeptMax is the largest piece of memory that is kept for the next conn, in bytes.
const sealingKeptMax = 128 << 10

// What a peer may send at once that brings no data: key updates, empty records and warnings. Each costs up to a few microseconds
// and may ask for an answer. silentBytesMax is for messages of that kind in several records.
const (
	silentRecordsMax = 16
	silentBytesMax   = recordHeaderBytes + recordBytesMax
)

// unsentAnswersMax is how many bytes may wait for the socket when such an answer is added.
const unsentAnswersMax = 16 << 10

var errSilence = errors.New("reactor: too many TLS records without data")

// secured is the conn's TLS, nil if it has none.
func (c *Conn) secured() *secure {
	s, _ := c.gc.(*secure)
	return s
}

// secure makes c a conn that speaks TLS.
func (c *Conn) secure(secured *tls.Conn) *secure {
	s := &secure{Conn: c.gc, tls: secured, wire: secured.NetConn().(*wire), owner: c}
	s.wire.out = &c.driver.sealing.sealed
	s.wire.silent = 0 // what came in the handshake and to net/http, where nobody counts what brought data
	c.gc = s
	return s
}

// receive decrypts what has arrived. It reports whether the conn is there to look at it.
func (s *secure) receive() bool {
	c := s.owner
	if s.broken {
		drop(s.Conn, s.Conn.InboundBuffered())
		return c.state == stateLinger
	}
	err := s.decrypt()
	if s.send(); c.state == stateDead {
		return false
	}
	switch {
	case err == nil:
	case err == io.EOF:
		s.ended = true // once what came before has been handled, as after the end of a plain stream
	default:
		s.lose()
	}
	return true
}

// decrypt reads all complete records.
func (s *secure) decrypt() error {
	shared, w := &s.owner.driver.sealing, s.wire
	n := s.Conn.InboundBuffered()
	if n < s.need {
		return nil
	}
	carried := len(w.raw) > 0 // before what gnet has: when the conn has just come to the loop
	if carried {
		w.raw = append(w.raw, s.peekRaw(n)...)
		drop(s.Conn, n)
	} else {
		w.raw = s.peekRaw(n)
	}
	shared.plain = slices.Grow(shared.plain[:0], len(w.raw)+bytes.MinRead)
	lent := lendTLS(s.tls, &shared.raw)
	err := s.readAll()
	if lent {
		takeBackTLS(s.tls, &shared.raw)
	}
	if len(shared.plain) > 0 {
		s.restAt = 0
	}
	s.need = 0
	if !carried {
		if len(w.raw) >= recordHeaderBytes {
			s.need = recordBytes(w.raw)
		}
		drop(s.Conn, n-len(w.raw))
		w.raw = nil
	} else if len(w.raw) == 0 {
		w.raw = nil
	}
	s.keepOrder()
	return err
}

func (s *secure) peekRaw(n int) []byte {
	b, _ := s.Conn.Peek(n)
	return b[:n:n]
}

// readAll reads until there is no complete record, to the end of shared.plain.
func (s *secure) readAll() error {
	shared, w := &s.owner.driver.sealing, s.wire
	for silent := 0; ; {
		shared.plain = slices.Grow(shared.plain, bytes.MinRead)
		end, before := len(shared.plain), w.records
		n, err := s.tls.Read(shared.plain[end:cap(shared.plain)])
		shared.plain = shared.plain[:end+n]
		records := int(w.records - before)
		if n > 0 {
			w.silent = 0
			records = max(records-1, 0)
		}
		if silent += records; silent > silentRecordsMax || w.silent > silentBytesMax {
			return errSilence
		}
		if err == errWait {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// keepOrder puts what was decrypted behind what is kept.
func (s *secure) keepOrder() {
	plain := s.owner.driver.sealing.plain
	if len(s.plain) == 0 {
		s.plain, s.kept = plain, nil
		return
	}
	s.kept = append(s.plain, plain...)
	s.plain = s.kept
}

// settle ends a callback: what was not consumed is kept, and the peer's end is ours.
func (s *secure) settle() {
	c := s.owner
	if c.state == stateDead {
		return
	}
	if s.ended {
		c.hangUp()
		return
	}
	s.keep()
	s.unfinished()
	if shared := &c.driver.sealing; poisoned {
		poison(shared.plain[:cap(shared.plain)])
	}
}

// keep moves what is left of plain to memory of its own.
func (s *secure) keep() {
	switch {
	case len(s.plain) == 0:
		s.plain, s.kept = nil, nil
	case s.kept == nil:
		s.kept = append(s.kept, s.plain...)
		s.plain = s.kept
	case len(s.plain) <= cap(s.kept)/4: // of what was large, little is left
		s.kept = append([]byte(nil), s.plain...)
		s.plain = s.kept
	}
}

// unfinished keeps the account and the deadline of an incomplete record, or message of TLS itself, as Conn.incomplete does of what was
// decrypted.
func (s *secure) unfinished() {
	c, rest := s.owner, s.Conn.InboundBuffered()+len(s.wire.raw)+keptTLS(s.tls)
	if rest == 0 && s.rest == 0 {
		return
	}
	d, size := c.driver, uint32(bufferBytes(rest))
	d.account.add(int(size) - int(s.rest))
	s.rest = size
	switch {
	case rest > 0:
		d.holders[c] = struct{}{}
		if s.restAt == 0 {
			s.restAt = d.loop.Now().After(d.cfg.FragmentTimeout)
		}
		if c.state == stateOpen && (c.partialAt == 0 || c.partialAt > s.restAt) {
			c.partialAt = s.restAt
			c.rearm()
		}
	case c.held == 0:
		delete(d.holders, c)
		if len(s.plain) == 0 && c.partialAt != 0 {
			c.partialAt = 0
			c.rearm()
		}
	}
	if rest == 0 {
		s.restAt = 0
	}
}

// lose ends a conn whose records make no sense. crypto/tls has told the peer why, and takes and gives no data any more.
func (s *secure) lose() {
	c := s.owner
	c.driver.stats.tlsBroken.Add(1)
	s.broken, s.said = true, true
	s.plain, s.kept = nil, nil
	c.releaseQueue()
	c.expireAt, c.partialAt = 0, 0
	c.enter(stateLinger, min(lingerTimeout, c.driver.cfg.CloseTimeout))
}

// InboundBuffered implements gnet.Reader, like Peek and Discard for decrypted bytes.
func (s *secure) InboundBuffered() int { return len(s.plain) }

// Peek implements gnet.Reader.
func (s *secure) Peek(n int) ([]byte, error) {
	if n > len(s.plain) {
		return nil, io.ErrShortBuffer
	}
	if n <= 0 {
		n = len(s.plain)
	}
	return s.plain[:n], nil
}

// Discard implements gnet.Reader.
func (s *secure) Discard(n int) (int, error) {
	if n <= 0 || n > len(s.plain) {
		n = len(s.plain)
	}
	if s.plain = s.plain[n:]; len(s.plain) == 0 {
		s.plain, s.kept = nil, nil
	}
	return n, nil
}

// Write implements gnet.Writer: what is given to it together is one record, up to 16 KiB.
func (s *secure) Write(b []byte) (int, error) {
	if _, err := s.tls.Write(b); err != nil {
		_ = s.EventLoop().Close(s.Conn)
		return 0, err
	}
	s.send()
	return len(b), nil
}

// Writev implements gnet.Writer.
func (s *secure) Writev(iov [][]byte) (int, error) {
	shared := &s.owner.driver.sealing
	shared.joined = shared.joined[:0]
	for _, b := range iov {
		shared.joined = append(shared.joined, b...)
	}
	return s.Write(shared.joined)
}

// send gives the socket what the tls.Conn has written. The conn may be dead afterwards.
func (s *secure) send() {
	shared := &s.owner.driver.sealing
	sealed := shared.sealed
	shared.sealed = shared.sealed[:0]
	switch {
	case len(sealed) == 0:
	case s.OutboundBuffered() > unsentAnswersMax:
		// An answer to a peer that asks for more and more of them and takes none; data is only given while nothing waits.
		_ = s.EventLoop().Close(s.Conn)
	default:
		_, _ = s.Conn.Write(sealed) // on an error gnet closes the conn
	}
	if cap(shared.sealed) > sealingKeptMax {
		shared.sealed = nil
	}
}

// saidGoodbye reports that nothing follows which the peer could miss: if it has gone before, no write has failed it.
func (c *Conn) saidGoodbye() bool {
	s := c.secured()
	return s != nil && s.said
}

// sayGoodbye sends close_notify, if nothing waits for the socket. It reports whether the conn is still there.
func (s *secure) sayGoodbye() bool {
	c := s.owner
	if s.said || c.flags&flagHandedOff != 0 || s.OutboundBuffered() > 0 {
		return c.state != stateDead
	}
	s.said = true
	if err := s.tls.CloseWrite(); err == nil {
		s.send()
	}
	return c.state != stateDead
}

// gone is told when the conn has ended, or is somebody else's.
func (s *secure) gone() {
	c := s.owner
	c.driver.account.add(-int(s.rest))
	s.rest = 0
	delete(c.driver.holders, c)
	if c.flags&flagHandedOff == 0 {
		s.wire.uncount()
	}
	s.plain, s.kept = nil, nil
}

// leave takes the TLS off a conn that is handed off: the tls.Conn, whose wire has what arrived encrypted.
func (s *secure) leave() *tls.Conn {
	w, n := s.wire, s.Conn.InboundBuffered()
	w.raw = append(w.unread(), s.peekRaw(n)...)
	drop(s.Conn, n)
	return s.tls
}
