package ws

import (
	"io"

	"github.com/klauspost/compress/flate"
)

const (
	// DeflateBytesMax is the longest payload that is compressed, in bytes, and DeflateSlowBytesMax the same for levels above
	// DeflateQuickMax, which search much longer: either takes about a millisecond, in which its loop serves nobody else.
	DeflateBytesMax     = 128 << 10
	DeflateSlowBytesMax = 16 << 10
	DeflateQuickMax     = 6
	// DeflateLevelMin and DeflateLevelMax are the levels of a Deflater: from quick to thorough.
	DeflateLevelMin = 1
	DeflateLevelMax = 9
)

// deflateTail ends what a flush leaves, and is not sent (RFC 7692 section 7.2.1).
const deflateTail = "\x00\x00\xff\xff"

// Deflater compresses payloads, each by itself: no context is taken over, so one serves any number of conns. It is for one
// goroutine at a time.
type Deflater struct {
	level              int
	bytesMin, bytesMax int
	writer             *flate.Writer // made when first needed: it is some hundred kilobytes
	out                appender
}

// NewDeflater makes a compressor of a level for payloads of at least bytesMin bytes.
func NewDeflater(level, bytesMin int) *Deflater {
	d := &Deflater{level: min(max(level, DeflateLevelMin), DeflateLevelMax), bytesMin: bytesMin, bytesMax: DeflateBytesMax}
	if level > DeflateQuickMax {
		d.bytesMax = DeflateSlowBytesMax
	}
	return d
}

// Frame makes the whole ws frame of a server with payload compressed, in memory of its own. It is nil where the plain frame
// serves better: for a payload that is too short or too long, and for one that does not get smaller.
func (d *Deflater) Frame(op OpCode, payload []byte) []byte {
	if len(payload) < d.bytesMin || len(payload) > d.bytesMax {
		return nil
	}
	d.out.buf = d.out.buf[:0]
	if d.compress(payload) != nil {
		return nil
	}
	n := len(d.out.buf) - len(deflateTail)
	if n >= len(payload) || string(d.out.buf[n:]) != deflateTail {
		return nil
	}
	frame := AppendHeader(make([]byte, 0, HeaderSize(n)+n), op, true, n)
	frame[0] |= rsv1Bit
	return append(frame, d.out.buf[:n]...)
}

// compress appends payload and a flush to out. Neither can fail, as out does not.
func (d *Deflater) compress(payload []byte) (err error) {
	if d.writer == nil {
		d.writer, err = flate.NewWriter(&d.out, d.level)
		if err != nil {
			return err
		}
	} else {
		d.writer.Reset(&d.out)
	}
	if _, err = d.writer.Write(payload); err != nil {
		return err
	}
	return d.writer.Flush()
}

// appender is a writer into memory.
type appender struct{ buf []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.buf = append(a.buf, p...)
	return len(p), nil
}

var _ io.Writer = (*appender)(nil)
