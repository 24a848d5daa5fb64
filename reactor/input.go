package reactor

// The input of a conn that still speaks HTTP: what came before gnet's, if it was adopted from net/http, and what gnet has.

// waiting is how many bytes of input wait.
func (c *Conn) waiting() int {
	n := c.arrived()
	if len(c.driver.carry) > 0 {
		n += len(c.driver.carry[c])
	}
	return n
}

// input returns all that waits. consume must be called for it before it is asked for again.
func (c *Conn) input() []byte {
	n := c.arrived()
	if buf, carried := c.carried(n); carried {
		return buf
	}
	if n == 0 {
		return nil
	}
	return c.peek(n)
}

// consume forgets the first n bytes of buf, which is the input. They may be somebody else's memory from then on, and so may what the
// strings of a head refer to.
func (c *Conn) consume(buf []byte, n int) {
	d := c.driver
	if poisoned {
		poison(buf[:n])
	}
	if len(d.carry) > 0 {
		if _, carried := d.carry[c]; carried {
			d.carryOn(c, buf[n:])
			return
		}
	}
	c.discard(n)
}

// drain forgets all input, and that memory is held for it.
func (c *Conn) drain() {
	c.hold(0)
	c.discard(c.arrived())
	if len(c.driver.carry) > 0 {
		delete(c.driver.carry, c)
	}
}
