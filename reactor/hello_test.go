package reactor

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// helloConn takes a ClientHello: what is written is kept, and there is no answer.
type helloConn struct {
	net.Conn
	written bytes.Buffer
}

func (c *helloConn) Write(p []byte) (int, error) { return c.written.Write(p) }
func (c *helloConn) Read([]byte) (int, error)    { return 0, io.EOF }
func (c *helloConn) Close() error                { return nil }

// helloOf is the ClientHello of a client, one record.
func helloOf(config *tls.Config) []byte {
	c := new(helloConn)
	_ = tls.Client(c, config).Handshake()
	return c.written.Bytes()
}

// inRecords cuts a hello into records of size bytes.
func inRecords(hello []byte, size int) (raw []byte) {
	for body := hello[recordHeaderBytes:]; len(body) > 0; {
		n := min(size, len(body))
		raw = append(raw, recordHandshake, 3, 1)
		raw = binary.BigEndian.AppendUint16(raw, uint16(n))
		raw = append(raw, body[:n]...)
		body = body[n:]
	}
	return raw
}

func bigHello(bytes int) []byte {
	body := []byte{clientHello, byte(bytes >> 16), byte(bytes >> 8), byte(bytes)}
	return append([]byte{recordHandshake, 3, 1, 0, 0}, append(body, make([]byte, bytes)...)...)
}

func TestHelloEnd(t *testing.T) {
	hello := helloOf(clientTLS(tls.VersionTLS13))
	for _, c := range []struct {
		name  string
		raw   []byte
		size  int
		alert byte
	}{
		{"whole", hello, len(hello), 0},
		{"and more", append(bytes.Clone(hello), "more"...), len(hello), 0},
		{"in records of 100", inRecords(hello, 100), len(inRecords(hello, 100)), 0},
		{"the first byte alone", inRecords(hello, 1)[:12], 0, 0},
		{"too many records", inRecords(hello, 1), 0, alertUnexpectedMessage},
		{"nothing", nil, 0, 0},
		{"header", hello[:5], 0, 0},
		{"all but one", hello[:len(hello)-1], 0, 0},
		{"the largest", inRecords(bigHello(helloBytesMax), 16000), helloBytesMax + 4 + 2*recordHeaderBytes, 0},
		{"too large", inRecords(bigHello(helloBytesMax+1), 16000), 0, alertDecodeError},
		{"empty record", []byte{22, 3, 1, 0, 0}, 0, alertUnexpectedMessage},
		{"oversize record", []byte{22, 3, 1, 0xff, 0xff}, 0, alertRecordOverflow},
		{"wrong version", []byte{22, 4, 1, 0, 4}, 0, alertUnexpectedMessage},
		{"another message", []byte{22, 3, 1, 0, 4, 2}, 0, alertUnexpectedMessage},
		{"another record", append(inRecords(hello, 100)[:105], 23, 3, 1, 0, 1), 0, alertUnexpectedMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			if size, alert := helloEnd(c.raw); size != c.size || alert != c.alert {
				t.Errorf("size %d, alert %d; want %d and %d", size, alert, c.size, c.alert)
			}
		})
	}
}

// A hello is found as soon as it is complete and not before, however it arrives; nothing is refused late.
func FuzzHelloEnd(f *testing.F) {
	hello := helloOf(clientTLS(tls.VersionTLS13))
	f.Add(hello)
	f.Add(inRecords(hello, 7))
	f.Add(inRecords(hello, 100))
	f.Add([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0})
	f.Add([]byte{22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 4, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 || raw[0] != recordHandshake {
			return
		}
		size, alert := helloEnd(raw)
		if size < 0 || size > len(raw) || size > 0 && alert != 0 {
			t.Fatalf("size %d of %d, alert %d", size, len(raw), alert)
		}
		if size > 4+helloBytesMax+recordPlainBytesMax+helloRecordsMax*recordHeaderBytes {
			t.Fatalf("takes %d bytes", size)
		}
		decided := 0 // where a growing prefix is decided upon
		for n := 1; n <= len(raw) && decided == 0; n++ {
			if s, a := helloEnd(raw[:n]); s != 0 || a != 0 {
				decided = n
				if s != size || a != alert {
					t.Fatalf("%d bytes: size %d, alert %d; all: %d, %d", n, s, a, size, alert)
				}
			}
		}
		if decided == 0 && (size != 0 || alert != 0) {
			t.Fatal("decided upon only at once")
		}
		if size > 0 && decided != size {
			t.Fatalf("a hello of %d bytes is found after %d", size, decided)
		}
	})
}

func TestPlainOnTLS(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, neverRoute(t))
	c := dialRaw(t, r)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
		t.Errorf("answered with %q", head)
	}
	if body, _ := io.ReadAll(c.in); string(body) != plainOnTLS {
		t.Errorf("the response goes on with %q", body)
	}
	if got := r.Stats().PlainOnTLS; got != 1 {
		t.Errorf("%d counted", got)
	}
}

func TestPlainAndTLSOnOnePort(t *testing.T) {
	t.Parallel() // it waits most of the time
	config := serverTLS()
	config.PlainToo = true
	secure := make(chan bool, 2)
	r := start(t, Config{TLS: config, HeadTimeout: time.Second}, routes(func(h *Head) Verdict {
		secure <- h.Secure()
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			p := echo()
			p.c = c
			return p
		}}
	}))
	plain := dialRaw(t, r)
	plain.say(upgradeRequest())
	plain.upgraded()
	for i, c := range []*client{plain, dialWSS(t, r, clientTLS(0))} {
		if got := <-secure; got != (i == 1) {
			t.Errorf("conn %d: secure is %v", i, got)
		}
		c.say(text("hello"))
		c.expect("hello")
	}
	// A slow head of plain HTTP keeps its deadline and its answer.
	slow := dialRaw(t, r)
	slow.say("GET")
	if head := slow.head(); !strings.HasPrefix(head, "HTTP/1.1 408 ") {
		t.Errorf("answered with %q", head)
	}
}

// What cannot become a ClientHello is answered with an alert at once; what does not become one in time ends.
func TestBadHellos(t *testing.T) {
	t.Parallel() // it waits most of the time
	r := start(t, Config{TLS: serverTLS(), HeadTimeout: 300 * time.Millisecond}, neverRoute(t))
	for name, raw := range map[string]string{
		"zeros":     "\x16\x00\x00\x00\x00\x00",
		"too large": string(inRecords(bigHello(20000), 16000)),
		"chatter":   string(helloOf(clientTLS(tls.VersionTLS13))) + strings.Repeat("x", helloExtraMax+1),
		"not hello": "\x16\x03\x01\x00\x04\x02\x00\x00\x00",
	} {
		c := dialRaw(t, r)
		c.say(raw)
		answer, _ := io.ReadAll(c.in)
		if len(answer) != 7 || answer[0] != recordAlert || answer[5] != 2 {
			t.Errorf("%s: answered with %q", name, answer)
		}
	}
	hello := helloOf(clientTLS(tls.VersionTLS13))
	for _, raw := range []string{"", "\x16", string(hello[:len(hello)-1])} {
		c := dialRaw(t, r)
		c.say(raw)
		c.expectEnd()
	}
	s := r.Stats()
	if s.BadHellos != 4 || s.HelloTimeouts != 3 || s.Handshakes != 0 {
		t.Errorf("%d bad hellos, %d timeouts, %d handshakes", s.BadHellos, s.HelloTimeouts, s.Handshakes)
	}
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
}

// Over MaxConns a client hears why in its own language, as far as that is known before it has said anything.
func TestTLSMaxConns(t *testing.T) {
	for _, x := range []struct {
		name            string
		plainToo, apart bool
		want            string
	}{
		{"TLS", false, false, "\x15\x03\x01\x00\x02\x02\x50"},
		{"both", true, false, "HTTP/1.1 503 "},
		{"plain beside TLS", false, true, "HTTP/1.1 503 "},
	} {
		t.Run(x.name, func(t *testing.T) {
			config := serverTLS()
			config.PlainToo = x.plainToo
			if x.apart {
				config.Addr = "127.0.0.1:0"
			}
			r := start(t, Config{TLS: config, MaxConns: 1}, neverRoute(t))
			dialRaw(t, r)
			eventually(t, "accepted", func() bool { return r.Stats().Conns == 1 })
			if heard, err := io.ReadAll(dialRaw(t, r).in); err != nil || !strings.HasPrefix(string(heard), x.want) {
				t.Errorf("heard %q, %v", heard, err)
			}
			if n := r.Stats().RefusedConns; n != 1 {
				t.Errorf("%d refused", n)
			}
		})
	}
}
