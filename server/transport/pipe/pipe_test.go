package pipe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stentor/codec"
	"stentor/reactor"
	"stentor/reactor/loop"
)

// waitMax bounds every wait of the tests; none of them takes that long unless it fails.
const waitMax = 20 * time.Second

// tally is books that any goroutine may use.
type tally struct {
	mu sync.Mutex
	books
}

func (b *tally) locked(f func()) { b.mu.Lock(); defer b.mu.Unlock(); f() }

func (b *tally) Enter() (ok bool)              { b.locked(func() { ok = b.books.Enter() }); return ok }
func (b *tally) Leave(l int, g reactor.Guest)  { b.locked(func() { b.books.Leave(l, g) }) }
func (b *tally) Owe(n int64)                   { b.locked(func() { b.books.Owe(n) }) }
func (b *tally) Burden(l int, g reactor.Guest) { b.locked(func() { b.books.Burden(l, g) }) }
func (b *tally) Slow()                         { b.locked(b.books.Slow) }
func (b *tally) WriteError()                   { b.locked(b.books.WriteError) }
func (b *tally) Dropped(stale, oldest int)     { b.locked(func() { b.books.Dropped(stale, oldest) }) }
func (b *tally) Panicked(l int, during string, v any) {
	b.locked(func() { b.books.Panicked(l, during, v) })
}

// house is pipes on loops that turn by themselves.
type house struct {
	t     *testing.T
	tally tally
	pipes *Pipes
	loops []*loop.Loop
	stop  chan struct{}
	done  chan struct{}

	before goleak.Option // goroutines of libraries that begin with the process
}

func open(t *testing.T, change func(*Config)) *house {
	h := &house{t: t, stop: make(chan struct{}), done: make(chan struct{}), before: goleak.IgnoreCurrent()}
	h.tally.burdens = map[reactor.Guest]bool{}
	var turning sync.WaitGroup
	clock := loop.NewClock()
	for i := range 2 {
		bell := make(chan struct{}, 1)
		l := loop.New(i, loop.Config{Ring: func() {
			select {
			case bell <- struct{}{}:
			default:
			}
		}})
		h.loops = append(h.loops, l)
		turning.Go(func() {
			ticker := time.NewTicker(loop.TickPeriod)
			defer ticker.Stop()
			for {
				select {
				case <-bell:
					l.Turn(clock.Now())
				case <-ticker.C:
					l.TickDue(clock.Now())
				case <-h.stop:
					return
				}
			}
		})
	}
	cfg := Config{Loops: h.loops, Guests: &h.tally, Done: h.done}
	if change != nil {
		change(&cfg)
	}
	h.pipes = New(cfg)
	t.Cleanup(func() {
		close(h.stop)
		turning.Wait()
		close(h.done)
		goleak.VerifyNone(t, h.before)
	})
	return h
}

// settled waits until all conns have gone and nothing is owed.
func (h *house) settled() {
	h.t.Helper()
	eventually(h.t, "all conns are gone", func() bool {
		gone := false
		h.tally.locked(func() { gone = h.tally.present == 0 && h.tally.owed == 0 })
		return gone && h.pipes.Conns() == 0
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitMax); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// echo is a session that sends back what it receives.
type echo struct {
	c      *Conn
	closed atomic.Int32
	code   atomic.Int32
}

func frameOf(s string) *codec.Frame {
	return codec.NewFrame(codec.JSON, append(make([]byte, codec.HeaderRoom), s...))
}

func (e *echo) Receive(msg []byte) {
	switch s := string(msg); s {
	case "panic":
		panic("told to")
	case "close":
		e.c.Send(frameOf("last"))
		e.c.Close(codec.DisconnectForceReconnect)
	case "leave":
		e.c.Close(codec.DisconnectConnectionClosed)
	case "arm":
		e.c.Arm(e.c.loop.Now().After(time.Millisecond))
	default:
		e.c.Send(frameOf(s))
	}
}
func (e *echo) Expire(loop.Time) { e.c.Send(frameOf("expired")) }
func (e *echo) Order(what any)   { e.c.Send(frameOf(fmt.Sprint(what))) }
func (e *echo) Closed()          { e.code.Store(int32(e.c.CloseCode())); e.closed.Add(1) }

// AppendFarewell implements Teller.
func (e *echo) AppendFarewell(dst []byte, d codec.Disconnect) []byte {
	if d == codec.DisconnectConnectionClosed {
		return dst
	}
	return fmt.Append(dst, d.Code)
}

// end is the other end of a conn.
type end struct {
	h     *house
	c     *Conn
	echo  *echo
	leave context.CancelFunc

	mu    sync.Mutex
	got   []string
	block chan struct{} // if not nil, writes wait for it, or for their deadline
	err   error

	served chan error
}

func (h *house) dial() *end {
	h.t.Helper()
	e := &end{h: h, echo: &echo{}, served: make(chan error, 1)}
	c, err := h.pipes.Open(func(c *Conn) (Receiver, func()) { e.echo.c = c; c.TellBy(e.echo, codec.JSON); return e.echo, nil })
	if err != nil {
		h.t.Fatal(err)
	}
	e.c = c
	ctx, cancel := context.WithCancel(context.Background())
	e.leave = cancel
	return e.serve(ctx)
}

func (e *end) serve(ctx context.Context) *end {
	go func() { e.served <- e.c.Serve(ctx, e) }()
	e.h.t.Cleanup(e.leave)
	return e
}

func (e *end) Write(frames []*codec.Frame, until time.Time) error {
	e.mu.Lock()
	block, err := e.block, e.err
	e.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-time.After(time.Until(until)):
			return context.DeadlineExceeded
		}
	}
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range frames {
		e.got = append(e.got, string(f.Messages()))
	}
	return nil
}

func (e *end) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.got, " ")
}

func (e *end) expect(want string) {
	e.h.t.Helper()
	eventually(e.h.t, "to hear "+want, func() bool { return e.heard() == want })
}

// expectEnd waits for the end and compares how the session heard of it.
func (e *end) expectEnd(code int) error {
	e.h.t.Helper()
	var err error
	select {
	case err = <-e.served:
	case <-time.After(waitMax):
		e.h.t.Fatal("never served")
	}
	eventually(e.h.t, "the session hears of the end", func() bool { return e.echo.closed.Load() > 0 })
	if n, got := e.echo.closed.Load(), e.echo.code.Load(); n != 1 || int(got) != code {
		e.h.t.Errorf("closed %d times with %d, want once with %d", n, got, code)
	}
	e.h.settled()
	return err
}

func TestBothWays(t *testing.T) {
	h := open(t, nil)
	e := h.dial()
	for _, s := range []string{"a", "b", "c"} {
		if !e.c.Receive([]byte(s)) {
			t.Fatal("not taken")
		}
	}
	e.expect("a b c")
	e.c.Receive([]byte("arm"))
	e.expect("a b c expired")
	e.c.loop.Order(e.c.Handle(), "order")
	e.expect("a b c expired order")
	e.c.Receive([]byte("close"))
	if err := e.expectEnd(3011); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	e.expect("a b c expired order last 3011")
	if e.c.Receive([]byte("x")) {
		t.Error("a message was taken after the end")
	}
}

// TestEnds: from every side, with what the session is told and what the client.
func TestEnds(t *testing.T) {
	h := open(t, func(c *Config) { c.WriteTimeout, c.CloseTimeout = 100*time.Millisecond, 100*time.Millisecond })
	for _, tt := range []struct {
		name string
		end  func(e *end)
		code int
		want string
	}{
		{"the session closes", func(e *end) { e.c.Receive([]byte("close")) }, 3011, "last 3011"},
		{"the session leaves without a word", func(e *end) { e.c.Receive([]byte("leave")) }, 0, ""},
		{"the session panics", func(e *end) { e.c.Receive([]byte("panic")) }, 3004, "3004"},
		{"the peer goes", func(e *end) { e.leave() }, 0, ""},
		{"the reader ends", func(e *end) { e.c.HangUp(0) }, 0, ""},
		{"the reader ends, then the session closes", func(e *end) { e.c.HangUp(7); e.c.Receive([]byte("close")) }, 7, ""},
		{"a write fails", func(e *end) { e.set(nil, errors.New("told to")); e.c.Receive([]byte("x")) }, 3009, ""},
		{"a write takes too long", func(e *end) { e.set(make(chan struct{}), nil); e.c.Receive([]byte("x")) }, 3009, ""},
		{"the last write takes too long", func(e *end) { e.set(make(chan struct{}), nil); e.c.Receive([]byte("close")) }, 3011, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := h.dial()
			tt.end(e)
			_ = e.expectEnd(tt.code)
			e.expect(tt.want)
		})
	}
}

func (e *end) set(block chan struct{}, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.block, e.err = block, err
}

// TestSlow: a client that does not take what it is owed is closed over the limit, and told so when it reads again.
func TestSlow(t *testing.T) {
	h := open(t, func(c *Config) { c.QueueBytesMax = 10_000 })
	e := h.dial()
	block := make(chan struct{})
	e.set(block, nil)
	message := []byte(strings.Repeat("x", 1000))
	e.c.Receive(message)
	eventually(t, "the writer has it in its hands", func() bool {
		e.c.mu.Lock()
		defer e.c.mu.Unlock()
		return e.c.writing > 0
	})
	sent := 1
	for e.c.Receive(message) {
		sent++
	}
	if sent < 10 || sent > 20 {
		t.Errorf("slow after %d messages", sent)
	}
	var slow int
	h.tally.locked(func() { slow = h.tally.slow })
	if slow != 1 {
		t.Errorf("%d are slow", slow)
	}
	close(block)
	_ = e.expectEnd(3008)
	if got := e.heard(); !strings.HasSuffix(got, "x 3008") {
		t.Errorf("heard %.100q", got)
	}
}

// TestBackPressure: a reader waits while its message waits, and the loop does not.
func TestBackPressure(t *testing.T) {
	h := open(t, func(c *Config) { c.Loops = c.Loops[:1] })
	e := h.dial()
	e.c.Receive([]byte("a"))
	gate := make(chan struct{})
	l := h.loops[0]
	if l.Post(gateway(gate), nil, 0) {
		l.Wake()
	}
	taken := make(chan struct{})
	go func() { e.c.Receive([]byte("b")); close(taken) }()
	select {
	case <-taken:
		t.Error("taken by a loop that is held up")
	case <-time.After(50 * time.Millisecond):
	}
	close(gate)
	<-taken
	e.expect("a b")
	e.leave()
	_ = e.expectEnd(0)
}

// gateway holds a loop up.
type gateway chan struct{}

func (g gateway) Take(*loop.Loop, any) { <-g }

// TestFull: too many are refused, and a place comes free.
func TestFull(t *testing.T) {
	h := open(t, func(c *Config) { c.ConnsMax = 2 })
	a, b := h.dial(), h.dial()
	if _, err := h.pipes.Open(nil); err != ErrFull || h.pipes.Refused() != 1 {
		t.Errorf("%v, %d refused", err, h.pipes.Refused())
	}
	a.leave()
	<-a.served
	eventually(t, "a place comes free", func() bool { return h.pipes.Conns() == 1 })
	h.tally.locked(func() { h.tally.refuse = true })
	if _, err := h.pipes.Open(nil); err != ErrFull || h.pipes.Conns() != 1 {
		t.Errorf("%v without a place among all", err)
	}
	h.tally.locked(func() { h.tally.refuse = false })
	c := h.dial()
	b.leave()
	c.leave()
	<-b.served
	<-c.served
	h.settled()
}

// TestLoopsEnd: whoever waits for loops that have ended goes away.
func TestLoopsEnd(t *testing.T) {
	var gone chan struct{}
	h := open(t, func(c *Config) {
		gone = make(chan struct{})
		c.Done = gone
	})
	e := h.dial()
	e.c.Receive([]byte("a"))
	l := e.c.loop
	hold := make(gateway)
	if l.Post(hold, nil, 0) {
		l.Wake()
	}
	taken := make(chan bool)
	go func() { taken <- e.c.Receive([]byte("b")) }()
	close(gone)
	if <-taken || <-e.served == nil {
		t.Error("all went well without a loop")
	}
	close(hold)
}

// TestCrowd: many conns, each with a reader, a writer and somebody who ends it, from all sides at once.
func TestCrowd(t *testing.T) {
	h := open(t, func(c *Config) { c.QueueBytesMax, c.WriteTimeout = 2000, 50*time.Millisecond })
	const conns, messages = 200, 50
	var all sync.WaitGroup
	for i := range conns {
		e := h.dial()
		all.Go(func() {
			for n := 0; n < messages || i%4 == 2; n++ { // those that are blocked send until that is noticed
				if !e.c.Receive(fmt.Appendf(nil, "%d", n)) {
					break
				}
			}
			if i%4 == 3 {
				e.c.Receive([]byte("close"))
			}
		})
		all.Go(func() {
			time.Sleep(time.Duration(i) * 100 * time.Microsecond)
			switch i % 4 {
			case 0:
				e.leave()
			case 1:
				e.c.HangUp(0)
			case 2:
				e.set(make(chan struct{}), nil)
			}
		})
		all.Go(func() {
			<-e.served
			want := 0
			for _, s := range strings.Fields(e.heard()) {
				if s == fmt.Sprint(want) {
					want++
				} else if s != "last" && s != "3011" && s != "3008" {
					t.Errorf("conn %d: heard %q in place of %d", i, s, want)
				}
			}
		})
	}
	all.Wait()
	h.settled()
}

// TestAllocs: sending a frame that exists, and handing it to the writer, allocates nothing.
func TestAllocs(t *testing.T) {
	w := newWorld(t, 1)
	w.open()
	p := w.peers[0]
	w.turnAll()
	f := frameOf("x")
	if n := testing.AllocsPerRun(1000, func() {
		p.c.Send(f)
		p.c.Flush()
		frames, _, _ := p.c.take()
		p.c.written(frames)
	}); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	w.end()
}
