package reactor

import (
	"net/netip"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// Receiver consumes one conn that was upgraded, or streams, or awaits its answer. All methods run on the conn's loop.
type Receiver interface {
	// Receive takes one whole data message, unmasked. It is valid until Receive returns and may be empty.
	Receive(msg []byte)
	// Expire tells that the deadline given to Conn.Arm has passed.
	Expire(now loop.Time)
	// Order takes a value that another goroutine left for the conn's handle; also after Close.
	Order(what any)
	// Closed tells that the pipe is gone. It is called exactly once, last, and never from inside Write or Close.
	Closed()
}

// PongReceiver is a Receiver that also wants to know of pong control frames.
type PongReceiver interface {
	Pong()
}

// state is how far a conn has come.
type state uint8

const (
	stateHead    state = iota // the request head is under way
	stateHello                // the first bytes are under way, on a port that speaks TLS: see receiveHello
	stateBody                 // the body of an exchange is under way
	stateAnswer               // the request of an exchange is whole: its answer is due
	stateIdle                 // it has its answer: the next request may come
	stateOpen                 // upgraded, or a stream
	stateClosing              // our close frame is queued or sent: the peer's is awaited
	stateLinger               // nothing more to say: what the peer still sends is discarded until it ends
	stateDead                 // gone
	stateProxy                // before stateHead, of a conn from a balancer: its PROXY header is under way
)

// flags of a conn.
type flags uint8

const (
	flagDirty      flags = 1 << iota // noted with the loop: Flush will come
	flagSlow                         // the socket takes no more for now; queue is not nil
	flagListed                       // on the driver's list of slow conns
	flagPeerClosed                   // the peer's close frame has come, or none is awaited: close when all is sent
	flagDeaf                         // messages are dropped
	flagShut                         // our side is shut down
	flagWriting                      // inside a write that was not asked for by Flush
	flagHandedOff                    // net/http has a copy of the descriptor, which is what counts
)

// Conn is one client socket. One object per socket, so its size counts (see TestConnSize): what only busy conns need is in
// queue, what only odd ones need is in maps of the driver. All methods are for the conn's loop.
type Conn struct {
	gc     gnet.Conn
	driver *driver
	handle loop.Handle
	recv   Receiver // nil before the upgrade and if the router gave none; an *exchange while there is one
	reader ws.Reader

	// What is owed to the peer: the first frame noted in this turn, and behind it, or once the socket takes no more, a queue.
	first *byte
	queue *queue

	firstBytes uint32
	need       uint32 // no use in looking at the input before so many bytes are there; of a head, how many were looked at
	limit      uint32 // of a message, in bytes; 0 before the upgrade; of a stream, see stream.go
	held       uint32 // memory of incomplete input, as told to the driver's account

	// The three deadlines of a conn; the loop is armed with the nearest.
	expireAt  loop.Time // the receiver's
	partialAt loop.Time // of the incomplete ws frame or message
	stateAt   loop.Time // of the state: head, body, idle, closing, linger

	code  uint16 // what CloseCode returns
	state state
	flags flags
}

// resident is a Conn as the loop sees it; its methods are not for users of Conn.
type resident Conn

func (c *Conn) resident() *resident { return (*resident)(c) }
func (r *resident) conn() *Conn     { return (*Conn)(r) }

// Loop is the loop that the conn lives on, for ever.
func (c *Conn) Loop() *loop.Loop { return c.driver.loop }

// Handle names the conn for other goroutines. It stays safe after the conn has gone.
func (c *Conn) Handle() loop.Handle { return c.handle }

// RemoteAddr is the peer's "host:port", "" if the conn has gone. It asks the kernel: nothing is kept for it, unless a balancer has told
// whose conn it is.
func (c *Conn) RemoteAddr() string {
	if c.state == stateDead {
		return ""
	}
	if client := c.told(); client.IsValid() {
		return client.String()
	}
	sa, err := unix.Getpeername(c.gc.Fd())
	if err != nil {
		return ""
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)).String()
	}
	return ""
}

// CloseCode is the code that the conn was closed with: the one given to Close, one of ours (Config.Panic, Slow, WriteError, or
// a code of RFC 6455), or the peer's. 0 means that it just ended.
func (c *Conn) CloseCode() uint16 { return c.code }

// Arm sets the one deadline of the receiver, replacing an earlier one; 0 takes it away.
func (c *Conn) Arm(at loop.Time) {
	if c.state == stateOpen || c.state == stateAnswer {
		c.expireAt = at
		c.rearm()
	}
}

// Deflater compresses frames for this conn; nil if they must be plain. All conns of the loop have the same.
func (c *Conn) Deflater() *ws.Deflater {
	if c.reader.Peer&ws.Deflated == 0 {
		return nil
	}
	return c.driver.deflater
}

// StopReading drops all messages from now on. Control frames are still answered.
func (c *Conn) StopReading() { c.flags |= flagDeaf }

// Close sends what was queued, then a close frame with the code and reason, and closes when the peer's close frame has come or
// Config.CloseTimeout has passed. Code 0 sends no close frame and waits for none. Messages no longer arrive; Receiver.Closed
// still comes. A second Close does nothing.
//
// A stream has no close frame: see Farewell. It ends with the last chunk, and the conn when the peer has ended it as well or
// Config.CloseTimeout has passed. A request that awaits its answer is answered with 503.
func (c *Conn) Close(code uint16, reason string) {
	switch {
	case c.state == stateAnswer:
		c.closeUnanswered(code, reason)
		return
	case c.state != stateOpen:
		return
	case c.isStream():
		c.closeStream(code, reason)
		return
	}
	c.beginClose(code)
	if code == 0 {
		c.flags |= flagPeerClosed
		c.dirty()
		return
	}
	if told := c.driver.cfg.Closing; told != nil {
		told(c.recv, code)
	}
	if f, ok := c.recv.(Farewell); ok {
		c.note(f.Farewell(code, reason))
	}
	c.note(c.driver.closeFrame(code, reason))
}

// fail ends a conn whose input makes no sense: after the close frame there is nothing to be understood from the peer, so only
// the end of its stream is awaited.
func (c *Conn) fail(code uint16, reason string) {
	if c.state != stateOpen {
		c.flags |= flagPeerClosed // its close frame cannot be found any more
		return
	}
	c.Close(code, reason)
	c.enter(stateLinger, min(lingerTimeout, c.driver.cfg.CloseTimeout))
}

// failSlow ends a conn that does not take what it is owed. Frames that it has seen nothing of are dropped; the close frame goes
// behind the one that it is in the middle of.
func (c *Conn) failSlow() {
	c.driver.stats.slow.Add(1)
	c.dropUnsent()
	c.Close(c.driver.cfg.Slow.Code, c.driver.cfg.Slow.Reason)
}

func (c *Conn) beginClose(code uint16) {
	if c.code == 0 {
		c.code = code
	}
	c.expireAt, c.partialAt = 0, 0
	c.enter(stateClosing, c.driver.cfg.CloseTimeout)
}

// hangUp closes the socket now.
func (c *Conn) hangUp() {
	if c.state != stateDead {
		gc := c.gc
		if s := c.secured(); s != nil {
			s.sayGoodbye()
			gc = s.Conn
		}
		// What this returns is about the descriptor, which is gone either way.
		_ = gc.EventLoop().Close(gc)
	}
}

// rearm tells the loop the nearest of the deadlines.
func (c *Conn) rearm() {
	at := c.expireAt
	for _, t := range [...]loop.Time{c.partialAt, c.stateAt} {
		if t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	c.driver.loop.Arm(c.handle, at)
}

// Expire implements loop.Resident.
func (r *resident) Expire(now loop.Time) {
	c := r.conn()
	defer c.driver.survive(c, "expire")
	if due(&c.stateAt, now) {
		c.stateTimeout()
	}
	if due(&c.partialAt, now) && c.state == stateOpen {
		c.driver.stats.fragmentTimeouts.Add(1)
		c.fail(ws.CodePolicyViolation, "message not completed in time")
	}
	if due(&c.expireAt, now) && (c.state == stateOpen || c.state == stateAnswer) && c.recv != nil {
		c.recv.Expire(now)
	}
	if c.state != stateDead {
		c.rearm()
	}
}

func (c *Conn) stateTimeout() {
	switch c.state {
	case stateHead:
		c.headTimeout()
	case stateBody:
		c.bodyTimeout()
	case stateProxy:
		c.proxyTimeout()
	case stateHello:
		c.driver.stats.helloTimeouts.Add(1)
		c.hangUp()
	default:
		c.hangUp()
	}
}

func due(at *loop.Time, now loop.Time) bool {
	if *at == 0 || *at > now {
		return false
	}
	*at = 0
	return true
}

// Order implements loop.Resident.
func (r *resident) Order(what any) {
	c := r.conn()
	defer c.driver.survive(c, "order")
	if c.recv != nil {
		c.recv.Order(what)
	}
}
