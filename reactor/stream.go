package reactor

import "stentor/codec/ws"

// A stream is a response without an end: its conn is open as a WebSocket is, and owes, drops and is accounted for in the same way.
// What is written to it is whole chunks, so that whatever is dropped, the chunk that has begun is finished.

// Where a WebSocket has its limit of messages, a stream has one of these.
const (
	limitStream  uint32 = 1<<31 + iota // ends with its conn: HTTP/1.0
	limitChunked                       // chunked: HTTP/1.1
)

// streamInputBytesMax is how much a client may send on a stream, where it has nothing to say; it is dropped.
const streamInputBytesMax = 16 << 10

// Farewell is a Receiver that says something to the peer before its stream ends, or its WebSocket with a close frame.
type Farewell interface {
	// Farewell makes the last frame of a conn that is closed with code, which is not 0, by its owner or by the reactor; in whole chunks
	// if it is a chunked stream. It may be nil. The conn refers to the bytes until the socket has taken them. It is called inside
	// Conn.Close.
	Farewell(code uint16, reason string) []byte
}

// Stream begins an answer that does not end before the conn does, instead of Respond. From now on recv is the conn's receiver, also if
// another one was given to Await, which hears no more. The conn is open: it can be written to, armed, and closed. Its Receive is never
// called, as the peer has nothing to say, and the peer's end, even of its own side only, ends the stream.
//
// Stream reports whether an answer was due; otherwise recv is not used. An answer to HEAD ends with its head: then recv is told
// Closed after the callback, and Stream returns false.
func (c *Conn) Stream(r Response, recv Receiver) bool {
	x, due := c.answerDue()
	if !due {
		return false
	}
	if x.head {
		x.recv = recv
		r.Close = true
		c.Respond(r)
		return false
	}
	d := c.driver
	body, limit := byEnd, limitStream
	if x.http11 {
		body, limit = byChunks, limitChunked
	}
	r.Close = true // a proxy must not take the end for that of one of many answers
	head := r.appendHead(d.joined[:0], d.date.get(d.loop.Now()), body, 0)
	if x.http11 {
		head = AppendChunk(head, r.Body)
	} else {
		head = append(head, r.Body...)
	}
	c.recv, c.state, c.limit = recv, stateOpen, limit
	c.stateAt, c.need = 0, 0
	c.rearm()
	d.streams.Add(1)
	c.noteCopy(head)
	if cap(head) <= writeBytesMax {
		d.joined = head
	}
	c.need = uint32(c.waiting())
	c.drain()
	if s := c.secured(); s != nil {
		s.unfinished() // it has a deadline from now on
	}
	return true
}

// Chunked reports whether what is written must be in chunks, each whole; see AppendChunk. It is false for a stream to a client of
// HTTP/1.0, which ends with the conn, and for a WebSocket.
func (c *Conn) Chunked() bool { return c.limit == limitChunked }

func (c *Conn) isStream() bool { return c.limit >= limitStream }

// receiveStream drops what a client sends on a stream, and ends the conn if that is much.
func (c *Conn) receiveStream() {
	n := c.arrived()
	c.discard(n)
	if c.need += uint32(n); c.need > streamInputBytesMax && c.state == stateOpen {
		c.driver.stats.early.Add(1)
		c.Close(ws.CodePolicyViolation, "input on a stream")
	}
}

// closeStream is Close of a stream. What the peer still sends is dropped until it ends, too.
func (c *Conn) closeStream(code uint16, reason string) {
	c.beginClose(code)
	c.state = stateLinger
	if f, ok := c.recv.(Farewell); ok && code != 0 {
		c.note(f.Farewell(code, reason))
	}
	if c.Chunked() {
		c.note(lastChunk)
	}
	c.dirty() // there may be nothing to say
}
