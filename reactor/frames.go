package reactor

import "stentor/codec/ws"

// pongsMax is how many pings of one callback are answered one by one; of those beyond it only the newest is (RFC 6455 section
// 5.5.3 allows that for all of them), so that a flood of pings costs next to nothing.
const pongsMax = 16

// receiveFrames takes what has arrived apart into messages and control frames.
func (c *Conn) receiveFrames() {
	d := c.driver
	n := c.arrived()
	buf, carried := c.carried(n)
	if !carried {
		if n < int(c.need) {
			c.incomplete(n, false)
			return
		}
		if n == 0 {
			return
		}
		buf = c.peek(n)
	}
	used, messages := c.dispatch(buf)
	if c.state == stateDead {
		return
	}
	if carried {
		d.carryOn(c, buf[used:])
		c.incomplete(len(buf)-used, messages)
		return
	}
	c.discard(used)
	c.incomplete(n-used, messages)
}

// dispatch acts on all complete ws frames of buf. It returns how many bytes those were and whether a message was among them.
func (c *Conn) dispatch(buf []byte) (used int, messages bool) {
	var pongs []byte
	var pings int
	for c.state == stateOpen || c.state == stateClosing {
		ev, n, need, err := c.reader.Next(buf[used:], int(c.limit))
		used += n
		c.need = uint32(need)
		if err != nil {
			c.sendPongs(pongs)
			c.violated(err)
			return len(buf), messages
		}
		switch ev.Kind {
		case ws.EventNone:
			c.sendPongs(pongs)
			return used, messages
		case ws.EventMessage, ws.EventDeflated:
			messages = true
			if pings <= pongsMax {
				c.sendPongs(pongs) // before the replies to what came later
				pongs = nil
			}
			if c.state == stateOpen && c.flags&flagDeaf == 0 && c.recv != nil {
				if err := c.receive(&ev); err != nil {
					c.violated(err)
					return len(buf), messages
				}
			}
		case ws.EventPing:
			if c.state != stateOpen {
				break
			}
			if pings++; pings > pongsMax {
				pongs = pongs[:0]
			}
			pongs = ws.AppendFrame(pongs, ws.OpPong, ev.Payload)
		case ws.EventPong:
			if p, ok := c.recv.(PongReceiver); ok && c.state == stateOpen {
				p.Pong()
			}
		case ws.EventClose:
			c.sendPongs(pongs)
			c.peerClosed(ev.Code)
			return len(buf), messages
		}
	}
	return len(buf), messages
}

// receive hands a message to the receiver, inflated if it is compressed.
func (c *Conn) receive(ev *ws.Event) error {
	if ev.Kind == ws.EventMessage {
		c.give(ev.Payload)
		return nil
	}
	defer c.driver.inflation.inflater.Trim()
	msg, err := c.driver.inflate(ev)
	if err == nil {
		c.give(msg)
	}
	return err
}

func (c *Conn) give(msg []byte) {
	c.recv.Receive(msg)
	if poisoned {
		poison(msg)
	}
}

func poison(b []byte) {
	for i := range b {
		b[i] = 0xdd
	}
}

// sendPongs queues the pongs of one callback. On a slow conn the newest replaces one that still waits.
func (c *Conn) sendPongs(pongs []byte) {
	if len(pongs) == 0 || c.state != stateOpen {
		return
	}
	if c.flags&flagSlow == 0 {
		c.note(pongs)
		return
	}
	c.queue.pong = newestPong(pongs)
}

// newestPong is the last frame of pongs: short server frames, two bytes of header each.
func newestPong(pongs []byte) []byte {
	for {
		size := 2 + int(pongs[1])
		if size == len(pongs) {
			return pongs
		}
		pongs = pongs[size:]
	}
}

// peerClosed answers the peer's close frame with its own code, unless it was itself an answer.
func (c *Conn) peerClosed(code uint16) {
	if c.state == stateOpen {
		c.beginClose(code)
		c.note(c.driver.closeFrame(code, "")) // CodeNoStatus gives an empty one
	}
	c.flags |= flagPeerClosed
}

// violated ends the conn because of what the peer sent.
func (c *Conn) violated(err error) {
	c.driver.stats.violations.Add(1)
	if e, ok := err.(*ws.Error); ok {
		c.fail(e.Code, e.Reason)
		return
	}
	c.fail(ws.CodeProtocolError, err.Error())
}

// incomplete keeps the account and the deadline of what is left in the buffers: a message that has begun must end in time, and
// control frames in between win it none.
func (c *Conn) incomplete(left int, progress bool) {
	held := left
	if c.reader.Partial() {
		held += max(c.reader.Held(), 1)
	}
	if held == 0 {
		if c.held > 0 || c.partialAt != 0 {
			c.hold(0)
			c.partialAt = 0
			c.rearm()
		}
		return
	}
	c.hold(held)
	if c.state == stateOpen && (c.partialAt == 0 || progress) {
		c.partialAt = c.driver.loop.Now().After(c.driver.cfg.FragmentTimeout)
		c.rearm()
	}
}

// carried returns, joined with n new bytes, what came before them and not through gnet: after an adoption.
func (c *Conn) carried(n int) (buf []byte, ok bool) {
	d := c.driver
	if len(d.carry) == 0 {
		return nil, false
	}
	buf, ok = d.carry[c]
	if ok && n > 0 {
		fresh := c.peek(n)
		buf = append(buf, fresh...)
		c.discard(n)
	}
	return buf, ok
}

// carryOn keeps what dispatch left of the carried bytes.
func (d *driver) carryOn(c *Conn, rest []byte) {
	if len(rest) == 0 {
		delete(d.carry, c)
		return
	}
	d.carry[c] = rest
}
