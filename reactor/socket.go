package reactor

// The socket of a conn, as all others see it: bytes that have arrived, and bytes that are given to it.

// arrived is how many bytes of input wait.
func (c *Conn) arrived() int { return c.gc.InboundBuffered() }

// peek returns the first n bytes of input, which stay good until the callback ends or some are discarded.
func (c *Conn) peek(n int) []byte {
	b, _ := c.gc.Peek(n)
	return b
}

// discard forgets the first n bytes of input.
func (c *Conn) discard(n int) { drop(c.gc, n) }

// put gives b to the socket, in one system call. On an error gnet closes the conn before it returns.
func (c *Conn) put(b []byte) { _, _ = c.gc.Write(b) }

// putAll is put of several slices.
func (c *Conn) putAll(iov [][]byte) { _, _ = c.gc.Writev(iov) }

// unsent is how many bytes that were put the socket has not taken.
func (c *Conn) unsent() int { return c.gc.OutboundBuffered() }
