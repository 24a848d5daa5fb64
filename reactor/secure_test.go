package reactor

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stentor/codec/ws"
)

func TestTLSEcho(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
		c := dialWSS(t, r, clientTLS(version))
		for _, n := range []int{0, 1, 1000, 20000, 60000} {
			msg := strings.Repeat("x", n)
			c.say(text(msg))
			c.expect(msg)
		}
		half := text("in two halves")
		c.say(half[:3])
		c.say(half[3:] + clientFrame(ws.OpPing, true, "?"))
		c.expect("in two halves")
		if op, payload, err := c.hear(); op != ws.OpPong || payload != "?" || err != nil {
			t.Errorf("heard %v %q, %v", op, payload, err)
		}
		c.say(clientClose(1000, ""))
		c.expectClose(1000, "")
		if _, err := c.Conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the stream ends with %v: no close_notify", err)
		}
	})
}

// splitter is a net.Conn that writes in pieces and counts the records that it reads.
type splitter struct {
	net.Conn
	piece   atomic.Int64 // bytes at a time; 0 for all
	records atomic.Int64
	left    int // of the current record
	header  []byte
}

func (s *splitter) Write(p []byte) (int, error) {
	piece := int(s.piece.Load())
	if piece == 0 {
		return s.Conn.Write(p)
	}
	for at := 0; at < len(p); at += piece {
		if _, err := s.Conn.Write(p[at:min(at+piece, len(p))]); err != nil {
			return at, err
		}
		time.Sleep(50 * time.Microsecond) // else the kernel would put them together again
	}
	return len(p), nil
}

func (s *splitter) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if s.left > 0 {
			skip := min(s.left, len(rest))
			s.left, rest = s.left-skip, rest[skip:]
			continue
		}
		need := min(recordHeaderBytes-len(s.header), len(rest))
		s.header, rest = append(s.header, rest[:need]...), rest[need:]
		if len(s.header) == recordHeaderBytes {
			s.records.Add(1)
			s.left, s.header = int(binary.BigEndian.Uint16(s.header[3:])), nil
		}
	}
	return n, err
}

func dialSplit(t testing.TB, r *Reactor, config *tls.Config, piece int64) (*client, *splitter) {
	t.Helper()
	raw := dialRaw(t, r)
	s := &splitter{Conn: raw.Conn}
	s.piece.Store(piece)
	conn := tls.Client(s, config)
	return &client{conn, t, newReader(conn)}, s
}

// Records that come byte by byte, from the ClientHello on, are taken like others.
func TestTLSByteByByte(t *testing.T) {
	t.Parallel() // it waits most of the time
	overBoth(t, func(t *testing.T, version uint16) {
		r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
		c, _ := dialSplit(t, r, clientTLS(version), 3)
		c.say(upgradeRequest())
		c.upgraded()
		for range 3 {
			c.say(text("hello") + text("again"))
			c.expect("hello")
			c.expect("again")
		}
		eventually(t, "nothing is held", func() bool { return r.Stats().QueuedBytes == 0 })
		half := text("half")
		c.say(half[:4])
		c.say(half[4:])
		c.expect("half")
	})
}

// All frames that are written to a conn in one turn of its loop leave it in one record.
func TestTLSOneRecordPerTurn(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		router, ch := conns(silent)
		r := start(t, Config{TLS: serverTLS()}, router)
		const clients, frames, turns = 5, 12, 10
		var all []*Conn
		var cs []*client
		var splitters []*splitter
		for range clients {
			c, s := dialSplit(t, r, clientTLS(version), 0)
			c.say(upgradeRequest())
			c.upgraded()
			all, cs, splitters = append(all, <-ch), append(cs, c), append(splitters, s)
			s.records.Store(0)
		}
		shared := numbered(0, 1000)
		for range turns {
			onLoop(r, 0, func() {
				for range frames {
					for _, s := range all {
						s.Write(shared)
					}
				}
			})
			for _, c := range cs {
				for range frames {
					c.expect(string(shared[4:]))
				}
			}
		}
		for i, s := range splitters {
			if n := s.records.Load(); n != turns {
				t.Errorf("client %d got %d records, want %d", i, n, turns)
			}
		}
	})
}

// What is more than a record goes out in full ones.
func TestTLSRecordsAreFull(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{TLS: serverTLS()}, router)
	c, counted := dialSplit(t, r, clientTLS(tls.VersionTLS13), 0)
	c.say(upgradeRequest())
	c.upgraded()
	s := <-ch
	counted.records.Store(0)
	const size, frames = 1000, 100
	onLoop(r, 0, func() {
		for i := range frames {
			s.Write(numbered(i, size))
		}
		s.Close(3000, "end")
	})
	if n, code := c.hearAll(size); n != frames || code != 3000 {
		t.Errorf("%d frames, closed with %d", n, code)
	}
	// 64 KiB are given to the socket at once, and whole frames.
	if n := counted.records.Load(); n > frames*(size+4)/recordPlainBytesMax+3 {
		t.Errorf("%d records", n)
	}
}

// A client that says close_notify has ended its side: it hears what it is owed, and the end.
func TestTLSCloseNotify(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
		c := dialWSS(t, r, clientTLS(version))
		c.say(text("last words"))
		if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.expect("last words")
		if _, err := c.Conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the stream ends with %v: no close_notify", err)
		}
		eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.TLS12+s.TLS13 == 0 })

		// A refusal ends with close_notify as well.
		c = dialTLS(t, r, clientTLS(version))
		c.say("GET / HTTP/1.0\r\nBad Header: x\r\n\r\n")
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
			t.Errorf("answered with %q", head)
		}
		if _, err := io.ReadAll(c.in); err != nil {
			t.Errorf("the stream ends with %v", err)
		}
		c.Close()
		eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.TLS12+s.TLS13 == 0 })
	})
}

// Records that make no sense end their conn, with an alert, and no other.
func TestTLSGarbage(t *testing.T) {
	record := func(kind byte, body string) string {
		return string([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}) + body
	}
	overBoth(t, func(t *testing.T, version uint16) {
		for name, c := range map[string]struct{ raw, alert string }{
			"application data":     {record(23, strings.Repeat("x", 100)), "bad record MAC"},
			"short record":         {record(23, "x"), "bad record MAC"},
			"plain HTTP":           {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol version"},
			"handshake":            {record(22, "\x01\x00\x00\x02\x03\x03"), "bad record MAC|unexpected message"},
			"oversize record":      {"\x17\x03\x03\xff\xff" + strings.Repeat("x", 100), "record overflow"},
			"wrong version":        {"\x17\x02\x00\x00\x20" + strings.Repeat("x", 32), "protocol version"},
			"change cipher spec":   {record(20, "\x02"), "bad record MAC|error decoding message|unexpected message"},
			"unencrypted alert":    {record(21, "\x02\x28"), "bad record MAC|unexpected message"},
			"unknown content type": {record(99, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), "bad record MAC|unexpected message"},
		} {
			t.Run(name, func(t *testing.T) {
				router, ch := conns(silent)
				r := start(t, Config{TLS: serverTLS()}, router)
				victim, other := dialWSS(t, r, clientTLS(version)), dialWSS(t, r, clientTLS(version))
				s := <-ch
				second := <-ch
				if _, err := io.WriteString(victim.Conn.(*tls.Conn).NetConn(), c.raw); err != nil {
					t.Fatal(err)
				}
				_, err := victim.in.ReadByte()
				found := false
				for alert := range strings.SplitSeq(c.alert, "|") {
					found = found || err != nil && strings.Contains(err.Error(), alert)
				}
				if !found {
					t.Errorf("the client sees %v, want %q", err, c.alert)
				}
				eventually(t, "counted", func() bool { return r.Stats().TLSBroken == 1 })
				onLoop(r, 0, func() {
					if s.Write(frame("x")) {
						t.Error("a broken conn can be written to")
					}
					second.Write(frame("unhurt"))
				})
				other.expect("unhurt")
				victim.Conn.(*tls.Conn).NetConn().Close()
				eventually(t, "gone", func() bool { return r.Stats().Conns == 1 })
			})
		}
	})
}

// Half a record has a deadline, like half a ws frame, and counts as memory.
func TestTLSHalfRecord(t *testing.T) {
	t.Parallel() // it waits most of the time
	router, ch := conns(silent)
	r := start(t, Config{TLS: serverTLS(), FragmentTimeout: 300 * time.Millisecond}, router)
	c := dialWSS(t, r, clientTLS(tls.VersionTLS13))
	s := <-ch
	if _, err := io.WriteString(c.Conn.(*tls.Conn).NetConn(), "\x17\x03\x03\x40\x00"+strings.Repeat("x", 8000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is accounted for", func() bool { return r.Stats().QueuedBytes >= 8000 })
	onLoop(r, 0, func() {
		if s.weight() < 8000 {
			t.Errorf("it weighs %d", s.weight())
		}
	})
	c.expectClose(1008, "message not completed in time")
	c.Close()
	eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })

	// A record that trickles in has no more time than one that stops.
	c = dialWSS(t, r, clientTLS(tls.VersionTLS13))
	s = <-ch
	trickle := c.Conn.(*tls.Conn).NetConn()
	if _, err := io.WriteString(trickle, "\x17\x03\x03\x40\x00"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "closed", func() bool {
		time.Sleep(10 * time.Millisecond)
		_, _ = trickle.Write([]byte{0})
		var code uint16
		onLoop(r, 0, func() { code = s.CloseCode() })
		return code == 1008
	})
	c.Close()

	// A whole record between two halves takes the deadline away.
	c, cut := dialSplit(t, r, clientTLS(tls.VersionTLS13), 0)
	c.say(upgradeRequest())
	c.upgraded()
	s = <-ch
	cut.piece.Store(1)
	c.say(text("slowly"))
	eventually(t, "no deadline", func() bool {
		var at int
		onLoop(r, 0, func() { at = int(s.partialAt) })
		return at == 0
	})
}

// Half a record stays among what can be shed when the requests before it are served without it.
func TestTLSHalfRecordBehindRequests(t *testing.T) {
	ch := make(chan *pipe, 2)
	r := start(t, Config{TLS: serverTLS()}, serving(waiter(ch, nil)))
	c := dialTLS(t, r, clientTLS(tls.VersionTLS13))
	c.say(post("/x", "1") + post("/x", "2"))
	first := <-ch
	if _, err := io.WriteString(tcpOf(c.Conn), "\x17\x03\x03\x40\x00"+strings.Repeat("x", 8000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is accounted for", func() bool { return r.Stats().QueuedBytes >= 8000 })
	r.Loops()[0].Order(handleOf(r, first), "one")
	c.expectAnswer(200, "one")
	second := <-ch
	onLoop(r, 0, func() {
		if _, held := r.drivers[0].holders[second.c]; !held || second.c.weight() < 8000 {
			t.Errorf("held %v, weight %d", held, second.c.weight())
		}
	})
}

// Half a record that came before its conn became a stream has a deadline from then on.
func TestTLSHalfRecordBeforeStream(t *testing.T) {
	ch := make(chan *pipe, 1)
	r := start(t, Config{TLS: serverTLS(), FragmentTimeout: 300 * time.Millisecond}, serving(waiter(ch, func(p *pipe) {
		p.onOrder = func(p *pipe, _ any) { p.c.Stream(Response{Body: []byte("begun\n")}, p) }
	})))
	c := dialTLS(t, r, clientTLS(tls.VersionTLS13))
	c.say(post("/x", "1"))
	p := <-ch
	if _, err := io.WriteString(tcpOf(c.Conn), "\x17\x03\x03\x40\x00half"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is accounted for", func() bool { return r.Stats().QueuedBytes > 0 })
	r.Loops()[0].Order(handleOf(r, p), nil)
	c.head()
	if body, err := io.ReadAll(c.in); !strings.Contains(string(body), "begun\n") || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

// Slow clients over TLS are those without: they are closed with 3008 and see whole frames in order, or get all when they go on.
func TestTLSSlowReader(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 256 << 10, SendBufferBytes: 8 << 10, TLS: serverTLS()}, router)
	dial := func() (*client, *Conn) {
		d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
			e := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
			return errors.Join(err, e)
		}}
		conn, err := d.Dial("tcp", r.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(waitMax)); err != nil {
			t.Fatal(err)
		}
		secured := tls.Client(conn, clientTLS(tls.VersionTLS13))
		c := &client{secured, t, newReader(secured)}
		c.say(upgradeRequest())
		c.upgraded()
		return c, <-ch
	}
	const size = 5000
	c, s := dial()
	wrote := 0
	for i, ok := 0, true; ok; i++ {
		onLoop(r, 0, func() { ok = s.Write(numbered(i, size)) })
		if ok {
			wrote++
		}
		onLoop(r, 0, func() {
			if n := s.unsent(); n > writeBytesMax+4<<10 {
				t.Fatalf("%d encrypted bytes wait", n)
			}
		})
	}
	if n := wrote * size; n < 256<<10 || n > 512<<10 {
		t.Errorf("closed after %d bytes", n)
	}
	frames, code := c.hearAll(size)
	if code != 3008 || frames == 0 || frames >= wrote {
		t.Errorf("closed with %d after %d of %d frames", code, frames, wrote)
	}
	c.say(clientClose(3008, ""))
	c.expectEnd()

	c, s = dial()
	const all = 40
	for i := range all {
		onLoop(r, 0, func() {
			if !s.Write(numbered(i, size)) {
				t.Error("Write failed")
			}
			if i == all-1 {
				s.Close(3000, "end")
			}
		})
	}
	if n, code := c.hearAll(size); n != all || code != 3000 {
		t.Errorf("%d frames, closed with %d", n, code)
	}
	c.Close()
	eventually(t, "nothing is held", func() bool { s := r.Stats(); return s.QueuedBytes == 0 && s.Conns == 0 })
}

// What a slow client may miss is dropped before it is encrypted.
func TestTLSDrop(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 128 << 10, SendBufferBytes: 8 << 10, TLS: serverTLS()}, router)
	c := dialWSS(t, r, clientTLS(tls.VersionTLS13))
	s := <-ch
	const size, frames = 5000, 2000 // more than all buffers hold
	onLoop(r, 0, func() {
		for i := range frames {
			if !s.WriteDroppable(numbered(i, size), DropStale, 7) {
				t.Fatalf("closed after %d frames", i)
			}
		}
		s.Close(3000, "end")
	})
	last, heard := -1, 0
	for {
		op, payload, err := c.hear()
		if err != nil {
			t.Fatal(err)
		}
		if op == ws.OpClose {
			break
		}
		n := 0
		for _, digit := range payload[:8] {
			n = n*10 + int(digit-'0')
		}
		if n <= last || len(payload) != size {
			t.Fatalf("frame %d of %d bytes after %d", n, len(payload), last)
		}
		last = n
		heard++
	}
	if last != frames-1 || heard == frames {
		t.Errorf("heard %d frames, the last is %d", heard, last)
	}
}

// net turns keep-alive probes on for the conns that it makes of descriptors. A conn of a loop has none, by TLS or without.
func TestTLSKeepAliveIsOff(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{TLS: serverTLS()}, router)
	dialWSS(t, r, clientTLS(tls.VersionTLS13))
	s := <-ch
	onLoop(r, 0, func() {
		if on, err := unix.GetsockoptInt(s.gc.Fd(), unix.SOL_SOCKET, unix.SO_KEEPALIVE); on != 0 || err != nil {
			t.Errorf("SO_KEEPALIVE is %d, %v", on, err)
		}
		if on, err := unix.GetsockoptInt(s.gc.Fd(), unix.IPPROTO_TCP, unix.TCP_NODELAY); on != 1 || err != nil {
			t.Errorf("TCP_NODELAY is %d, %v", on, err)
		}
	})
}
