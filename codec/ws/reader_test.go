package ws

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestReaderIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Reader{}); size > 16 {
		t.Errorf("a Reader is %d bytes; there are as many as conns", size)
	}
}

// The number of bytes to wait for is exact: with one byte less nothing can happen, with
// as many as asked for something does.
func TestReaderNeed(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		whole := last(OpBinary, strings.Repeat("b", n))
		var r Reader
		var asked []int
		for have := 0; ; {
			ev, consumed, need, err := r.Next(whole[:have], 1<<17)
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == EventMessage {
				if consumed != len(whole) || len(ev.Payload) != n {
					t.Errorf("%d bytes: consumed %d, payload %d", n, consumed, len(ev.Payload))
				}
				break
			}
			if consumed != 0 || need <= have {
				t.Fatalf("%d bytes, have %d: consumed %d, need %d", n, have, consumed, need)
			}
			asked = append(asked, need)
			have = need
		}
		if len(asked) > 4 || asked[len(asked)-1] != len(whole) {
			t.Errorf("%d bytes: asked for %v, frame has %d", n, asked, len(whole))
		}
	}
}

// A frame that asks for too much is refused by its header: before its payload comes,
// before a byte is set aside for it.
func TestReaderLimit(t *testing.T) {
	const limit = 100
	header := func(op OpCode, fin bool, n int) []byte { return appendHeader(nil, op, fin, maskBit, n) }
	withMask := func(b []byte) []byte { return append(b, testMask[:]...) }
	of := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name   string
		frames [][]byte
		want   []string
	}{
		{"exactly", frames(last(OpText, of(limit))), lines(text(of(limit)))},
		{"one more", frames(withMask(header(OpText, true, limit+1))), lines(fail(1009))},
		{"2^31", frames([]byte("\x82\xff\x00\x00\x00\x00\x80\x00\x00\x00\x01\x02\x03\x04")), lines(fail(1009))},
		{"2^63-1", frames([]byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04")), lines(fail(1009))},
		{"2^63", frames([]byte("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00")), lines(fail(1002))},
		{"fragments, exactly", frames(more(OpText, of(60)), last(OpContinuation, of(40))), lines(text(of(limit)))},
		{"fragments, one more", frames(more(OpText, of(60)), withMask(header(OpContinuation, true, 41))), lines(fail(1009))},
		{"a ping does not count", frames(more(OpText, of(60)), last(OpPing, of(125)), last(OpContinuation, of(40))),
			lines(ping(of(125)), text(of(limit)))},
		{"each message anew", frames(more(OpText, of(60)), last(OpContinuation, of(40)), more(OpText, of(99)), last(OpContinuation, "y")),
			lines(text(of(limit)), text(of(99)+"y"))},
	} {
		whole := bytes.Join(c.frames, nil)
		for _, n := range []int{1, 7, len(whole)} {
			if got := transcript(t, limit, false, chopped(whole, n)...); !slices.Equal(got, c.want) {
				t.Errorf("%s, by %d bytes: %q, want %q", c.name, n, got, c.want)
			}
		}
	}
}

// However large the limit is, sizes do not overflow.
func TestReaderLimitCeiling(t *testing.T) {
	over := append(appendHeader(nil, OpBinary, true, maskBit, MessageBytesMax+1), testMask[:]...)
	if got := transcript(t, int(^uint(0)>>1)-HeaderBytesMax, false, over); !slices.Equal(got, lines(fail(1009))) {
		t.Errorf("%q", got)
	}
	if got := transcript(t, 0, false, last(OpText, ""), last(OpText, "x")); !slices.Equal(got, lines(text(""), fail(1009))) {
		t.Errorf("limit 0: %q", got)
	}
}

func TestReaderEmptyFragments(t *testing.T) {
	var r Reader
	defer r.Release()
	next := more(OpBinary, "")
	for i := range MessageFragmentsMax {
		if _, consumed, _, err := r.Next(bytes.Clone(next), 1000); err != nil || consumed != len(next) {
			t.Fatalf("fragment %d: consumed %d, %v", i+1, consumed, err)
		}
		next = more(OpContinuation, "")
	}
	if !r.Partial() || r.Held() != 0 {
		t.Errorf("partial %v, held %d", r.Partial(), r.Held())
	}
	if _, _, _, err := r.Next(next, 1000); codeOf(err) != CodePolicyViolation {
		t.Errorf("one fragment too many: %v", err)
	}
	if r.Partial() {
		t.Error("still holds the message after the error")
	}
}

// One-byte fragments are gathered with few copies, into a buffer within the limit.
func TestReaderGrowth(t *testing.T) {
	const limit = 50_000
	a := new(assembly)
	grown := 0
	for i := range limit {
		before := cap(a.text)
		if err := a.add([]byte{'x'}, i == limit-1, limit); err != nil {
			t.Fatal(err)
		}
		if cap(a.text) != before {
			grown++
		}
	}
	if len(a.text) != limit || cap(a.text) > limit+limit/8 || grown > 10 {
		t.Errorf("%d bytes in %d, grown %d times", len(a.text), cap(a.text), grown)
	}
}

func TestReaderReleases(t *testing.T) {
	c := conversation{t: t, limit: 1 << 20}
	c.feed(more(OpText, "one "))
	if !c.r.Partial() || c.r.Held() != 4 {
		t.Errorf("partial %v, held %d", c.r.Partial(), c.r.Held())
	}
	c.feed(last(OpContinuation, "two"))
	if c.r.parts != nil || c.r.Partial() || c.r.Held() != 0 {
		t.Error("an idle Reader holds a buffer")
	}
	c.feed(more(OpText, "three"))
	c.feed(closing(1000, ""))
	if c.r.parts != nil {
		t.Error("a closed Reader holds a buffer")
	}
	if want := lines(text("one two"), closed(1000, "")); !slices.Equal(c.lines, want) {
		t.Errorf("%q, want %q", c.lines, want)
	}
	c.r.Release()
	c.r.Release() // harmless
}

// A delivered message stays as it is until the next call, whoever else takes buffers.
func TestReaderPayloadLives(t *testing.T) {
	var r, other Reader
	in := append(more(OpText, "mine "), last(OpContinuation, "still")...)
	ev, consumed, _, err := r.Next(in, 100)
	if err != nil || consumed != len(in) {
		t.Fatal(consumed, err)
	}
	if _, _, _, err := other.Next(more(OpText, "other's"), 100); err != nil {
		t.Fatal(err)
	}
	if string(ev.Payload) != "mine still" {
		t.Errorf("payload became %q", ev.Payload)
	}
	r.Release()
	other.Release()
}

func TestReaderSwallowsAfterTheEnd(t *testing.T) {
	for _, end := range [][]byte{closing(1000, ""), last(OpText, "\xff")} {
		var r Reader
		if _, consumed, _, _ := r.Next(bytes.Clone(end), 100); consumed != len(end) {
			t.Fatalf("consumed %d of %d", consumed, len(end))
		}
		rest := append(last(OpPing, "p"), 0x81)
		ev, consumed, need, err := r.Next(rest, 100)
		if ev.Kind != EventNone || consumed != len(rest) || need < 1 || err != nil {
			t.Errorf("%+v, consumed %d, need %d, %v", ev, consumed, need, err)
		}
	}
}

// The client's side reads unmasked frames and refuses masked ones.
func TestReaderFromServer(t *testing.T) {
	r := Reader{Peer: FromServer}
	in := AppendFrame(nil, OpText, []byte("hello"))
	in = AppendHeader(in, OpBinary, false, 1)
	in = append(in, 'a')
	in = AppendFrame(in, OpPing, nil)
	in = append(AppendHeader(in, OpContinuation, true, 1), 'b')
	in = AppendClose(in, 3001, "shutdown")
	var got []string
	for len(in) > 0 {
		ev, consumed, _, err := r.Next(in, 100)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, showEvent(ev))
		in = in[consumed:]
	}
	if want := lines(text("hello"), ping(""), bin("ab"), closed(3001, "shutdown")); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	r = Reader{Peer: FromServer}
	if _, _, _, err := r.Next(last(OpText, "hello"), 100); codeOf(err) != CodeProtocolError {
		t.Errorf("a masked frame from a server: %v", err)
	}
}

// A text that ends inside a rune is found out with its last fragment, even an empty one.
func TestReaderTextEndsInsideRune(t *testing.T) {
	for _, parts := range [][]string{{"a\xe2\x82", ""}, {"a", "\xe2\x82"}, {"a\xe2", "\x82"}, {"a\xe2\x82"}} {
		if got := transcript(t, 100, false, inFragments(parts...)...); !slices.Equal(got, lines(fail(1007))) {
			t.Errorf("%q: %q", parts, got)
		}
	}
	if got := transcript(t, 100, false, more(OpBinary, "\xe2"), last(OpContinuation, "\xff")); !slices.Equal(got, lines(bin("\xe2\xff"))) {
		t.Errorf("binary: %q", got)
	}
}

// Who appends to a payload must not write over what came after it.
func TestReaderPayloadEnds(t *testing.T) {
	var r Reader
	in := append(last(OpText, "one"), last(OpText, "two")...)
	ev, consumed, _, err := r.Next(in, 100)
	if err != nil || cap(ev.Payload) != len(ev.Payload) {
		t.Errorf("payload of %d bytes with room for %d, %v", len(ev.Payload), cap(ev.Payload), err)
	}
	if ev, _, _, err = r.Next(in[consumed:], 100); string(ev.Payload) != "two" || err != nil {
		t.Errorf("%q, %v", ev.Payload, err)
	}
}

// The mask is random per frame and may be anything.
func TestReaderMasks(t *testing.T) {
	for _, m := range []uint32{0, 1, 0xff000000, 0xffffffff, 0x12345678} {
		mask := [4]byte(binary.BigEndian.AppendUint32(nil, m))
		in := AppendClientFrame(nil, OpText, true, mask, []byte("some text, longer than sixteen bytes"))
		got := transcript(t, 100, false, in)
		if want := lines(text("some text, longer than sixteen bytes")); !slices.Equal(got, want) {
			t.Errorf("mask %08x: %q", m, got)
		}
	}
}

func TestReaderAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates and empties pools")
	}
	payload := []byte(`{"id":7,"publish":{"channel":"news","data":{"n":5}}}`)
	fragments := func(dst []byte) []byte {
		dst = AppendClientFrame(dst, OpText, false, testMask, payload[:20])
		dst = AppendClientFrame(dst, OpPing, true, testMask, payload[:5])
		return AppendClientFrame(dst, OpContinuation, true, testMask, payload[20:])
	}
	for name, stream := range map[string]func(dst []byte) []byte{
		"text":      func(dst []byte) []byte { return AppendClientFrame(dst, OpText, true, testMask, payload) },
		"binary":    func(dst []byte) []byte { return AppendClientFrame(dst, OpBinary, true, testMask, payload) },
		"pong":      func(dst []byte) []byte { return AppendClientFrame(dst, OpPong, true, testMask, nil) },
		"fragments": fragments, // from the pool
	} {
		var r Reader
		var dst []byte
		events := 0
		run := func() {
			dst = stream(dst[:0])
			for buf := dst; ; {
				ev, consumed, _, err := r.Next(buf, 1000)
				if err != nil {
					t.Error(err)
				}
				if ev.Kind == EventNone {
					return
				}
				events++
				buf = buf[consumed:]
			}
		}
		run()
		if n := testing.AllocsPerRun(200, run); n != 0 || events < 200 {
			t.Errorf("%s: %v allocations, %d events", name, n, events)
		}
	}
}

func ExampleReader() {
	var r Reader // one for each conn
	arrived := AppendClientFrame(nil, OpText, true, [4]byte{1, 2, 3, 4}, []byte("hello"))
	arrived = AppendClientFrame(arrived, OpPing, true, [4]byte{5, 6, 7, 8}, []byte("are you there?"))
	arrived = append(arrived, 0x81) // the first byte of another one

	for {
		ev, consumed, need, err := r.Next(arrived, 65536)
		arrived = arrived[consumed:]
		if err != nil {
			fmt.Println("close with:", err)
			return
		}
		switch ev.Kind {
		case EventNone:
			fmt.Println("wait for", need, "bytes")
			return
		case EventMessage:
			fmt.Printf("message %s\n", ev.Payload)
		case EventPing:
			fmt.Printf("answer %q\n", AppendFrame(nil, OpPong, ev.Payload))
		}
	}
	// Output:
	// message hello
	// answer "\x8a\x0eare you there?"
	// wait for 2 bytes
}
