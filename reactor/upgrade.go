package reactor

import (
	"net/http"
	"strconv"
	"time"

	"stentor/codec/ws"
)

// lingerTimeout is how long a refused client may take to read the response: a socket that is closed with unread input resets
// the connection, and the client would never see why.
const lingerTimeout = 2 * time.Second

// receiveHead looks for a whole request head and decides what becomes of it.
func (c *Conn) receiveHead() {
	d := c.driver
	n := c.waiting()
	if n <= int(c.need) {
		return
	}
	buf := c.input()
	limit := min(n, d.cfg.HeadBytesMax)
	size, err := headEnd(buf[:limit], int(c.need))
	switch {
	case err == nil && classes[buf[0]]&inToken == 0:
		err = errRequestLine // a TLS hello, for one, has no line ends
	case err == nil && size == 0 && n >= d.cfg.HeadBytesMax:
		err = errHeadSize
	case err == nil && size > 0:
		if err = d.head.parse(buf[:size], d.cfg.HeadersMax); err == nil {
			err = d.head.check()
		}
	}
	if err == errHTTPVersion && c.beginsHTTP2(buf) {
		c.handOff(buf)
		return
	}
	if err != nil {
		d.stats.badHeads.Add(1)
		c.refuse(400, err.Error()+"\n")
		return
	}
	if size == 0 {
		c.consume(buf, 0)
		c.need = uint32(n)
		c.hold(n)
		return
	}
	c.hold(0)
	c.route(buf, size)
}

// route asks the router about a good head, which takes the first size bytes of buf.
func (c *Conn) route(buf []byte, size int) {
	d := c.driver
	d.head.conn = c
	v := d.reactor.router.Route(&d.head)
	switch v.Kind {
	case Upgrade:
		key, err := checkUpgrade(&d.head)
		if err != nil {
			d.stats.badUpgrades.Add(1)
			c.respond(ws.AppendRefusal(nil, err))
			return
		}
		d.joined = ws.AppendUpgradeResponse(d.joined[:0], key, v.Protocol, v.Deflate)
		c.consume(buf, size)
		c.open(d.joined, &v)
		if c.waiting() > 0 && c.state != stateDead {
			c.receiveFrames()
		}
	case Exchange:
		q := d.head.request()
		c.consume(buf, size)
		c.beginExchange(q, &v)
	case Refuse:
		d.stats.refusedByRouter.Add(1)
		c.respond(appendResponse(nil, v.Status, v.Body, d.head.Method == "HEAD"))
	default:
		c.handOff(buf)
	}
}

// checkUpgrade checks that the head asks for a WebSocket in the right way and returns its key.
func checkUpgrade(h *Head) (key string, err *ws.HandshakeError) {
	request := ws.UpgradeRequest{
		Method:     h.Method,
		Proto:      h.Proto,
		Host:       h.Host,
		Connection: h.Joined("Connection"),
		Upgrade:    h.Joined("Upgrade"),
		Version:    h.Joined("Sec-WebSocket-Version"),
		Key:        h.Joined("Sec-WebSocket-Key"),
		Body:       h.hasBody(),
	}
	if err, ok := request.Check().(*ws.HandshakeError); ok {
		return "", err
	}
	return request.Key, nil
}

// open makes c a WebSocket. The response is the caller's again.
func (c *Conn) open(response []byte, v *Verdict) {
	d := c.driver
	d.stats.upgraded.Add(1)
	d.webSockets.Add(1)
	c.state, c.stateAt, c.need = stateOpen, 0, 0
	c.limit = messageBytesMaxDefault
	if v.MessageBytesMax > 0 {
		c.limit = uint32(min(v.MessageBytesMax, ws.MessageBytesMax))
	}
	if v.Deflate != "" {
		c.reader.Peer |= ws.Deflated
	}
	c.rearm()
	c.noteCopy(response)
	if v.Open != nil {
		c.recv = v.Open(c)
	}
}

// refuse answers with a status and a text, then ends the conn.
func (c *Conn) refuse(status int, text string) { c.respond(appendResponse(nil, status, text, false)) }

// respond sends an HTTP response, then ends the conn: whatever follows a head that was not accepted must not be read as
// another request.
func (c *Conn) respond(response []byte) {
	c.drain()
	if x, ok := c.recv.(*exchange); ok {
		x.body = nil
	}
	c.note(response)
	c.enter(stateLinger, lingerTimeout)
}

// headTimeout ends a conn whose request head has taken too long.
func (c *Conn) headTimeout() {
	c.driver.stats.headTimeouts.Add(1)
	if c.waiting() == 0 {
		c.hangUp()
		return
	}
	c.refuse(http.StatusRequestTimeout, "request head not completed in time\n")
}

// enter changes the state, which ends after timeout in any case.
func (c *Conn) enter(s state, timeout time.Duration) {
	c.state = s
	c.stateAt = c.driver.loop.Now().After(timeout)
	c.rearm()
}

// appendResponse appends a whole response, after which the conn is closed. To a HEAD request it has no body.
func appendResponse(dst []byte, status int, body string, head bool) []byte {
	if status == 0 {
		status = http.StatusForbidden
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\nDate: "...)
	dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
	dst = append(dst, "\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	if head {
		return dst
	}
	return append(dst, body...)
}
