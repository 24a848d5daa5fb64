package reactor

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"stentor/codec/ws"
)

var noDeadline time.Time

// dialSlow is an upgraded client with a small receive buffer, which does not read unless told to.
func dialSlow(t testing.TB, r *Reactor) *client {
	t.Helper()
	c := &client{dialNarrow(t, r), t, nil}
	c.in = newReader(c.Conn)
	c.say(upgradeRequest())
	c.upgraded()
	return c
}

// dialNarrow is a conn with a small receive buffer.
func dialNarrow(t testing.TB, r *Reactor) net.Conn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		}); e != nil {
			return e
		}
		return err
	}}
	conn, err := d.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(waitMax)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// numbered is a frame of size bytes that begins with its number.
func numbered(i, size int) []byte {
	n := fmt.Sprintf("%08d", i)
	return frame(n + strings.Repeat(".", size-len(n)))
}

// hearAll reads frames until a close frame and checks that they come whole and in order from 0.
func (c *client) hearAll(size int) (frames int, code uint16) {
	c.t.Helper()
	for {
		op, payload, err := c.hear()
		if err != nil {
			c.t.Fatalf("after %d frames: %v", frames, err)
		}
		if op == ws.OpClose {
			code, _, _ := ws.ParseClose([]byte(payload))
			return frames, code
		}
		if want := fmt.Sprintf("%08d", frames); len(payload) != size || !strings.HasPrefix(payload, want) {
			c.t.Fatalf("frame %d begins with %.10q and has %d bytes", frames, payload, len(payload))
		}
		frames++
	}
}

// A client that does not read is closed with 3008 once it is owed too much. It gets whole frames, in order, and the close frame.
func TestSlowReader(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 256 << 10, SendBufferBytes: 8 << 10}, router)
	c := dialSlow(t, r)
	s := <-ch
	healthy, h := opened(t, r, ch)
	const size = 5000
	wrote := 0
	for i := 0; ; i++ {
		ok := false
		onLoop(r, 0, func() { ok = s.Write(numbered(i, size)); h.Write(frame("tick")) })
		healthy.expect("tick")
		if !ok {
			break
		}
		wrote++
	}
	if bytes := wrote * size; bytes < 256<<10 || bytes > 512<<10 {
		t.Errorf("closed after %d bytes", bytes)
	}
	if stats := r.Stats(); stats.Slow != 1 || stats.Loops[0].SlowConns != 1 {
		t.Errorf("slow %d, listed %d", stats.Slow, stats.Loops[0].SlowConns)
	}
	frames, code := c.hearAll(size)
	if code != 3008 || frames == 0 || frames >= wrote {
		t.Errorf("closed with %d after %d of %d frames", code, frames, wrote)
	}
	c.say(clientClose(3008, ""))
	c.expectEnd()
}

// A client that pauses gets everything in order afterwards, and the loop is no longer bothered with it.
func TestSlowReaderRecovers(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 8 << 20, SendBufferBytes: 8 << 10}, router)
	c := dialSlow(t, r)
	s := <-ch
	const frames, size = 200, 5000
	for i := range frames {
		onLoop(r, 0, func() {
			if !s.Write(numbered(i, size)) {
				t.Error("Write failed")
			}
			if i == frames-1 {
				s.Close(3000, "end")
			}
		})
	}
	if held := r.Stats().QueuedBytes; held < 900<<10 {
		t.Errorf("%d bytes held", held)
	}
	if n, code := c.hearAll(size); n != frames || code != 3000 {
		t.Errorf("%d frames, closed with %d", n, code)
	}
	eventually(t, "no slow conns", func() bool { s := r.Stats(); return s.Loops[0].SlowConns == 0 && s.QueuedBytes == 0 })
}

// Frames that wait for many clients are kept once, beside a reference for each.
func TestSharedFramesAreHeldOnce(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 8 << 20, SendBufferBytes: 4 << 10}, router)
	const clients, frames, size = 50, 200, 10000
	var all []*Conn
	for range clients {
		dialSlow(t, r)
		all = append(all, <-ch)
	}
	for i := range frames {
		f := numbered(i, size)
		onLoop(r, 0, func() {
			for _, s := range all {
				s.Write(f)
			}
		})
	}
	onLoop(r, 0, func() {
		a := &all[0].driver.account
		if n := len(a.frames); n > frames || n < frames*9/10 {
			t.Errorf("%d frames are accounted for", n)
		}
	})
	// Each frame once; a reference per frame and client; for each client what gnet has a copy of.
	limit := int64(frames*size + clients*frames*16 + clients*3*size)
	if held := r.Stats().QueuedBytes; held > limit || held < frames*size*9/10 {
		t.Errorf("%d bytes held, want about %d", held, limit)
	}
	onLoop(r, 0, func() {
		for _, s := range all {
			s.hangUp()
		}
	})
	eventually(t, "nothing is held", func() bool { return r.Stats().QueuedBytes == 0 })
}

// Over the ceiling of all conns together those that hold the most go first, and only as many as it takes.
func TestCeilingEndsTheHeaviest(t *testing.T) {
	router, ch := conns(silent)
	const size = 10000
	r := start(t, Config{Loops: 2, QueueBytesMax: 64 << 20, QueueTotalBytesMax: 6 << 20, SendBufferBytes: 4 << 10, CloseTimeout: time.Hour}, router)
	type end struct {
		c *client
		s *Conn
	}
	var heavy, light []end
	for i := range 20 {
		c := dialSlow(t, r)
		e := end{c, <-ch}
		if i%5 == 0 {
			heavy = append(heavy, e)
		} else {
			light = append(light, e)
		}
	}
	give := func(e end, frames int) {
		onLoop(r, e.s.Loop().ID(), func() {
			for i := range frames {
				e.s.Write(numbered(i, size))
			}
		})
	}
	for _, e := range light {
		give(e, 10) // 1.6 MB together
	}
	for _, e := range heavy {
		give(e, 300) // 3 MB each
	}
	eventually(t, "below the ceiling", func() bool { return r.Stats().QueuedBytes <= 6<<20 })
	for _, e := range light {
		var st state
		onLoop(r, e.s.Loop().ID(), func() { st = e.s.state })
		if st != stateOpen {
			t.Fatal("a light conn was shed")
		}
	}
	for _, e := range light {
		e := e
		onLoop(r, e.s.Loop().ID(), func() { e.s.Close(3000, "end") })
		if n, code := e.c.hearAll(size); n != 10 || code != 3000 {
			t.Errorf("a light conn got %d frames and close %d", n, code)
		}
	}
	slow := 0
	for _, e := range heavy {
		var code uint16
		onLoop(r, e.s.Loop().ID(), func() { code = e.s.CloseCode() })
		if code != 3008 {
			continue
		}
		slow++
		if n, code := e.c.hearAll(size); n == 300 || code != 3008 {
			t.Errorf("a heavy conn got %d frames and close %d", n, code)
		}
	}
	if shed := int(r.Stats().Shed); slow != shed || shed < 1 {
		t.Errorf("%d conns have the code of slow ones, %d were shed", slow, shed)
	}
}

// Incomplete messages count against the ceiling too, before and after the upgrade.
func TestCeilingCountsInput(t *testing.T) {
	router, _ := conns(silent)
	r := start(t, Config{QueueTotalBytesMax: 1 << 20}, router)
	half := clientFrame(ws.OpText, true, strings.Repeat("x", 60000))[:50000]
	clients := make([]*client, 60)
	for i := range clients {
		switch i % 3 {
		case 0:
			clients[i] = dialWS(t, r)
			clients[i].say(half)
		case 1:
			clients[i] = dialWS(t, r)
			clients[i].say(clientFrame(ws.OpText, false, strings.Repeat("x", 50000)))
		case 2:
			clients[i] = dial(t, r)
			clients[i].say("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 10000))
		}
	}
	eventually(t, "some were shed", func() bool { s := r.Stats(); return s.Shed > 0 && s.QueuedBytes <= 1<<20 })
	eventually(t, "not all were shed", func() bool { s := r.Stats(); return s.Conns > 0 && s.QueuedBytes > 1<<19 })
}

// A receiver that gives a healthy client much at once does not make it slow, as long as its socket takes it.
func TestMuchAtOnce(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 64 << 10}, router)
	c, s := opened(t, r, ch)
	onLoop(r, 0, func() {
		for i := range 20 {
			if !s.Write(numbered(i, 20000)) {
				t.Errorf("frame %d was refused", i)
			}
		}
		s.Close(3000, "end")
	})
	if n, code := c.hearAll(20000); n != 20 || code != 3000 {
		t.Errorf("%d frames, closed with %d", n, code)
	}
}

// A client that reads on, however slowly, keeps its conn while less than the limit is owed.
func TestOneByteReader(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 1 << 20, SendBufferBytes: 4 << 10}, router)
	c := dialSlow(t, r)
	s := <-ch
	for i := range 100 {
		onLoop(r, 0, func() { s.Write(numbered(i, 1000)) })
	}
	b := make([]byte, 1)
	for range 2000 {
		if _, err := io.ReadFull(c.in, b); err != nil {
			t.Fatal(err)
		}
	}
	onLoop(r, 0, func() {
		if s.state != stateOpen {
			t.Error("closed")
		}
	})
}
