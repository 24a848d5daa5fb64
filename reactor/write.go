package reactor

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeBytesMin and writeBytesMax bound how much gnet is given at once: in between it is what the socket buffers, if that is
// known. What the socket does not take is copied, for each conn.
const (
	writeBytesMin = 16 << 10
	writeBytesMax = 64 << 10
)

// iovecsMax is how many frames go into one writev(2); beyond that x/sys allocates, and copying them together costs less.
const iovecsMax = 8

func writeBytes(sendBuffer int) int {
	if sendBuffer == 0 {
		return writeBytesMax
	}
	return min(max(sendBuffer, writeBytesMin), writeBytesMax)
}

// Write queues b, a whole ws frame, or whole chunks of a stream. The bytes are shared: they must never change, and the conn refers to
// them until the socket has taken them. All that is queued in a turn of the loop goes out in one write at its end.
//
// Write reports whether b will be sent: false if the conn is closing, or closes now with Config.Slow because it owes more than
// Config.QueueBytesMax that the socket does not take.
func (c *Conn) Write(b []byte) bool { return c.write(b, 0) }

// WriteCopy is Write of bytes that the caller will use again.
func (c *Conn) WriteCopy(b []byte) bool {
	if c.state != stateOpen {
		return false
	}
	c.noteCopy(b)
	return c.bounded()
}

func (c *Conn) write(b []byte, f fate) bool {
	if c.state != stateOpen {
		return false
	}
	c.noteAs(b, f)
	return c.bounded()
}

// bounded reports whether the conn owes no more than it may, or no longer does after a write, after dropping what may be dropped. If
// not, it is closed.
func (c *Conn) bounded() bool {
	limit := c.driver.cfg.QueueBytesMax
	if c.owed() <= limit {
		return true
	}
	c.relieve()
	if c.state == stateOpen && c.owed() > limit && !c.dropBacklog(limit) {
		c.failSlow()
	}
	return c.state == stateOpen
}

// relieve writes before the end of the turn, to tell a peer that is slow from one that was given much at once. A receiver is in
// the middle of Write, so that Closed has to wait if the socket turns out to be broken.
func (c *Conn) relieve() {
	c.flags |= flagWriting
	c.push()
	c.flags &^= flagWriting
}

// owed is how many bytes the peer is yet to get, so far as we know.
func (c *Conn) owed() int {
	n := int(c.firstBytes)
	if q := c.queue; q != nil {
		n += q.bytes + q.out + len(q.pong)
	}
	return n
}

// note queues b for the end of the callback or turn.
func (c *Conn) note(b []byte) { c.noteAs(b, 0) }

// noteAs does not keep the fate of the first frame of a turn: if the socket does not take that one it has usually begun it.
func (c *Conn) noteAs(b []byte, f fate) {
	switch {
	case len(b) == 0:
	case c.first == nil && c.queue == nil:
		c.first, c.firstBytes = &b[0], uint32(len(b))
	default:
		c.enqueue(ref{p: &b[0], size: uint32(len(b)), at: uint32(f)})
	}
	c.dirty()
}

// noteCopy is note of bytes that are used again. Answers to the conn's own input are joined in memory of the driver, to leave in one
// write at the end of the callback; see driver.flushCurrent. All else gets memory of its own, also what follows a shared frame.
func (c *Conn) noteCopy(b []byte) {
	d := c.driver
	joins := c.first != nil && c.first == unsafe.SliceData(d.answer)
	if len(b) == 0 || d.current != c || c.queue != nil || c.first != nil && !joins {
		c.note(bytes.Clone(b))
		return
	}
	if !joins {
		d.answer = d.answer[:0]
	}
	d.answer = append(d.answer, b...)
	c.first, c.firstBytes = &d.answer[0], uint32(len(d.answer))
}

func (c *Conn) enqueue(r ref) {
	q := c.ensureQueue()
	q.push(r)
	if c.flags&flagSlow != 0 {
		c.driver.account.ref(r)
		c.tellWeight()
	}
}

// ensureQueue moves what is noted into a queue.
func (c *Conn) ensureQueue() *queue {
	if c.queue == nil {
		c.queue = c.driver.queues.get()
		if c.first != nil {
			c.queue.push(ref{p: c.first, size: c.firstBytes})
			c.first, c.firstBytes = nil, 0
		}
	}
	return c.queue
}

// dirty asks for a Flush at the end of the turn. The conn whose input is being handled gets one without asking, and a slow one
// is looked after by the sweep.
func (c *Conn) dirty() {
	if c.flags&(flagDirty|flagSlow) == 0 && c.driver.current != c {
		c.flags |= flagDirty
		c.driver.loop.Dirty(c.resident())
	}
}

// Flush implements loop.Flusher.
func (r *resident) Flush() {
	c := r.conn()
	defer c.driver.survive(c, "write")
	c.flags &^= flagDirty
	if c.state == stateDead {
		return
	}
	if c.flags&flagSlow == 0 {
		c.push()
	}
	c.settled()
}

// push writes what is owed until the socket takes no more; then the conn is slow. The conn may be dead afterwards.
func (c *Conn) push() {
	for c.unsent() == 0 && c.pending() {
		if c.writeOnce(); c.state == stateDead {
			return
		}
	}
	c.judge()
}

func (c *Conn) pending() bool {
	return c.first != nil || c.queue != nil && (!c.queue.empty() || c.queue.pong != nil)
}

// writeOnce gives gnet driver.writeBytes at most, in one system call.
func (c *Conn) writeOnce() {
	if c.first != nil && int(c.firstBytes) <= c.driver.writeBytes {
		b := unsafe.Slice(c.first, c.firstBytes)
		c.first, c.firstBytes = nil, 0
		c.put(b)
		return
	}
	d, q := c.driver, c.ensureQueue()
	if q.pong != nil && (q.empty() || q.refs[q.head].begun() == 0) {
		b := q.pong
		q.pong = nil
		c.put(b)
		return
	}
	iov := q.gather(d.iov[:0], d.writeBytes)
	d.iov = iov
	n := 0
	for _, b := range iov {
		n += len(b)
	}
	q.consume(n, c.queueAccount())
	switch {
	case len(iov) == 1:
		c.put(iov[0])
	case len(iov) <= iovecsMax:
		c.putAll(iov)
	default:
		d.joined = d.joined[:0]
		for _, b := range iov {
			d.joined = append(d.joined, b...)
		}
		c.put(d.joined)
	}
	clear(iov)
}

func (c *Conn) queueAccount() *account {
	if c.flags&flagSlow == 0 {
		return nil
	}
	return &c.driver.account
}

// judge decides after a write whether the conn is slow, and keeps the account of it.
func (c *Conn) judge() {
	out := c.unsent()
	if out == 0 && !c.pending() {
		c.releaseQueue()
		return
	}
	d, q := c.driver, c.ensureQueue()
	if c.flags&flagSlow == 0 {
		c.flags |= flagSlow
		for _, r := range q.refs[q.head:] {
			d.account.ref(r)
		}
		d.slow.add(c)
	}
	d.account.add(bufferBytes(out) - bufferBytes(q.out))
	q.out = out
	c.tellWeight()
}

// releaseQueue forgets all that is owed.
func (c *Conn) releaseQueue() {
	c.first, c.firstBytes = nil, 0
	q := c.queue
	if q == nil {
		return
	}
	if c.flags&flagSlow != 0 {
		a := &c.driver.account
		for _, r := range q.refs[q.head:] {
			a.unref(r)
		}
		a.add(-bufferBytes(q.out))
		c.flags &^= flagSlow
	}
	c.queue = nil
	c.driver.queues.put(q)
}

// dropUnsent forgets the frames of which the peer has seen nothing.
func (c *Conn) dropUnsent() {
	c.ensureQueue().keepStarted(c.queueAccount())
}

// settled does what waits for everything to be sent.
func (c *Conn) settled() {
	if c.owed() > 0 {
		return
	}
	switch {
	case c.state == stateClosing && c.flags&flagPeerClosed != 0:
		c.hangUp()
	case c.state == stateIdle && c.waiting() > 0:
		c.receiveNext()
		if s := c.secured(); s != nil {
			s.settle()
		}
	case c.state == stateLinger && c.flags&flagShut == 0:
		c.flags |= flagShut
		if s := c.secured(); s != nil && !s.sayGoodbye() {
			return
		}
		_ = unix.Shutdown(c.gc.Fd(), unix.SHUT_WR) // an error means that the peer is gone, which gnet will tell
	}
}

// lastWrite is for a peer that has ended its side: what was noted in this turn may still reach it.
func (c *Conn) lastWrite() {
	if c.pending() {
		c.writeOnce()
	}
}
