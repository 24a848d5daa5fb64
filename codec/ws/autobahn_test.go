package ws

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// autobahnCase is a case of the Autobahn test suite for WebSocket servers under its
// number there. The suite judges an echo server from outside; here want is what the
// Reader makes of the same frames. How the suite chops the stream does not matter:
// every case runs in several chops.
type autobahnCase struct {
	number string
	frames [][]byte
	want   []string
}

func frames(f ...[]byte) [][]byte { return f }
func lines(l ...string) []string  { return l }

func row(number string, f [][]byte, want ...string) autobahnCase {
	return autobahnCase{number, f, want}
}

func TestAutobahn(t *testing.T) {
	groups := []struct {
		name  string
		rows  []autobahnCase
		count int // how many cases the suite has there
	}{
		{"1 framing", autobahn1(), 16},
		{"2 pings and pongs", autobahn2(), 11},
		{"3 reserved bits", autobahn3(), 7},
		{"4 opcodes", autobahn4(), 10},
		{"5 fragmentation", autobahn5(), 20},
		{"6 UTF-8", autobahn6(), 145},
		{"7 close", autobahn7(), 37},
		{"10 fragmentation by the sender", autobahn10(), 1},
	}
	seen := map[string]bool{}
	for _, g := range groups {
		if len(g.rows) != g.count {
			t.Errorf("%s: %d cases, want %d", g.name, len(g.rows), g.count)
		}
		for _, c := range g.rows {
			if seen[c.number] {
				t.Errorf("case %s occurs twice", c.number)
			}
			seen[c.number] = true
			t.Run(c.number, func(t *testing.T) { runAutobahn(t, c) })
		}
	}
}

func runAutobahn(t *testing.T, c autobahnCase) {
	const limit = 1 << 20
	whole := bytes.Join(c.frames, nil)
	for _, way := range []struct {
		name  string
		eager bool
		chops [][]byte
	}{
		{"whole", false, [][]byte{whole}},
		{"frame by frame", false, c.frames},
		{"997 bytes at a time", true, chopped(whole, 997)},
		{"byte by byte", false, chopped(whole, 1)},
	} {
		got := transcript(t, limit, way.eager, way.chops...)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", way.name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
	if len(whole) > 2048 {
		return // looking again at each byte is quadratic in this test's own checks
	}
	if got := transcript(t, limit, true, chopped(whole, 1)...); !slices.Equal(got, c.want) {
		t.Errorf("byte by byte, looking each time:\n got %q\nwant %q", got, c.want)
	}
}

func autobahn1() (rows []autobahnCase) {
	sizes := []int{0, 125, 126, 127, 128, 65535, 65536, 65536}
	for i, n := range sizes {
		s := strings.Repeat("*", n)
		rows = append(rows, row(fmt.Sprintf("1.1.%d", i+1), frames(last(OpText, s)), text(s)))
	}
	for i, n := range sizes {
		s := strings.Repeat("\xfe", n)
		rows = append(rows, row(fmt.Sprintf("1.2.%d", i+1), frames(last(OpBinary, s)), bin(s)))
	}
	return rows
}

func autobahn2() []autobahnCase {
	long := strings.Repeat("\xfe", ControlBytesMax)
	var ten [][]byte
	var tenWant []string
	for i := range 10 {
		s := fmt.Sprintf("payload-%d", i)
		ten = append(ten, last(OpPing, s))
		tenWant = append(tenWant, ping(s))
	}
	return []autobahnCase{
		row("2.1", frames(last(OpPing, "")), ping("")),
		row("2.2", frames(last(OpPing, "Hello, world!")), ping("Hello, world!")),
		row("2.3", frames(last(OpPing, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff")), ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
		row("2.4", frames(last(OpPing, long)), ping(long)),
		row("2.5", frames(last(OpPing, long+"\xfe")), fail(1002)),
		row("2.6", frames(last(OpPing, long)), ping(long)),
		row("2.7", frames(last(OpPong, "")), pong("")),
		row("2.8", frames(last(OpPong, "unsolicited pong payload")), pong("unsolicited pong payload")),
		row("2.9", frames(last(OpPong, "unsolicited pong payload"), last(OpPing, "ping payload")),
			pong("unsolicited pong payload"), ping("ping payload")),
		row("2.10", ten, tenWant...),
		row("2.11", ten, tenWant...),
	}
}

func autobahn3() []autobahnCase {
	const s = "Hello, world!"
	before := last(OpText, s)
	return []autobahnCase{
		row("3.1", frames(testFrame(OpText, true, 1, s)), fail(1002)),
		row("3.2", frames(before, testFrame(OpText, true, 2, s), last(OpPing, "")), text(s), fail(1002)),
		row("3.3", frames(before, testFrame(OpText, true, 3, s), last(OpPing, "")), text(s), fail(1002)),
		row("3.4", frames(before, testFrame(OpText, true, 4, s), last(OpPing, "")), text(s), fail(1002)),
		row("3.5", frames(testFrame(OpBinary, true, 5, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff")), fail(1002)),
		row("3.6", frames(testFrame(OpPing, true, 6, s)), fail(1002)),
		row("3.7", frames(testFrame(OpClose, true, 7, "")), fail(1002)),
	}
}

func autobahn4() (rows []autobahnCase) {
	const s = "Hello, world!"
	for group, first := range []OpCode{3, 11} {
		number := func(i int) string { return fmt.Sprintf("4.%d.%d", group+1, i) }
		rows = append(rows,
			row(number(1), frames(last(first, "")), fail(1002)),
			row(number(2), frames(last(first+1, "reserved opcode payload")), fail(1002)),
			row(number(3), frames(last(OpText, s), last(first+2, ""), last(OpPing, "")), text(s), fail(1002)),
			row(number(4), frames(last(OpText, s), last(first+3, s), last(OpPing, "")), text(s), fail(1002)),
			row(number(5), frames(last(OpText, s), last(first+4, s), last(OpPing, "")), text(s), fail(1002)),
		)
	}
	return rows
}

func autobahn5() (rows []autobahnCase) {
	add := func(f [][]byte, want []string, numbers ...int) {
		for _, n := range numbers {
			rows = append(rows, row(fmt.Sprintf("5.%d", n), f, want...))
		}
	}
	const f1, f2, f3, f4, f5 = "fragment1", "fragment2", "fragment3", "fragment4", "fragment5"
	add(frames(more(OpPing, f1), last(OpContinuation, f2)), lines(fail(1002)), 1)
	add(frames(more(OpPong, f1), last(OpContinuation, f2)), lines(fail(1002)), 2)
	add(frames(more(OpText, f1), last(OpContinuation, f2)), lines(text(f1+f2)), 3, 4, 5)
	add(frames(more(OpText, f1), last(OpPing, "ping"), last(OpContinuation, f2)),
		lines(ping("ping"), text(f1+f2)), 6, 7, 8)
	// Nothing to continue, then a whole message.
	add(frames(last(OpContinuation, "x"), last(OpText, "Hello")), lines(fail(1002)), 9, 10, 11)
	add(frames(more(OpContinuation, "x"), last(OpText, "Hello")), lines(fail(1002)), 12, 13, 14)
	add(frames(more(OpText, f1), last(OpContinuation, f2), more(OpContinuation, f3), last(OpText, f4)),
		lines(text(f1+f2), fail(1002)), 15)
	for n, bad := range map[int][]byte{16: more(OpContinuation, f1), 17: last(OpContinuation, f1)} {
		once := frames(bad, more(OpText, f2), last(OpContinuation, f3))
		add(append(once, once...), lines(fail(1002)), n)
	}
	add(frames(more(OpText, f1), last(OpText, f2)), lines(fail(1002)), 18)
	add(frames(
		more(OpText, f1), more(OpContinuation, f2), last(OpPing, "pongme 1!"),
		more(OpContinuation, f3), more(OpContinuation, f4), last(OpPing, "pongme 2!"),
		last(OpContinuation, f5)),
		lines(ping("pongme 1!"), ping("pongme 2!"), text(f1+f2+f3+f4+f5)), 19, 20)
	return rows
}

func autobahn7() []autobahnCase {
	const hello = "Hello World!"
	bulk := strings.Repeat("BAsd7&jh23", 1<<18/10)
	reason := strings.Repeat("*", CloseReasonBytesMax)
	normal := closing(1000, "")
	rows := []autobahnCase{
		row("7.1.1", frames(last(OpText, hello), normal), text(hello), closed(1000, "")),
		row("7.1.2", frames(normal, normal), closed(1000, "")),
		row("7.1.3", frames(normal, last(OpPing, "")), closed(1000, "")),
		row("7.1.4", frames(normal, last(OpText, hello)), closed(1000, "")),
		row("7.1.5", frames(more(OpText, "fragment1"), normal, last(OpContinuation, "fragment2")), closed(1000, "")),
		row("7.1.6", frames(last(OpText, bulk), last(OpText, hello), normal, last(OpPing, "")),
			text(bulk), text(hello), closed(1000, "")),
		row("7.3.1", frames(last(OpClose, "")), closed(1005, "")),
		row("7.3.2", frames(last(OpClose, "a")), fail(1002)),
		row("7.3.3", frames(normal), closed(1000, "")),
		row("7.3.4", frames(closing(1000, hello)), closed(1000, hello)),
		row("7.3.5", frames(closing(1000, reason)), closed(1000, reason)),
		row("7.3.6", frames(closing(1000, reason+"*")), fail(1002)),
		row("7.5.1", frames(closing(1000, "κόσμε\xed\xa0\x80edited")), fail(1007)),
		// Not defined by the RFC, and judged by nobody: we take them as errors.
		row("7.13.1", frames(closing(5000, "")), fail(1002)),
		row("7.13.2", frames(closing(65535, "")), fail(1002)),
	}
	valid := []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999}
	for i, code := range valid {
		rows = append(rows, row(fmt.Sprintf("7.7.%d", i+1), frames(closing(code, "")), closed(code, "")))
	}
	invalid := []uint16{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999}
	for i, code := range invalid {
		rows = append(rows, row(fmt.Sprintf("7.9.%d", i+1), frames(closing(code, "")), fail(1002)))
	}
	return rows
}

func autobahn10() []autobahnCase {
	s := strings.Repeat("*", 65536)
	f := frames(more(OpText, s[:1300]))
	rest := s[1300:]
	for len(rest) > 1300 {
		f, rest = append(f, more(OpContinuation, rest[:1300])), rest[1300:]
	}
	return []autobahnCase{row("10.1.1", append(f, last(OpContinuation, rest)), text(s))}
}
