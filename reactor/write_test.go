package reactor

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// countedConn counts the system calls that its conn asks gnet for.
type countedConn struct {
	gnet.Conn
	writes int
}

func (c *countedConn) Write(b []byte) (int, error)    { c.writes++; return c.Conn.Write(b) }
func (c *countedConn) Writev(b [][]byte) (int, error) { c.writes++; return c.Conn.Writev(b) }

// opened dials a conn and returns both of its ends.
func opened(t testing.TB, r *Reactor, conns <-chan *Conn) (*client, *Conn) {
	c := dialWS(t, r)
	return c, <-conns
}

// conns is a router whose conns come out of the chan, each with a receiver of open.
func conns(open func() *pipe) (routes, <-chan *Conn) {
	ch := make(chan *Conn, 10000)
	return func(h *Head) Verdict {
		if h.Path != "/ws" {
			return Verdict{}
		}
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			p := open()
			p.c = c
			ch <- c
			return p
		}}
	}, ch
}

func silent() *pipe { return new(pipe) }

// Whatever is written in one turn goes out in one system call, in order.
func TestOneWritePerTurn(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 8 << 20}, router)
	c, s := opened(t, r, ch)
	counted := &countedConn{}
	onLoop(r, 0, func() {
		counted.Conn = s.gc
		s.gc = counted
		for i := range 10 {
			s.Write(frame(fmt.Sprint(i)))
		}
	})
	for i := range 10 {
		c.expect(fmt.Sprint(i))
	}
	onLoop(r, 0, func() {
		if counted.writes != 1 {
			t.Errorf("%d writes for 10 frames", counted.writes)
		}
		counted.writes = 0
		s.Write(frame("alone"))
		s.Write(nil)
	})
	c.expect("alone")
	onLoop(r, 0, func() {
		if counted.writes != 1 {
			t.Errorf("%d writes for one frame", counted.writes)
		}
	})
	// Much more than gnet is given at once, in one frame and in many.
	long := strings.Repeat("x", 1<<20)
	onLoop(r, 0, func() {
		s.Write(frame(long))
		for i := range 1000 {
			s.Write(frame(fmt.Sprint(i)))
		}
		s.Write(frame(long))
	})
	c.expect(long)
	for i := range 1000 {
		c.expect(fmt.Sprint(i))
	}
	c.expect(long)
	onLoop(r, 0, func() { s.gc = counted.Conn })
}

// The way of a frame from Write to the socket allocates nothing, alone or in company.
func TestWriteAllocs(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{}, router)
	c, s := opened(t, r, ch)
	go func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{c.Conn}, make([]byte, 64<<10)) }()
	for _, frames := range []int{1, 2, 8, 20} {
		f := frame(strings.Repeat("x", 100))
		var allocs float64
		onLoop(r, 0, func() {
			allocs = testing.AllocsPerRun(1000, func() {
				for range frames {
					s.Write(f)
				}
				s.flags |= flagDirty // as it would be had the loop's list not been left out
				s.resident().Flush()
			})
		})
		if allocs != 0 && !raceEnabled {
			t.Errorf("%v allocations to write %d frames", allocs, frames)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, frames := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprint(frames), func(b *testing.B) {
			router, ch := conns(silent)
			r := start(b, Config{}, router)
			c, s := opened(b, r, ch)
			if err := c.SetDeadline(noDeadline); err != nil {
				b.Fatal(err)
			}
			go func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{c.Conn}, make([]byte, 256<<10)) }()
			f := frame(strings.Repeat("x", 100))
			b.ReportAllocs()
			onLoop(r, 0, func() {
				b.ResetTimer()
				for range b.N {
					for range frames {
						s.Write(f)
					}
					s.resident().Flush()
					for s.gc.OutboundBuffered() > 0 {
						_ = s.gc.Flush()
					}
					s.judge()
				}
				b.StopTimer()
			})
		})
	}
}

// BenchmarkBareWrite is what BenchmarkWrite is to be compared with.
func BenchmarkBareWrite(b *testing.B) {
	router, ch := conns(silent)
	r := start(b, Config{}, router)
	c, s := opened(b, r, ch)
	if err := c.SetDeadline(noDeadline); err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{c.Conn}, make([]byte, 256<<10)) }()
	f := frame(strings.Repeat("x", 100))
	onLoop(r, 0, func() {
		fd := s.gc.Fd()
		b.ResetTimer()
		for range b.N {
			for {
				if _, err := unix.Write(fd, f); err != unix.EAGAIN {
					break
				}
			}
		}
		b.StopTimer()
	})
}

// A write to a peer that is gone ends the conn with Config.WriteError; the receiver hears of it once, and not while it is still
// inside Write.
func TestWriteError(t *testing.T) {
	for _, size := range []int{10, 200 << 10} { // the second is over the limit and so written from inside Write
		var inside atomic.Bool
		codes := make(chan uint16, 10)
		router, ch := conns(func() *pipe {
			return &pipe{onClosed: func(p *pipe) {
				if inside.Load() {
					t.Error("Closed inside Write")
				}
				codes <- p.c.CloseCode()
			}}
		})
		r := start(t, Config{QueueBytesMax: 100 << 10, SendBufferBytes: 4 << 10}, router)
		c, s := opened(t, r, ch)
		other, o := opened(t, r, ch)
		onLoop(r, 0, func() {
			if err := tcpOf(c.Conn).SetLinger(0); err != nil {
				t.Error(err)
			}
			c.Close()
			// The reset has arrived when the socket says so; gnet does not know yet.
			eventually(t, "reset", func() bool {
				fds := []unix.PollFd{{Fd: int32(s.gc.Fd()), Events: unix.POLLIN}}
				_, err := unix.Poll(fds, 0)
				return err == nil && fds[0].Revents&unix.POLLERR != 0
			})
			inside.Store(true)
			wrote := s.Write(frame(strings.Repeat("x", size)))
			inside.Store(false)
			if wrote != (size == 10) {
				t.Errorf("Write of %d bytes said %v", size, wrote)
			}
			o.Write(frame("unhurt"))
		})
		if code := <-codes; code != 3009 {
			t.Errorf("closed with %d", code)
		}
		other.expect("unhurt")
		if n := r.Stats().WriteErrors; n != 1 {
			t.Errorf("%d write errors counted", n)
		}
		onLoop(r, 0, func() {
			if s.Write(frame("x")) || s.RemoteAddr() != "" {
				t.Error("a dead conn takes something")
			}
			s.Close(3000, "")
			s.Arm(1)
		})
		if len(codes) != 0 {
			t.Error("closed twice")
		}
	}
}
