package pipe

import "stentor/codec"

// refBytes is what a queued reference costs by itself: it is in one of two slices, half of whose room may be free.
const refBytes = 16

// Send queues a frame. It reports whether that will be sent: false if the conn is closing, or closes now because it is owed more than
// Config.QueueBytesMax. Only for the loop.
func (c *Conn) Send(f *codec.Frame) bool {
	limit := c.pipes.cfg.QueueBytesMax
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return false
	}
	c.push(f)
	fits := c.owed() <= limit || c.dropBacklog(limit)
	c.mu.Unlock()
	if !fits {
		c.pipes.cfg.Guests.Slow()
		c.endSlow()
	}
	c.soil()
	return fits
}

// Close sends what is queued and then tells the client why it ends, if it can be told. A second Close does nothing. Only for the loop.
func (c *Conn) Close(d codec.Disconnect) {
	if c.Ended() {
		return
	}
	c.close(d, nil)
	c.soil()
}

// close ends the conn, after before has been done to it. "Connection closed" never appears on the wire.
func (c *Conn) close(d codec.Disconnect, before func()) {
	last := c.farewell(d) // without the lock: it is the session's code
	c.mu.Lock()
	defer c.mu.Unlock()
	if before != nil {
		before()
	}
	if c.state != stateOpen {
		return
	}
	if d.Code != codec.DisconnectConnectionClosed.Code {
		c.code = uint16(d.Code)
	}
	if last != nil {
		c.push(last)
	}
	c.state = stateClosing
}

// farewell is the last message, nil if there is none.
func (c *Conn) farewell(d codec.Disconnect) *codec.Frame {
	if c.teller == nil {
		return nil
	}
	buf := c.teller.AppendFarewell(make([]byte, codec.HeaderRoom), d)
	if len(buf) == codec.HeaderRoom {
		return nil
	}
	return codec.NewFrame(c.form, buf)
}

// push needs the lock.
func (c *Conn) push(f *codec.Frame) {
	c.queue.push(f)
	c.owing += hold(f)
}

// owed is how many bytes the client is yet to get, so far as we know. It needs the lock.
func (c *Conn) owed() int { return c.queue.bytes + c.writing }

// Weight implements reactor.Guest.
func (c *Conn) Weight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.bytes
}

// Shed implements reactor.Guest. Slow counts those, too.
func (c *Conn) Shed() {
	c.pipes.cfg.Guests.Slow()
	c.endSlow()
	c.settle()
	c.soil()
}

// endSlow ends a client that does not take what it is owed, forgetting what it has seen nothing of.
func (c *Conn) endSlow() {
	if c.Ended() {
		c.forget()
		return
	}
	c.close(c.pipes.cfg.Slow, func() { c.owing -= release(c.queue.empty()) })
}

// forget empties the queue.
func (c *Conn) forget() {
	c.mu.Lock()
	frames := c.queue.empty()
	c.mu.Unlock()
	c.owing -= release(frames)
}

// dropBacklog makes room in a queue that has passed limit, in bytes: first what is stale, then the oldest. A client whose queue stays
// over the limit, or from which not even a quarter of the limit can be taken, is slow with what must not be dropped: false. The
// quarter makes a look through the whole queue rare. It needs the lock.
func (c *Conn) dropBacklog(limit int) bool {
	before, most := c.owed(), limit*3/4
	dropped, stale := c.queue.dropStale(nil)
	left := c.owed()
	dropped = c.queue.dropOldest(left-most, dropped)
	c.owing -= release(dropped)
	c.pipes.cfg.Guests.Dropped(stale, len(dropped)-stale)
	owed := c.owed()
	return owed <= most || owed <= limit && before-owed >= limit-most
}

// soil asks for a Flush at the end of the turn.
func (c *Conn) soil() {
	if !c.dirty {
		c.dirty = true
		c.loop.Dirty(c)
	}
}

// burdenBytesMin is how much a client must be owed to be among those that end when all of them together are owed too much.
const burdenBytesMin = 4 << 10

// Flush wakes the writer, once for all that was noted in the turn (loop.Flusher).
func (c *Conn) Flush() {
	c.dirty = false
	c.settle()
	if c.recv != nil && c.Weight() >= burdenBytesMin {
		c.pipes.cfg.Guests.Burden(c.loop.ID(), c)
	}
	c.rouse()
}

// settle tells the memory that what was noted holds.
func (c *Conn) settle() {
	if c.owing != 0 {
		c.pipes.cfg.Guests.Owe(c.owing)
		c.owing = 0
	}
}

// writeBytesMax is how much is written at once: what a slow client has to take within Config.WriteTimeout.
const writeBytesMax = 64 << 10

// take gives the writer what waits, writeBytesMax of it at the most, but a whole frame at the least. more says that some is left, closing
// that nothing is added to it.
func (c *Conn) take() (frames []*codec.Frame, more, closing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateEnded {
		return nil, false, true
	}
	if c.queue.bytes <= writeBytesMax {
		frames, c.queue.frames = c.queue.frames, c.spare
		c.spare = nil
		c.writing, c.queue.bytes = c.queue.bytes, 0
	} else {
		frames, c.writing = c.queue.front(writeBytesMax)
	}
	return frames, len(c.queue.frames) > 0, c.state == stateClosing
}

// sparedFramesMax is the largest room, in frames, that is kept for the next ones.
const sparedFramesMax = 64

// written takes back what take gave.
func (c *Conn) written(frames []*codec.Frame) {
	c.pipes.cfg.Guests.Owe(-release(frames))
	clear(frames)
	c.mu.Lock()
	c.writing = 0
	if cap(frames) <= sparedFramesMax {
		c.spare = frames[:0]
	}
	c.mu.Unlock()
}
