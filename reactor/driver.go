package reactor

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// driver turns one loop.Loop on one of gnet's loops. All but its atomics is for that loop's goroutine.
type driver struct {
	reactor *Reactor
	cfg     *Config
	stats   *counters
	loop    *loop.Loop
	gl      gnet.EventLoop
	layout  gnetLayout // of gnet's conns
	bell    bell

	depth   int         // callbacks run inside each other when gnet closes a conn under our hands
	current *Conn       // whose input is being handled: it is flushed right after, without the loop's list
	answer  []byte      // to that input, as far as it is copied
	gone    []*Conn     // closed by gnet while their receiver may have been inside Write: Closed is still to come
	left    []departure // whose Closed is still to come, too
	body    []byte      // spare, for the next request
	date    date
	head    Head // reused
	iov     [][]byte
	joined  []byte

	writeBytes int // at once

	deflater  *ws.Deflater // of frames to the loop's conns
	inflation inflation

	said   Close // what closing says: a mass close says the same to everyone
	saying []byte

	slow    slowList
	seen    map[fate]struct{} // scratch of dropBacklog
	scales  scales
	account account
	queues  queues
	holders map[*Conn]struct{}       // conns with incomplete input
	burdens map[Guest]struct{}       // guests that had a weight when they were last looked at
	carry   map[*Conn][]byte         // input that came before gnet's: of conns adopted from net/http
	clients map[*Conn]netip.AddrPort // whose conn it is, where a balancer has told
	sealing sealing

	// Any goroutine looks at these.
	busy                                  busy
	conns, webSockets, streams, slowConns atomic.Int64
}

func newDriver(r *Reactor, id int) (*driver, error) {
	d := &driver{
		reactor: r,
		cfg:     &r.cfg,
		stats:   &r.stats,

		writeBytes: writeBytes(r.cfg.SendBufferBytes),
		deflater:   ws.NewDeflater(r.cfg.Deflate.Level, r.cfg.Deflate.BytesMin),

		seen:    map[fate]struct{}{},
		holders: map[*Conn]struct{}{},
		burdens: map[Guest]struct{}{},
		carry:   map[*Conn][]byte{},
		clients: map[*Conn]netip.AddrPort{},
	}
	d.loop = loop.New(id, loop.Config{
		Ring:       d.bell.ring,
		FlushDelay: r.cfg.FlushDelay,
		Log:        r.cfg.Log,
		ItemsMax:   r.cfg.MailboxItemsMax,
		BytesMax:   int(r.cfg.MailboxBytesMax),
	})
	d.slow.init(d)
	d.account.init(r)
	return d, d.bell.hang(d)
}

// enter begins a callback and leave ends it; in between the loop's time is right and the watchdog looks.
func (d *driver) enter() {
	if d.depth++; d.depth > 1 {
		return
	}
	now, exact := d.reactor.clock.Read()
	d.loop.SetNow(now)
	d.busy.begin(exact)
}

func (d *driver) leave() {
	if d.depth == 1 {
		if len(d.left) > 0 {
			d.finishLeft()
		}
		d.finishGone()
		if d.account.settle() > d.cfg.QueueTotalBytesMax {
			d.loop.Tick() // shed is for turns
		}
		d.idle()
	}
	d.depth--
}

// turn answers the bell.
func (d *driver) turn() {
	d.enter()
	defer d.leave()
	d.loop.Turn(d.loop.Now())
	d.slow.sweep()
	d.shed()
}

// traffic handles what a client sent and writes what that noted for it.
func (d *driver) traffic(c *Conn) {
	d.enter()
	defer d.leave()
	d.current = c
	d.receive(c)
	d.flushCurrent()
	if s := c.secured(); s != nil {
		s.settle()
	}
}

// answerKeptMax is the largest answer whose memory is kept for the next one, in bytes.
const answerKeptMax = 16 << 10

// flushCurrent writes what was noted for the current conn. The memory of its answers is the next conn's then, unless something is
// left that might be there.
func (d *driver) flushCurrent() {
	c := d.current
	d.current = nil
	c.resident().Flush()
	if cap(d.answer) > answerKeptMax || c.pending() {
		d.answer = nil
	}
	if poisoned {
		poison(d.answer[:cap(d.answer)])
	}
}

func (d *driver) receive(c *Conn) {
	defer d.survive(c, "receive")
	if s := c.secured(); s != nil && !s.receive() {
		return
	}
	switch c.state {
	case stateOpen, stateClosing:
		if c.isStream() {
			c.receiveStream()
			return
		}
		c.receiveFrames()
	case stateHead:
		c.receiveHead()
	case stateIdle:
		c.receiveNext()
	case stateBody:
		c.receiveBody()
	case stateAnswer:
		c.receiveEarly()
	case stateLinger:
		c.drain()
	case stateHello:
		c.receiveHello()
	case stateProxy:
		if c.receiveProxyHeader() {
			d.receive(c)
		}
	}
}

func (d *driver) newConn(gc gnet.Conn) *Conn {
	d.layout.drop(gc)
	c := &Conn{gc: gc, driver: d}
	c.handle = d.loop.Add(c.resident())
	gc.SetContext(c)
	d.conns.Add(1)
	return c
}

// closed is told by gnet that a conn's socket is about to be closed. Until we return, it can still be written to.
func (d *driver) closed(c *Conn, err error) {
	if c.state == stateDead {
		return
	}
	d.enter()
	defer d.leave()
	if errors.Is(err, io.EOF) && c.flags&flagSlow == 0 {
		c.lastWrite() // replies to what the peer sent right before it ended its side
	}
	if call, is := errors.AsType[*os.SyscallError](err); is && call.Syscall != "read" && !c.saidGoodbye() {
		d.stats.writeErrors.Add(1)
		if c.code == 0 {
			c.code = d.cfg.WriteError.Code
		}
	}
	c.state = stateDead
	delete(d.clients, c)
	d.loop.Remove(c.handle)
	d.conns.Add(-1)
	switch {
	case c.isStream():
		d.streams.Add(-1)
	case c.limit > 0:
		d.webSockets.Add(-1)
	}
	c.hold(0)
	c.releaseQueue()
	if s := c.secured(); s != nil {
		s.gone()
	}
	if c.flags&flagHandedOff == 0 {
		d.reactor.conns.Add(-1)
	}
	if c.flags&flagWriting != 0 {
		d.gone = append(d.gone, c)
		return
	}
	d.finish(c)
}

// finish tells the receiver that its conn has gone.
func (d *driver) finish(c *Conn) {
	defer d.survive(c, "closed")
	delete(d.carry, c)
	c.reader.Release()
	if recv := c.recv; recv != nil {
		c.recv = nil
		recv.Closed()
	}
}

func (d *driver) finishGone() {
	for i := 0; i < len(d.gone); i++ { // Closed may write to others and so end them
		d.finish(d.gone[i])
	}
	clear(d.gone)
	d.gone = d.gone[:0]
}

// survive keeps the loop alive when a handler panics: the conn it was about is closed, everyone else goes on.
func (d *driver) survive(c *Conn, during string) {
	v := recover()
	if v == nil {
		return
	}
	d.stats.panics.Add(1)
	d.reactor.panicLine.Say(d.cfg.Log, slog.LevelError, "panic in a handler; its connection is closed, the loop goes on",
		"loop", d.loop.ID(), "during", during, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	switch c.state {
	case stateHead, stateBody, stateAnswer:
		c.refuse(500, "internal server error\n")
	case stateIdle: // it has an answer, and must not go on
		c.drain()
		c.enter(stateLinger, lingerTimeout)
	case stateOpen:
		c.discard(c.arrived()) // part of it has been unmasked and handled
		c.fail(d.cfg.Panic.Code, d.cfg.Panic.Reason)
	}
}

// closeFrame makes a close frame, or returns the last one again.
func (d *driver) closeFrame(code uint16, reason string) []byte {
	if say := (Close{code, reason}); d.saying == nil || d.said != say {
		d.said, d.saying = say, ws.AppendClose(nil, code, reason)
	}
	return d.saying
}
