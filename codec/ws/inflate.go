package ws

import (
	"bytes"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

const (
	inflatedBytesMin = 4 << 10
	// inflatedBytesKept is the largest buffer that Trim leaves for the next message, in bytes.
	inflatedBytesKept = 64 << 10
)

// inflateTail stands for the tail that the sender has left out, and behind it a last, empty block: without one the reader could
// not tell the end of a message from a message that was cut.
const (
	inflateTail = deflateTail + lastBlock
	lastBlock   = "\x01\x00\x00\xff\xff"
)

// Inflater decompresses whole messages, each by itself (RFC 7692 section 7.2.2). One serves any number of conns. It is for one
// goroutine at a time. The zero value is ready.
type Inflater struct {
	source bytes.Reader
	reader io.ReadCloser // made when first needed: its window is 32 KiB
	in     []byte        // the message and its tail
	out    []byte
}

// Inflate decompresses the payload of a message of kind op. The result is valid until the next call, or Trim. It is never longer than
// limit, and neither is the buffer that it is made in, whatever the payload would become.
//
// err is an *Error: 1009 for a result longer than limit, 1007 for a payload that is not what a compressor makes, cut or refers to
// an earlier message, and for a text that is not UTF-8.
func (z *Inflater) Inflate(op OpCode, payload []byte, limit int) (message []byte, err error) {
	z.in = append(append(z.in[:0], payload...), inflateTail...)
	z.source.Reset(z.in)
	if z.reader == nil {
		z.reader = flate.NewReader(&z.source)
	} else if err := z.reader.(flate.Resetter).Reset(&z.source, nil); err != nil {
		return nil, errInflate
	}
	z.out = z.out[:0]
	if err := z.fill(min(limit, MessageBytesMax)); err != nil {
		return nil, err
	}
	if !z.ended(payload) {
		return nil, errInflate
	}
	if op == OpText && !utf8.Valid(z.out) {
		return nil, errTextUTF8
	}
	return z.out, nil
}

// Trim gives back what a large message took. The caller does so when it is done with what Inflate returned, or right after an error.
func (z *Inflater) Trim() {
	if cap(z.out) > inflatedBytesKept {
		z.out = nil
	}
	if cap(z.in) > inflatedBytesKept {
		z.in = nil
		z.source.Reset(nil) // which had it, too
	}
}

// Made is how many bytes the last call made of its message, also if it failed.
func (z *Inflater) Made() int { return len(z.out) }

// fill reads all that there is into out.
func (z *Inflater) fill(limit int) error {
	for len(z.out) < limit {
		if len(z.out) == cap(z.out) {
			room := min(limit, max(inflatedBytesMin, 2*cap(z.out)))
			z.out = append(make([]byte, 0, room), z.out...)
		}
		n, err := z.reader.Read(z.out[len(z.out):min(cap(z.out), limit)])
		z.out = z.out[:len(z.out)+n]
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return errInflate
		}
	}
	return z.atLimit()
}

// atLimit tells whether the message ends where no byte more is allowed.
func (z *Inflater) atLimit() error {
	var more [1]byte
	switch n, err := io.ReadFull(z.reader, more[:]); {
	case n > 0:
		return errMessageSize
	case err == io.EOF:
		return nil
	default:
		return errInflate
	}
}

// ended reports that the message ends with its payload. Some compressors end it with a last block of their own, which may be
// the one that lost its tail, or put a zero byte behind that in place of the flush (section 7.2.3.4).
func (z *Inflater) ended(payload []byte) bool {
	switch z.source.Len() {
	case 0, len(lastBlock), len(inflateTail):
		return true
	case len(inflateTail) + 1:
		return len(payload) > 0 && payload[len(payload)-1] == 0
	default:
		return false
	}
}
