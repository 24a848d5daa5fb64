package pipe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"stentor/codec"
	"stentor/reactor"
	"stentor/reactor/loop"
)

// books is what a reactor would keep of the conns, and more.
type books struct {
	present, most  int
	owed           int64
	slow, broken   int
	stale, oldest  int
	panics         int
	burdens        map[reactor.Guest]bool
	enters, leaves int
	refuse         bool
}

func (b *books) Enter() bool {
	if b.refuse {
		return false
	}
	b.present++
	b.enters++
	b.most = max(b.most, b.present)
	return true
}

func (b *books) Leave(_ int, g reactor.Guest) {
	b.present--
	b.leaves++
	delete(b.burdens, g)
}

func (b *books) Owe(n int64)                     { b.owed += n }
func (b *books) Burden(_ int, g reactor.Guest)   { b.burdens[g] = true }
func (b *books) Slow()                           { b.slow++ }
func (b *books) WriteError()                     { b.broken++ }
func (b *books) Dropped(stale, oldest int)       { b.stale += stale; b.oldest += oldest }
func (b *books) Panicked(_ int, _ string, _ any) { b.panics++ }

// world is some loops, turned by hand, and conns on them whose goroutines are the test's.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	books books
	pipes *Pipes
	loops []*loop.Loop
	now   loop.Time
	peers []*peer
	frame uint32 // number of the last frame

	shared []*codec.Frame // sent to many
}

// simScale is how large the frames are: so that what waits is more than is written at once, at times.
const simScale = 50

const simQueueBytesMax = 200 << 10

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: 1}
	w.books.burdens = map[reactor.Guest]bool{}
	for i := range 1 + w.rng.IntN(3) {
		w.loops = append(w.loops, loop.New(i, loop.Config{Ring: func() {}}))
	}
	w.pipes = New(Config{Loops: w.loops, Guests: &w.books, QueueBytesMax: simQueueBytesMax})
	return w
}

// peer is one conn with its session and its transport.
type peer struct {
	w      *world
	c      *Conn
	ctx    context.Context
	leave  context.CancelFunc
	opened bool
	closed int
	served bool // Serve has returned

	sent    []uint32 // numbers of frames that Send took
	got     []uint32 // numbers of frames that were written
	told    *codec.Disconnect
	failing bool // the next write fails
	pending bool // input is on its way
	heard   int
	said    int
}

func (p *peer) Receive(msg []byte) {
	p.heard++
	if p.w.rng.IntN(50) == 0 {
		panic("told to")
	}
	if p.w.rng.IntN(4) == 0 {
		p.send()
	}
}
func (p *peer) Expire(loop.Time) { p.send() }
func (p *peer) Order(what any) {
	switch what := what.(type) {
	case codec.Disconnect:
		p.c.Close(what)
	default:
		p.send()
	}
}
func (p *peer) Closed() {
	p.closed++
	if p.c.Send(p.w.newFrame()) {
		p.w.t.Error("a frame was taken at the end")
	}
}

// AppendFarewell implements Teller.
func (p *peer) AppendFarewell(dst []byte, d codec.Disconnect) []byte {
	if p.told != nil {
		p.w.t.Error("two farewells")
	}
	p.told = &d
	f := p.w.newFrame()
	p.sent = append(p.sent, number(f))
	return append(dst, f.Messages()...)
}

// newFrame makes a frame that carries its number.
func (w *world) newFrame() *codec.Frame { return w.frameOf(4 + w.rng.IntN(500)) }

func (w *world) frameOf(size int) *codec.Frame {
	w.frame++
	buf := make([]byte, codec.HeaderRoom+size*simScale)
	binary.BigEndian.PutUint32(buf[codec.HeaderRoom:], w.frame)
	f := codec.NewFrame(codec.Protobuf, buf)
	switch w.rng.IntN(6) {
	case 0:
		f.SetSlow(codec.SlowDropOldest, 0)
	case 1:
		f.SetSlow(codec.SlowLatest, uint32(w.rng.IntN(3)))
	}
	return f
}

func number(f *codec.Frame) uint32 { return binary.BigEndian.Uint32(f.Messages()) }

func (p *peer) send() {
	if p.w.rng.IntN(40) == 0 {
		for range 5 { // more than is written at once
			p.sendOne(p.w.frameOf(simQueueBytesMax / 5 / simScale))
		}
		return
	}
	f := p.w.newFrame()
	if n := len(p.w.shared); n > 0 && p.w.rng.IntN(3) == 0 {
		f = p.w.shared[n-1]
	} else {
		p.w.shared = []*codec.Frame{f}
	}
	p.sendOne(f)
}

func (p *peer) sendOne(f *codec.Frame) {
	if p.c.Send(f) {
		p.sent = append(p.sent, number(f))
	} else if !p.c.Ended() {
		p.w.t.Error("a frame was refused by a conn that goes on")
	}
}

// Write implements Writer.
func (p *peer) Write(frames []*codec.Frame, _ time.Time) error {
	if p.failing {
		return errors.New("told to")
	}
	bytes := 0
	for _, f := range frames {
		bytes += len(f.Messages())
		p.got = append(p.got, number(f))
	}
	if len(frames) > 1 && bytes > writeBytesMax {
		p.w.t.Errorf("%d bytes are written at once", bytes)
	}
	return nil
}

func (w *world) open() {
	p := &peer{w: w}
	p.ctx, p.leave = context.WithCancel(context.Background())
	c, err := w.pipes.Open(func(c *Conn) (Receiver, func()) {
		p.opened = true
		c.TellBy(p, codec.Protobuf)
		switch w.rng.IntN(10) {
		case 0:
			return p, func() { p.send(); panic("told to") }
		case 1:
			return p, func() { p.send(); c.Close(codec.DisconnectShutdown) }
		}
		return p, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.c = c
	w.peers = append(w.peers, p)
}

// serve does what Serve does between two waits.
func (p *peer) serve() {
	if p.served {
		return
	}
	p.failing = p.w.rng.IntN(40) == 0
	more, last, err := p.c.write(p.ctx, p)
	if err == nil && !last && !more && p.ctx.Err() != nil {
		p.c.HangUp(0)
		err = p.ctx.Err()
	}
	if last || err != nil {
		p.served = true
		p.c.post(toEnd)
	}
}

// say lends the loop a message, as Receive does before it waits.
func (p *peer) say() {
	if p.pending {
		select {
		case <-p.c.taken:
			p.pending = false
		default:
		}
	}
	if p.pending || p.c.Ended() {
		return
	}
	if p.c.taken == nil {
		p.c.taken = make(chan struct{}, 1)
	}
	p.c.input = []byte("x")
	p.pending = true
	p.said++
	p.c.post(toReceive)
}

func (w *world) step() {
	if len(w.peers) == 0 || w.rng.IntN(30) == 0 && len(w.peers) < 40 {
		w.open()
	}
	p := w.peers[w.rng.IntN(len(w.peers))]
	switch w.rng.IntN(16) {
	case 0, 1, 2:
		w.turn()
	case 3, 4, 5:
		p.serve()
	case 6:
		p.say()
	case 7:
		if w.rng.IntN(10) == 0 {
			p.leave()
		}
	case 8:
		if w.rng.IntN(10) == 0 {
			p.c.HangUp(3009)
		}
	case 9:
		if p.c.handle != 0 && w.rng.IntN(10) == 0 {
			p.c.loop.Order(p.c.handle, codec.DisconnectForceReconnect)
		}
	case 10:
		if len(w.books.burdens) > 0 && w.rng.IntN(20) == 0 {
			for g := range w.books.burdens {
				if g.Weight() > 0 {
					g.Shed()
				}
				break
			}
		}
	case 11:
		if p.c.handle != 0 {
			p.c.Arm(w.now.After(200 * time.Millisecond))
		}
	default:
		for range w.rng.IntN(4) {
			if p.c.handle != 0 {
				p.c.loop.Order(p.c.handle, "send")
			}
		}
	}
}

func (w *world) turn() {
	w.now += loop.Time(w.rng.IntN(3))
	w.loops[w.rng.IntN(len(w.loops))].Turn(w.now)
}

func (w *world) turnAll() {
	for range 3 {
		for _, l := range w.loops {
			l.Turn(w.now)
		}
	}
}

// end lets all goroutines run to their end.
func (w *world) end() {
	for _, p := range w.peers {
		if w.rng.IntN(2) == 0 {
			p.leave()
		} else if p.c.handle != 0 {
			p.c.loop.Order(p.c.handle, codec.DisconnectShutdown)
		}
	}
	for range 10 {
		w.turnAll()
		for _, p := range w.peers {
			p.leave()
			p.serve()
		}
	}
}

func (p *peer) check(i int) {
	t := p.w.t
	if !p.served || p.opened && p.closed != 1 || !p.opened && p.closed != 0 {
		t.Errorf("peer %d: served %v, opened %v, closed %d times", i, p.served, p.opened, p.closed)
	}
	// What was written is what was sent, in order; something may be missing, but not in front of what was.
	at := 0
	for _, n := range p.got {
		for at < len(p.sent) && p.sent[at] != n {
			at++
		}
		if at == len(p.sent) {
			t.Fatalf("peer %d: frame %d was written out of order: sent %v, written %v", i, n, p.sent, p.got)
		}
		at++
	}
	if p.pending && len(p.c.taken) == 0 {
		t.Errorf("peer %d: the reader still waits", i)
	}
}

// TestSimulation drives conns through sends, messages, slow and failing writes, and ends from every side in all orders.
func TestSimulation(t *testing.T) {
	var slow, dropped, panics, broken int
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range 3000 {
				w.step()
			}
			w.end()
			for i, p := range w.peers {
				p.check(i)
			}
			b := &w.books
			if b.present != 0 || b.enters != b.leaves || w.pipes.Conns() != 0 {
				t.Errorf("%d are present, %d have come and %d gone, %d conns", b.present, b.enters, b.leaves, w.pipes.Conns())
			}
			if b.owed != 0 || len(b.burdens) != 0 {
				t.Errorf("%d bytes are owed, %d burdens", b.owed, len(b.burdens))
			}
			for i, l := range w.loops {
				if n := l.Residents(); n != 0 {
					t.Errorf("loop %d has %d residents", i, n)
				}
			}
			slow += b.slow
			dropped += b.stale * b.oldest
			panics += b.panics
			broken += b.broken
		})
	}
	if slow == 0 || dropped == 0 || panics == 0 || broken == 0 {
		t.Errorf("never put to the test: %d slow, %d dropped, %d panics, %d broken", slow, dropped, panics, broken)
	}
}
