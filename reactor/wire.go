package reactor

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// wire is the net.Conn under a tls.Conn. It is on a loop, where it has the records that have arrived and never waits, or off the
// loops, during the handshake and at net/http, where it reads from a socket. Either way it lets a tls.Conn have the current record
// and no byte of the next, so that the tls.Conn is empty between two records, and can change from one side to the other.
//
// crypto/tls takes up a Read again that has failed with a temporary net.Error, in the middle of a record or of a message after the
// handshake; every other error is final.
type wire struct {
	raw     []byte // has come, and the tls.Conn does not have it yet
	left    int    // of the current record, in bytes; 0 between records
	records uint32 // begun
	silent  uint32 // bytes of records since the last that brought data; for secure.decrypt

	out *[]byte // on a loop: where what the tls.Conn writes is gathered

	conn      net.Conn   // off the loops: the socket
	buf       []byte     // off the loops: what raw is a part of
	handshake *handshake // during the handshake: it gives its turn away while it waits
	version   tlsVersion
	counted   atomic.Pointer[counters] // has the conn among the open ones; nil if it does not
}

// recordBytesMax is the largest body of a record that crypto/tls takes.
const recordBytesMax = 16<<10 + 2<<10

// plausible reports whether b begins with the header of a record. All else is shown to the tls.Conn at once, to be refused: who
// knows how long it would take to come.
func plausible(b []byte) bool { return b[1] == 3 && recordBytes(b) <= recordHeaderBytes+recordBytesMax }

// wireBufferBytes is the size of buf: most of what clients say fits.
const wireBufferBytes = 4 << 10

// errWait is a temporary net.Error.
var errWait net.Error = waitError{}

type waitError struct{}

func (waitError) Error() string   { return "the rest of the record has not arrived" }
func (waitError) Timeout() bool   { return true }
func (waitError) Temporary() bool { return true }

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if w.left == 0 {
		if err := w.nextRecord(); err != nil {
			return 0, err
		}
	}
	p = p[:min(len(p), w.left)]
	n, err := copy(p, w.raw), error(nil)
	switch {
	case n > 0:
		w.raw = w.raw[n:]
	case w.conn == nil:
		return 0, errWait
	default:
		n, err = w.receive(p)
	}
	w.left -= n
	return n, err
}

// nextRecord begins a record. On a loop it waits for all of it, so that the tls.Conn need not keep a part.
func (w *wire) nextRecord() error {
	for len(w.raw) < recordHeaderBytes {
		if w.conn == nil {
			return errWait
		}
		if err := w.fill(); err != nil {
			return err
		}
	}
	size := recordBytes(w.raw)
	if w.conn == nil && len(w.raw) < size && plausible(w.raw) {
		return errWait
	}
	w.left = size
	w.records++
	w.silent += uint32(size)
	return nil
}

// recordBytes is the size of the record that b begins with.
func recordBytes(b []byte) int { return recordHeaderBytes + int(binary.BigEndian.Uint16(b[3:])) }

// fill reads what there is.
func (w *wire) fill() error {
	if w.buf == nil {
		w.buf = make([]byte, wireBufferBytes)
	}
	have := copy(w.buf, w.raw) // a part of a header
	w.raw = w.buf[:have]       // the hello is not kept while the client is waited for
	n, err := w.receive(w.buf[have:])
	w.raw = w.buf[:have+n]
	if n > 0 {
		return nil
	}
	if err == io.EOF && have > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (w *wire) receive(p []byte) (n int, err error) {
	if w.handshake == nil {
		return w.conn.Read(p)
	}
	w.handshake.pause(func() { n, err = w.conn.Read(p) })
	return n, err
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (n int, err error) {
	switch {
	case w.conn == nil:
		*w.out = append(*w.out, p...)
		return len(p), nil
	case w.handshake == nil:
		return w.conn.Write(p)
	}
	w.handshake.pause(func() { n, err = w.conn.Write(p) })
	return n, err
}

// unread takes what has come and was not given to the tls.Conn. The caller may keep it.
func (w *wire) unread() []byte {
	raw := append([]byte(nil), w.raw...)
	w.raw, w.buf = nil, nil
	return raw
}

// Close implements net.Conn. On a loop it is the conn that is closed, by others.
func (w *wire) Close() error {
	if w.conn == nil {
		return nil
	}
	w.uncount()
	return w.conn.Close()
}

func (w *wire) LocalAddr() net.Addr {
	if w.conn == nil {
		return nil
	}
	return w.conn.LocalAddr()
}

func (w *wire) RemoteAddr() net.Addr {
	if w.conn == nil {
		return nil
	}
	return w.conn.RemoteAddr()
}

func (w *wire) SetDeadline(t time.Time) error {
	if w.conn == nil {
		return nil
	}
	return w.conn.SetDeadline(t)
}

func (w *wire) SetReadDeadline(t time.Time) error {
	if w.conn == nil {
		return nil
	}
	return w.conn.SetReadDeadline(t)
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.conn == nil {
		return nil
	}
	return w.conn.SetWriteDeadline(t)
}

// tlsVersion is what open conns are counted by.
type tlsVersion uint8

const (
	tls12 tlsVersion = iota // and older ones, where the tls.Config allows them
	tls13
	tlsVersions
)

// count has the conn among the open ones until uncount, whoever has it.
func (w *wire) count(s *counters, v tlsVersion) {
	w.version = v
	s.tls[v].Add(1)
	w.counted.Store(s)
}

func (w *wire) uncount() {
	if s := w.counted.Swap(nil); s != nil {
		s.tls[w.version].Add(-1)
	}
}
