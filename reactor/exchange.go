package reactor

import (
	"bytes"
	"net/http"
	"strings"

	"stentor/reactor/loop"
)

// continueBytes tells a client that waits for it to send its body.
var continueBytes = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// earlyBytesMax is how much a client may send ahead of the answer to its request. A read of the loop brings as much at once.
const earlyBytesMax = 64 << 10

// bodyKeptMax is the largest body whose memory is kept for the next one, in bytes.
const bodyKeptMax = 16 << 10

// request is what is kept of a head when its strings die.
type request struct {
	length  int64 // of the body, unless it is chunked
	chunked bool
	expects bool // "100 Continue"
	refused bool // expects something else
	head    bool // HEAD: the answer has no body
	http11  bool
	keep    bool // the conn may stay after the answer
}

// request is valid after check.
func (h *Head) request() request {
	q := request{length: h.length, chunked: h.chunked, head: h.Method == "HEAD", http11: h.Proto == "HTTP/1.1"}
	q.keep = q.http11 // what HTTP/1.0 knew of it was never written down, and proxies got it wrong
	for list := range h.Values("Connection") {
		for option := range strings.SplitSeq(list, ",") {
			if equalFold(strings.Trim(option, " \t"), "close") {
				q.keep = false
			}
		}
	}
	for expectation := range h.Values("Expect") {
		if !q.http11 {
			break // RFC 9110 section 10.1.1: ignored
		}
		q.expects = equalFold(expectation, "100-continue")
		q.refused = q.refused || !q.expects
	}
	return q
}

// exchange is a request that is served on the loop, from its head to its answer. Meanwhile it stands in the place of the conn's
// receiver.
type exchange struct {
	request
	bodyMax int
	serve   func(c *Conn, body []byte)
	header  func() []byte
	body    []byte // so far
	chunks  chunkReader
	recv    Receiver // given to Await
}

// beginExchange reads the body of a request whose head has been consumed.
func (c *Conn) beginExchange(q request, v *Verdict) {
	d := c.driver
	x := &exchange{request: q, bodyMax: v.BodyBytesMax, serve: v.Serve, header: v.Header}
	c.recv, c.state, c.need = x, stateBody, 0
	switch {
	case q.refused:
		c.refuseBody(errExpectation)
		return
	case q.length > int64(x.bodyMax):
		c.refuseBody(errBodySize)
		return
	}
	x.body, d.body = d.body[:0], nil
	c.receiveBody()
	if c.state != stateBody {
		return
	}
	if q.expects && len(x.body) == 0 {
		c.note(continueBytes)
	}
	if cap(x.body) <= bodyKeptMax {
		d.body, x.body = x.body[:0], bytes.Clone(x.body) // else whoever sends a byte has all that was kept
		c.hold(cap(x.body))
	}
	c.enter(stateBody, d.cfg.BodyTimeout)
}

// receiveBody takes what has arrived of a body, and serves the request when it is whole.
func (c *Conn) receiveBody() {
	x := c.recv.(*exchange)
	buf := c.input()
	used, done, err := x.take(buf)
	c.consume(buf, used)
	switch {
	case err != nil:
		c.refuseBody(err)
	case done:
		c.hold(0)
		c.serve(x)
	default:
		c.hold(cap(x.body)) // what has come is in the body
	}
}

// take reads the body in buf. It returns how much of buf that is.
func (x *exchange) take(buf []byte) (used int, done bool, err error) {
	if x.chunked {
		x.body, used, done, err = x.chunks.read(x.body, buf, x.bodyMax)
		return used, done, err
	}
	used = int(min(x.length, int64(len(buf))))
	x.body = append(x.body, buf[:used]...)
	x.length -= int64(used)
	return used, x.length == 0, nil
}

// serve hands a whole request to the function that the router named.
func (c *Conn) serve(x *exchange) {
	d := c.driver
	d.stats.exchanges.Add(1)
	c.state = stateAnswer
	body := x.body
	x.body = nil
	x.serve(c, body)
	if poisoned {
		poison(body)
	}
	if cap(body) <= bodyKeptMax {
		d.body = body[:0]
	}
	if c.state != stateAnswer {
		return
	}
	if x.recv == nil {
		d.cfg.Log.Error("a request was neither answered nor awaited; its connection is closed")
		c.refuse(http.StatusInternalServerError, "internal server error\n")
		return
	}
	c.stateAt = 0
	c.rearm()
	c.receiveEarly()
}

// receiveEarly bounds what a client sends before it has its answer.
func (c *Conn) receiveEarly() {
	n := c.waiting()
	if n > earlyBytesMax {
		c.driver.stats.early.Add(1)
		c.hangUp()
		return
	}
	c.hold(n)
}

// receiveNext begins the next request of a conn, once the answer before it is with the socket.
func (c *Conn) receiveNext() {
	if c.owed() > 0 {
		c.receiveEarly() // settled comes back to it
		return
	}
	c.enter(stateHead, c.driver.cfg.HeadTimeout)
	c.receiveHead()
}

// refuseBody ends a conn whose request body is not taken: its end, where the next request would begin, is unknown.
func (c *Conn) refuseBody(err error) {
	c.driver.stats.badBodies.Add(1)
	e, ok := err.(*bodyError)
	if !ok {
		e = &bodyError{http.StatusBadRequest, err.Error()}
	}
	c.refuseExchange(e.status, e.text+"\n")
}

func (c *Conn) bodyTimeout() {
	c.driver.stats.bodyTimeouts.Add(1)
	c.refuseExchange(http.StatusRequestTimeout, "request body not completed in time\n")
}

// refuseExchange answers a request whose body is not taken, then ends the conn.
func (c *Conn) refuseExchange(status int, text string) {
	x, d := c.recv.(*exchange), c.driver
	r := Response{Status: status, Header: []byte("Content-Type: text/plain; charset=utf-8\r\n"), Close: true}
	if x.header != nil {
		r.Header = append(r.Header, x.header()...)
	}
	whole := r.appendHead(nil, d.date.get(d.loop.Now()), byLength, len(text))
	if !x.head {
		whole = append(whole, text...)
	}
	c.respond(whole)
}

// answerDue returns the exchange of a conn whose request is whole and not yet answered.
func (c *Conn) answerDue() (x *exchange, due bool) {
	if c.state != stateAnswer {
		return nil, false
	}
	x, due = c.recv.(*exchange)
	return x, due
}

// Respond answers the request that is being served. If the client wants that, the conn stays for its next request. Respond reports
// whether an answer was due: not after another one, nor when the client has gone.
//
// The receiver given to Await is told Closed, after the callback that Respond is called in, and hears no more: orders for the handle
// that the conn had meanwhile reach nobody.
func (c *Conn) Respond(r Response) bool {
	x, due := c.answerDue()
	if !due {
		return false
	}
	d := c.driver
	r.Close = r.Close || !x.keep
	whole := r.appendHead(d.joined[:0], d.date.get(d.loop.Now()), byLength, len(r.Body))
	if !x.head && hasBody(r.status()) {
		whole = append(whole, r.Body...)
	}
	c.noteCopy(whole)
	if cap(whole) <= writeBytesMax {
		d.joined = whole
	}
	c.endExchange(x)
	if r.Close {
		c.drain()
		c.enter(stateLinger, d.cfg.CloseTimeout)
		return true
	}
	c.need = 0
	c.enter(stateIdle, d.cfg.KeepAliveTimeout)
	return true
}

// Await leaves the answer for later: recv gets what is ordered for the conn's handle, its deadline, and its end, which may come
// first, also if the client has only ended its own side. Only Verdict.Serve calls it. Whoever answers does so with Respond or Stream,
// on the loop; Close answers with 503. Nothing but the deadline given to Arm bounds the wait.
func (c *Conn) Await(recv Receiver) {
	if x, due := c.answerDue(); due {
		x.recv = recv
	}
}

// endExchange lets go of a request that has its answer.
func (c *Conn) endExchange(x *exchange) {
	d := c.driver
	c.recv, c.expireAt = nil, 0
	if x.recv == nil {
		return
	}
	d.left = append(d.left, departure{c, x.recv})
	d.loop.Remove(c.handle)
	c.handle = d.loop.Add(c.resident())
}

// closeUnanswered is Close of a conn that owes an answer.
func (c *Conn) closeUnanswered(code uint16, reason string) {
	c.code = code
	c.Respond(Response{
		Status: http.StatusServiceUnavailable,
		Header: []byte("Content-Type: text/plain; charset=utf-8\r\n"),
		Body:   []byte(reason + "\n"),
		Close:  true,
	})
}

// departure is a receiver whose request has been answered, and whose conn goes on without it.
type departure struct {
	c    *Conn
	recv Receiver
}

func (d *driver) finishLeft() {
	for i := 0; i < len(d.left); i++ {
		d.depart(d.left[i])
	}
	clear(d.left)
	d.left = d.left[:0]
}

func (d *driver) depart(gone departure) {
	defer d.survive(gone.c, "closed")
	gone.recv.Closed()
}

// Receive implements Receiver; there are no messages.
func (x *exchange) Receive([]byte) {}

// Expire implements Receiver.
func (x *exchange) Expire(now loop.Time) {
	if x.recv != nil {
		x.recv.Expire(now)
	}
}

// Order implements Receiver.
func (x *exchange) Order(what any) {
	if x.recv != nil {
		x.recv.Order(what)
	}
}

// Closed implements Receiver.
func (x *exchange) Closed() {
	if recv := x.recv; recv != nil {
		x.recv = nil
		recv.Closed()
	}
}
