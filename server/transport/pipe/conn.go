package pipe

import (
	"sync"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

// Receiver consumes one conn: a session, or what is put around it. All methods run on the conn's loop.
type Receiver interface {
	// Receive takes one message. It is valid until Receive returns.
	Receive(msg []byte)
	// Expire tells that the deadline given to Conn.Arm has passed.
	Expire(now loop.Time)
	// Order takes a value that another goroutine left for the conn's handle.
	Order(what any)
	// Closed tells that the conn is gone. It is called exactly once, last.
	Closed()
}

// Teller makes the last message of a conn (session.Session).
type Teller interface {
	// AppendFarewell appends a push that tells why the conn is closed, or nothing.
	AppendFarewell(dst []byte, d codec.Disconnect) []byte
}

// todo is what a conn has to do in its next turn.
type todo uint8

const (
	toOpen todo = 1 << iota
	toReceive
	toEnd
)

// state is how far a conn has come.
type state uint8

const (
	stateOpen    state = iota
	stateClosing       // nothing is sent any more but what waits
	stateEnded         // nothing is sent any more
)

// Conn is one client.
type Conn struct {
	pipes *Pipes
	loop  *loop.Loop

	// Only the loop's goroutine touches these.
	open   func(*Conn) (Receiver, func()) // nil when it has been called
	handle loop.Handle
	recv   Receiver // nil before and after
	teller Teller   // nil: the client is not told why it is closed
	form   codec.Form
	todo   todo
	ready  bool  // on the run queue of the loop
	dirty  bool  // Flush will come
	owing  int64 // memory that Guests has not been told of

	// The reader's, lent to the loop while toReceive is on its way or to be done.
	input []byte
	taken chan struct{} // nil until the first message

	wake   chan struct{} // for the writer: there is something to take
	lastBy time.Time     // the writer's: see deadline

	mu      sync.Mutex // the rest: the loop's and the writer's
	queue   queue
	spare   []*codec.Frame // room for the next frames
	writing int            // bytes in the writer's hands
	code    uint16
	state   state
}

// Handle names the conn for other goroutines. It is known from the call of the open function on.
func (c *Conn) Handle() loop.Handle { return c.handle }

// TellBy has t tell the client why it is closed, in a message of form f. Only for the loop.
func (c *Conn) TellBy(t Teller, f codec.Form) { c.teller, c.form = t, f }

// Ended reports that the conn is over, or about to be. Any goroutine may ask.
func (c *Conn) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state != stateOpen
}

// HangUp ends the conn without a word, for a reason that has a code, or none. Any goroutine may call it.
func (c *Conn) HangUp(code uint32) {
	c.mu.Lock()
	if c.state != stateEnded {
		if c.code == 0 {
			c.code = uint16(code)
		}
		c.state = stateEnded
	}
	c.mu.Unlock()
	c.rouse()
}

// rouse wakes the writer.
func (c *Conn) rouse() {
	select {
	case c.wake <- struct{}{}:
	default: // it is being woken
	}
}

// post leaves what is to be done for the loop. Any goroutine may call it.
func (c *Conn) post(t todo) {
	if c.loop.Post(c, t, 0) {
		c.loop.Wake()
	}
}

// Take notes what is to be done (loop.Recipient). Sessions do much at once: that takes its turn with what others have to do.
func (c *Conn) Take(l *loop.Loop, what any) {
	c.todo |= what.(todo)
	if !c.ready {
		c.ready = true
		l.Ready(c)
	}
}

// visitBytes is how much input counts as one visit of the loop's budget.
const visitBytes = 64

// Turn does what is to be done (loop.Task).
func (c *Conn) Turn(b *loop.Budget) (more bool) {
	c.ready = false
	t := c.todo
	c.todo = 0
	if t&toOpen != 0 {
		c.begin()
	}
	if t&toReceive != 0 {
		b.Spend(len(c.input) / visitBytes)
		c.receive()
		c.input = nil
		c.taken <- struct{}{}
	}
	if t&toEnd != 0 {
		c.end()
	}
	b.Spend(1)
	return false
}

func (c *Conn) begin() {
	defer c.survive("open")
	c.handle = c.loop.Add(c)
	open := c.open
	c.open = nil
	var begin func()
	if c.recv, begin = open(c); begin != nil {
		begin() // only now: should it panic, the receiver hears of the end
	}
}

func (c *Conn) receive() {
	defer c.survive("receive")
	if c.recv != nil && !c.Ended() {
		c.recv.Receive(c.input)
	}
}

// end forgets the conn, whose goroutines have gone.
func (c *Conn) end() {
	c.HangUp(0) // only if the writer panicked
	c.loop.Remove(c.handle)
	c.forget()
	c.settle()
	c.pipes.cfg.Guests.Leave(c.loop.ID(), c)
	c.pipes.conns.Add(-1)
	if recv := c.recv; recv != nil {
		defer c.survive("closed")
		c.recv = nil
		recv.Closed()
	}
}

// survive keeps the loop alive when a receiver panics: the conn it was about is closed, everyone else goes on.
func (c *Conn) survive(during string) {
	if v := recover(); v != nil {
		c.pipes.cfg.Guests.Panicked(c.loop.ID(), during, v)
		c.Close(c.pipes.cfg.Panic)
	}
}

// Expire implements loop.Resident.
func (c *Conn) Expire(now loop.Time) {
	defer c.survive("expire")
	if c.recv != nil && !c.Ended() {
		c.recv.Expire(now)
	}
}

// Order implements loop.Resident.
func (c *Conn) Order(what any) {
	defer c.survive("order")
	if c.recv != nil {
		c.recv.Order(what)
	}
}

// Arm sets the one deadline of the receiver, replacing an earlier one; 0 takes it away. Only for the loop.
func (c *Conn) Arm(at loop.Time) {
	if at == 0 || !c.Ended() {
		c.loop.Arm(c.handle, at)
	}
}

// CloseCode is the code that the conn was closed with: the one given to Close or HangUp, or one of ours. 0 means that it just ended.
// Only for the loop.
func (c *Conn) CloseCode() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}
