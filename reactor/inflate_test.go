package reactor

import (
	"bytes"
	"compress/flate"
	"strings"
	"testing"
	"time"

	"stentor/codec/ws"
)

// compressing is a router that agrees to compression whatever the client offers.
func compressing(open func() *pipe) routes {
	plain := upgradeTo(open)
	return func(h *Head) Verdict {
		v := plain(h)
		v.Deflate = ws.ChooseDeflate("permessage-deflate")
		return v
	}
}

// compressed is a client's text frame with s compressed.
func compressed(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return marked(clientFrame(ws.OpText, true, strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")))
}

// marked sets the first reserved bit.
func marked(frame string) string { return string([]byte{frame[0] | 0x40}) + frame[1:] }

func TestInflate(t *testing.T) {
	r := start(t, Config{Deflate: Deflate{InflatedBytesMax: 100_000}}, compressing(func() *pipe {
		return &pipe{onReceive: func(p *pipe, msg []byte) {
			if len(msg) > 1000 {
				msg = msg[len(msg)-1000:]
			}
			if p.c.Deflater() == nil {
				t.Error("the conn does not know that it may compress")
			}
			p.send(string(msg))
		}}
	}))
	c := dial(t, r)
	c.say(upgradeRequest())
	if head := c.head(); !strings.Contains(head, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n") {
		t.Fatalf("the extension is not confirmed:\n%s", head)
	}
	c.say(compressed(t, "one") + text("plain") + compressed(t, "") + compressed(t, "two"))
	for _, want := range []string{"one", "plain", "", "two"} {
		c.expect(want)
	}
	whole := compressed(t, strings.Repeat("long ", 20_000))
	for i := range whole { // byte by byte
		c.say(whole[i : i+1])
	}
	c.expect(strings.Repeat("long ", 200))
	c.say(compressed(t, strings.Repeat("a", 100_001)))
	c.expectClose(ws.CodeMessageTooBig, "message size limit")
	c.expectEnd()

	for name, row := range map[string]struct {
		frame string
		code  uint16
	}{
		"garbage":        {marked(text("\xff\xff")), ws.CodeInvalidPayload},
		"not UTF-8":      {compressed(t, "\xff"), ws.CodeInvalidPayload},
		"a control":      {marked(clientFrame(ws.OpPing, true, "")), ws.CodeProtocolError},
		"a continuation": {marked(clientFrame(ws.OpText, false, "")) + marked(clientFrame(ws.OpContinuation, true, "")), ws.CodeProtocolError},
	} {
		c := dialWS(t, r)
		c.say(row.frame + text("after"))
		op, payload, err := c.hear()
		code, _, _ := ws.ParseClose([]byte(payload))
		if err != nil || op != ws.OpClose || code != row.code {
			t.Errorf("%s: heard %v %d (%v), want close %d", name, op, code, err, row.code)
		}
	}
	if n := r.Stats().Violations; n != 5 {
		t.Errorf("%d violations", n)
	}
}

// TestInflateSurplus: many bombs at once cost what few cost, and ordinary messages go on.
func TestInflateSurplus(t *testing.T) {
	const most = 200_000
	r := start(t, Config{Deflate: Deflate{InflatedBytesMax: most}}, compressing(silent))
	d := r.drivers[0]
	payload := func(s string) []byte {
		h, n, _, err := ws.ParseHeader([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		b := []byte(s[n:])
		ws.Unmask(b, h.Mask, 0)
		return b
	}
	bomb, ordinary := payload(compressed(t, strings.Repeat("a", most))), payload(compressed(t, strings.Repeat("0123456789", 400)))
	broken := []byte("\xff")
	inflate := func(p []byte) error {
		d.inflation.time = 0 // a machine may be as slow as it likes
		_, err := d.inflate(&ws.Event{Kind: ws.EventDeflated, OpCode: ws.OpText, Payload: p})
		return err
	}
	onLoop(r, 0, func() {
		for range 1000 { // costs nothing, so it takes nothing from others
			if inflate(broken) == nil {
				t.Error("garbage passed")
			}
		}
		free := inflateFreeBytes + inflateFactor*len(bomb)
		for i := range surplusBytesMax / (most - free) {
			if err := inflate(bomb); err != nil {
				t.Errorf("bomb %d: %v", i, err)
			}
		}
		for range 1000 {
			if err := inflate(bomb); err != error(errSurplus) {
				t.Errorf("one bomb too many: %v", err)
			}
			if err := inflate(ordinary); err != nil {
				t.Errorf("an ordinary message: %v", err)
			}
		}
		if d.inflation.bytes > surplusBytesMax {
			t.Errorf("%d bytes of surplus", d.inflation.bytes)
		}
		d.loop.SetNow(d.loop.Now() + 1)
		if err := inflate(bomb); err != nil {
			t.Errorf("in the next tick: %v", err)
		}
	})
}

// TestInflateKeeps: a loop does not wait for the next compressed message to give back what a large one took.
func TestInflateKeeps(t *testing.T) {
	got := make(chan int, 1)
	r := start(t, Config{}, compressing(func() *pipe {
		return &pipe{onReceive: func(_ *pipe, msg []byte) { got <- len(msg) }}
	}))
	c := dial(t, r)
	c.say(upgradeRequest())
	c.upgraded()
	const size = 600 << 10
	c.say(compressed(t, strings.Repeat("a", size)))
	if n := <-got; n != size {
		t.Fatalf("%d bytes arrived, want %d", n, size)
	}
	onLoop(r, 0, func() {
		z := &r.drivers[0].inflation.inflater
		if z.Made() > 0 {
			t.Errorf("%d bytes are kept", z.Made())
		}
	})
}

// TestInflateTime: so do many messages that are nothing but tables of codes.
func TestInflateTime(t *testing.T) {
	r := start(t, Config{}, compressing(silent))
	d := r.drivers[0]
	tables := &ws.Event{Kind: ws.EventDeflated, OpCode: ws.OpBinary, Payload: emptyBlocks(messageBytesMaxDefault)}
	onLoop(r, 0, func() {
		if msg, err := new(ws.Inflater).Inflate(tables.OpCode, tables.Payload, 0); err != nil || len(msg) > 0 {
			t.Errorf("it is none: %d bytes, %v", len(msg), err)
		}
		refused := false
		for i := 0; i < 100 && !refused; i++ {
			_, err := d.inflate(tables)
			refused = err == error(errSurplus)
		}
		if !refused {
			t.Errorf("a hundred took %v beyond what is free", d.inflation.time)
		}
		if _, err := d.inflate(&ws.Event{Kind: ws.EventDeflated, OpCode: ws.OpText, Payload: []byte("\xf2\x48\xcd\xc9\xc9\x07\x00")}); err != nil {
			t.Errorf("an ordinary message: %v", err)
		}
	})
}

// TestSurplusTime: a pause of the machine is not the fault of a message that could not have taken so long.
func TestSurplusTime(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		took time.Duration
		size int
		want time.Duration
	}{
		{ms, 64 << 10, 0},
		{ms + 1, 64 << 10, 1},
		{10 * ms, 64 << 10, 9 * ms},
		{100 * ms, 20_000, 5 * ms},
		{100 * ms, int(inflateFreeTime / inflateByteTime), 0},
		{100 * ms, 200, 0},
		{time.Hour, 0, 0},
	} {
		if got := surplusTime(tt.took, tt.size); got != tt.want {
			t.Errorf("%d bytes that took %v: %v, want %v", tt.size, tt.took, got, tt.want)
		}
	}
}

// emptyBlocks is a compressed message of about size bytes: blocks with tables of their own (RFC 1951 section 3.2.7) that hold
// nothing.
func emptyBlocks(size int) (payload []byte) {
	var have uint64
	bits := 0
	put := func(value uint64, n int) {
		have |= value << bits
		for bits += n; bits >= 8; bits -= 8 {
			payload = append(payload, byte(have))
			have >>= 8
		}
	}
	for len(payload) < size-16 {
		put(0|2<<1, 3)                // not the last one, dynamic
		put(0|0<<5|14<<10, 14)        // 257 literal codes, 1 distance code, 18 lengths of length codes
		put(1<<6|1<<51, 54)           // of these, "many zeros" and "1" have one bit each
		put(1|127<<1|1<<8|107<<9, 16) // 138 and 118 literals have no code,
		put(0, 2)                     // the end of the block and the one distance have one bit
		put(0, 1)                     // the end of the block
	}
	put(0, 3) // the flush
	return append(payload, byte(have))
}

// TestInflateAllocates: a compressed message costs no memory of its own.
func TestInflateAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := start(t, Config{}, compressing(silent))
	f := []byte(compressed(t, strings.Repeat("news ", 100)))
	onLoop(r, 0, func() {
		d := r.drivers[0]
		ev := ws.Event{Kind: ws.EventDeflated, OpCode: ws.OpBinary}
		h, n, _, _ := ws.ParseHeader(f)
		ws.Unmask(f[n:], h.Mask, 0)
		ev.Payload = f[n:]
		if n := testing.AllocsPerRun(100, func() {
			if _, err := d.inflate(&ev); err != nil {
				t.Error(err)
			}
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// Config.Closing hears of close frames that are ours, and not of answers.
func TestClosing(t *testing.T) {
	said := make(chan uint16, 10)
	router, ch := conns(silent)
	r := start(t, Config{Closing: func(_ Receiver, code uint16) { said <- code }}, router)
	for _, code := range []uint16{3012, 0} {
		c, s := opened(t, r, ch)
		onLoop(r, 0, func() { s.Close(code, "") })
		c.say(clientClose(1000, ""))
	}
	c, _ := opened(t, r, ch)
	c.say(clientClose(1001, ""))
	c.expectClose(1001, "")
	c, _ = opened(t, r, ch)
	c.say("\x81\x01a")
	c.hear()
	eventually(t, "all are gone", func() bool { return r.Stats().WebSockets == 0 })
	close(said)
	var all []uint16
	for code := range said {
		all = append(all, code)
	}
	if len(all) != 2 || all[0] != 3012 || all[1] != ws.CodeProtocolError {
		t.Errorf("heard of %d", all)
	}
}
