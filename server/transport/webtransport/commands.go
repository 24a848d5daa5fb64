package webtransport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"stentor/codec"
)

// readBytesMin is the room of a buffer that holds nothing yet.
const readBytesMin = 1 << 10

// errTooLong is the error of a command that is longer than it may be, or whose length makes no sense.
var errTooLong = errors.New("command too long")

// commands cuts a stream of bytes into whole commands.
type commands struct {
	from  io.Reader
	form  codec.Form
	limit int // of one command, in bytes

	buf  []byte
	used int // handed out by the last call of next
}

// next waits for more and returns all commands that are complete, one at least, delimited. They are good until the next call. Whatever
// length a command claims to have, there is room only for what has arrived, and for no more than twice the limit.
func (c *commands) next() ([]byte, error) {
	c.buf = slices.Delete(c.buf, 0, c.used)
	c.used = 0
	if len(c.buf) == 0 && cap(c.buf) > readBytesMin {
		c.buf = nil // what a large command needed
	}
	for {
		n, err := c.complete()
		if n > 0 {
			c.used = n
			return c.buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
}

// skip reads what comes until the stream ends, and forgets it.
func (c *commands) skip() error {
	c.buf = c.buf[:0]
	for {
		if err := c.read(); err != nil {
			return err
		}
		c.buf = c.buf[:0]
	}
}

// read appends what has arrived.
func (c *commands) read() error {
	if len(c.buf) == cap(c.buf) {
		c.buf = slices.Grow(c.buf, max(readBytesMin, len(c.buf)))
	}
	n, err := c.from.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// complete is how many bytes of the buffer are whole commands. The error is about the one that follows them, which counts when there
// are none.
func (c *commands) complete() (n int, err error) {
	if c.form == codec.Protobuf {
		return c.completeProtobuf()
	}
	return c.completeJSON()
}

func (c *commands) completeJSON() (n int, err error) {
	for {
		size := bytes.IndexByte(c.buf[n:], '\n')
		switch {
		case size > c.limit || size < 0 && len(c.buf)-n > c.limit:
			return n, errTooLong
		case size < 0:
			return n, nil
		}
		n += size + 1
	}
}

func (c *commands) completeProtobuf() (n int, err error) {
	for {
		size, head := binary.Uvarint(c.buf[n:])
		switch {
		case head < 0 || head > 0 && size > uint64(c.limit):
			return n, errTooLong
		case head == 0 || uint64(len(c.buf)-n-head) < size:
			return n, nil
		}
		n += head + int(size)
	}
}
