// Package pipe carries sessions whose bytes are moved by goroutines of other libraries: streams of HTTP/2, gRPC, WebTransport.
//
//	reader goroutine ── Receive ──► mailbox ──► session, on its loop ──► Send ──► queue ── end of turn ──► writer goroutine (Serve)
//	      ▲                                        │                                                          │
//	      └───────────── waits until taken ────────┘                                                    Writer.Write
//
// A session lives on one of the reactor's loops, like all others, and all of its code runs there: Conn is the loop's resident. What
// comes and goes is handed over:
//
//   - Output is frames, by reference. The writer is woken once per turn of the loop; it takes all that waits and writes it in one go.
//     What waits, and what the writer has in its hands, is bounded (Config.QueueBytesMax): a client over it is closed as slow, after
//     what it may miss was dropped. The memory of it counts in what all clients of the process may have waiting.
//   - Input is lent: a reader hands over complete commands and waits until the session has taken them. So there is never more than
//     one message of a client under way, its bytes are not copied, and a loop that is busy slows down those who send, not itself.
//   - The end comes from either side. Serve is the last to know, whoever began it, and tells the loop: the session hears of it once.
//
// A client takes a goroutine that writes, the one that the library calls the handler in; one of WebTransport another that reads.
package pipe

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/reactor"
	"stentor/reactor/loop"
)

// Guests counts the conns with the other clients of the reactor (reactor.Guests).
type Guests interface {
	Enter() bool
	Leave(loop int, g reactor.Guest)
	Owe(bytes int64)
	Burden(loop int, g reactor.Guest)
	Slow()
	WriteError()
	Dropped(stale, oldest int)
	Panicked(loop int, during string, value any)
}

// Config is what pipes need.
type Config struct {
	Loops  []*loop.Loop
	Guests Guests
	Done   <-chan struct{} // closed when the loops have ended

	ConnsMax      int           // at once; 16,384 if 0
	QueueBytesMax int           // what is owed to one client; 1 MiB if 0
	WriteTimeout  time.Duration // of one write, of 64 KiB or a frame that is larger; 10 s if 0
	CloseTimeout  time.Duration // of all that is left when the session has closed a conn; 5 s if 0

	// What clients are told when their session panics (3004), when they do not take what they are owed (3008) and, if only in
	// CloseCode, when a write fails (3009).
	Panic, Slow, WriteError codec.Disconnect
}

// Defaults of Config. A conn costs its goroutines, 10 to 50 KB with what the libraries keep for it.
const (
	connsMaxDefault      = 16 << 10
	queueBytesMaxDefault = 1 << 20
	writeTimeoutDefault  = 10 * time.Second
	closeTimeoutDefault  = 5 * time.Second
)

// Pipes makes conns. Any goroutine may use it.
type Pipes struct {
	cfg     Config
	next    atomic.Uint32 // whose turn it is among the loops
	conns   atomic.Int64
	refused atomic.Uint64
}

// New makes pipes to the loops of cfg.
func New(cfg Config) *Pipes {
	cfg.ConnsMax = cmp.Or(cfg.ConnsMax, connsMaxDefault)
	cfg.QueueBytesMax = cmp.Or(cfg.QueueBytesMax, queueBytesMaxDefault)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, writeTimeoutDefault)
	cfg.CloseTimeout = cmp.Or(cfg.CloseTimeout, closeTimeoutDefault)
	cfg.Panic = cmp.Or(cfg.Panic, codec.DisconnectServerError)
	cfg.Slow = cmp.Or(cfg.Slow, codec.DisconnectSlow)
	cfg.WriteError = cmp.Or(cfg.WriteError, codec.DisconnectWriteError)
	return &Pipes{cfg: cfg}
}

// ErrFull is the error of Open when there are too many clients.
var ErrFull = errors.New("too many connections")

// Open begins a conn on one of the loops. open makes its receiver there; what it returns besides, if that is not nil, is called then, and
// may do all that a receiver may. Whoever opens a conn must Serve it.
func (p *Pipes) Open(open func(*Conn) (r Receiver, begin func())) (*Conn, error) {
	if p.conns.Add(1) > int64(p.cfg.ConnsMax) || !p.cfg.Guests.Enter() {
		p.conns.Add(-1)
		p.refused.Add(1)
		return nil, ErrFull
	}
	c := &Conn{
		pipes: p,
		loop:  p.cfg.Loops[int(p.next.Add(1))%len(p.cfg.Loops)],
		open:  open,
		wake:  make(chan struct{}, 1),
	}
	c.post(toOpen)
	return c, nil
}

// Conns is how many there are, and Refused how many there were too many.
func (p *Pipes) Conns() int      { return int(p.conns.Load()) }
func (p *Pipes) Refused() uint64 { return p.refused.Load() }

// Writer is what a transport does with frames. It is called by the goroutine that called Serve.
type Writer interface {
	// Write sends the messages of frames, in order, and returns when it no longer needs them, or with an error after until.
	Write(frames []*codec.Frame, until time.Time) error
}

// Serve writes what the session sends until either side ends, and ends the other then. ctx ends when the peer has gone. It returns nil
// if the session ended the conn.
func (c *Conn) Serve(ctx context.Context, w Writer) error {
	defer c.post(toEnd)
	for {
		more, last, err := c.write(ctx, w)
		if last || err != nil {
			return err
		}
		if more {
			continue
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			c.HangUp(0)
			return ctx.Err()
		case <-c.pipes.cfg.Done:
			c.HangUp(0)
			return context.Canceled
		}
	}
}

// write writes what waits, or writeBytesMax of it. more says that there is more already, last that nothing comes any more.
func (c *Conn) write(ctx context.Context, w Writer) (more, last bool, err error) {
	frames, more, closing := c.take()
	last = closing && !more
	if len(frames) == 0 {
		return more, last, nil
	}
	until := c.deadline(closing)
	err = w.Write(frames, until)
	c.written(frames)
	if err != nil {
		c.broken(ctx, until)
	}
	return more, last, err
}

// deadline is that of the next write. All that are left when the session has closed the conn share one.
func (c *Conn) deadline(closing bool) time.Time {
	now := time.Now()
	if !closing {
		return now.Add(c.pipes.cfg.WriteTimeout)
	}
	if c.lastBy.IsZero() {
		c.lastBy = now.Add(c.pipes.cfg.CloseTimeout)
	}
	return c.lastBy
}

// broken ends the conn after a write that failed: because the peer has gone, or else, ctx having been ended with the write perhaps,
// because the peer did not take it.
func (c *Conn) broken(ctx context.Context, until time.Time) {
	if ctx.Err() != nil && time.Now().Before(until) {
		c.HangUp(0)
		return
	}
	c.pipes.cfg.Guests.WriteError()
	c.HangUp(c.pipes.cfg.WriteError.Code)
}

// Receive hands the session one message, complete commands, and waits until they are taken; msg is the caller's again then. It reports
// false when the conn is over. One goroutine at a time may call it.
func (c *Conn) Receive(msg []byte) bool {
	if c.Ended() {
		return false
	}
	if c.taken == nil {
		c.taken = make(chan struct{}, 1)
	}
	c.input = msg
	c.post(toReceive)
	select {
	case <-c.taken:
		return !c.Ended()
	case <-c.pipes.cfg.Done:
		return false
	}
}
