package ws

import (
	"fmt"
	"slices"
	"testing"
)

const (
	accented  = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5" // a Greek word, runes of 2 and 3 bytes
	surrogate = "\xed\xa0\x80"                                 // U+D800
	tooHigh   = "\xf4\x90\x80\x80"                             // U+110000
	mixed     = "Hello-µ@ßöäüàá-UTF-8!!"
)

// inFragments makes a text message of one ws frame for each part.
func inFragments(parts ...string) (f [][]byte) {
	for i, p := range parts {
		op := OpContinuation
		if i == 0 {
			op = OpText
		}
		f = append(f, testFrame(op, i == len(parts)-1, 0, p))
	}
	return f
}

func octets(s string) (parts []string) {
	for i := range len(s) {
		parts = append(parts, s[i:i+1])
	}
	return parts
}

func autobahn6() []autobahnCase {
	rows := []autobahnCase{
		row("6.1.1", frames(last(OpText, "")), text("")),
		row("6.1.2", inFragments("", "", ""), text("")),
		row("6.1.3", inFragments("", "middle frame payload", ""), text("middle frame payload")),
		row("6.2.1", inFragments(mixed), text(mixed)),
		row("6.2.2", inFragments("Hello-µ@ßöä", "üàá-UTF-8!!"), text(mixed)),
		row("6.2.3", inFragments(octets(mixed)...), text(mixed)),
		row("6.2.4", inFragments(octets(accented)...), text(accented)),
		row("6.3.1", inFragments(accented+surrogate+"edited"), fail(1007)),
		row("6.3.2", inFragments(octets(accented+surrogate+"edited")...), fail(1007)),
		row("6.4.1", inFragments(accented, tooHigh, "edited"), fail(1007)),
		row("6.4.2", inFragments(accented+tooHigh[:1], tooHigh[1:2], tooHigh[2:]+"edited"), fail(1007)),
		// 3 and 4 are 1 and 2 as one ws frame that comes in three chops.
		row("6.4.3", inFragments(accented+tooHigh+"edited"), fail(1007)),
		row("6.4.4", inFragments(accented+tooHigh+"edited"), fail(1007)),
	}
	for i, group := range utf8Groups() {
		for j, s := range group.texts {
			want := fail(1007)
			if group.valid(j) {
				want = text(s)
			}
			rows = append(rows, row(fmt.Sprintf("6.%d.%d", i+5, j+1), inFragments(s), want))
		}
	}
	return rows
}

// utf8Group is one of the suite's groups of sequences, which follow Markus Kuhn's
// decoder stress test: all good or all bad, but for the indexes in except.
type utf8Group struct {
	texts   []string
	allGood bool
	except  []int
}

func (g utf8Group) valid(i int) bool { return g.allGood != slices.Contains(g.except, i) }

func good(texts ...string) utf8Group { return utf8Group{texts: texts, allGood: true} }
func bad(texts ...string) utf8Group  { return utf8Group{texts: texts} }

func (g utf8Group) but(except ...int) utf8Group { g.except = except; return g }

// utf8Groups are cases 6.5 to 6.23, in order.
func utf8Groups() []utf8Group {
	var prefixes []string
	for n := 1; n <= len(accented); n++ {
		prefixes = append(prefixes, accented[:n])
	}
	noLast := []string{
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	}
	joined := ""
	for _, s := range noLast {
		joined += s
	}
	const first = 5
	return []utf8Group{
		5 - first: good("hello$world", "hello\u00a2world", "hello\u20acworld", "hello\U00024b62world", accented),
		6 - first: bad(prefixes...).but(1, 4, 6, 8, 10), // those that end with a rune
		// The first sequence of each length, then of lengths that there are not.
		7 - first: good("\x00", "\u0080", "\u0800", "\U00010000"),
		8 - first: bad("\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"),
		// The last ones.
		9 - first:  good("\x7f", "\u07ff", "\uffff", "\U0010ffff"),
		10 - first: bad("\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"),
		// Around the surrogates, the replacement character, the end of Unicode.
		11 - first: good("\ud7ff", "\ue000", "\ufffd", "\U0010ffff", tooHigh).but(4),
		12 - first: bad(append(loneContinuations(), byteRange(0x80, 0xbf, ""))...),
		13 - first: bad(byteRange(0xc0, 0xdf, " "), byteRange(0xe0, 0xef, " "), byteRange(0xf0, 0xf7, " "),
			byteRange(0xf8, 0xfb, " "), byteRange(0xfc, 0xfd, " ")),
		14 - first: bad(noLast...),
		15 - first: bad(joined),
		16 - first: bad("\xfe", "\xff", "\xfe\xfe\xff\xff"),
		// Overlong: a slash, the highest value of each length, NUL.
		17 - first: bad("\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"),
		18 - first: bad("\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"),
		19 - first: bad("\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"),
		20 - first: bad("\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"),
		21 - first: bad(surrogatePairs()...),
		22 - first: good(nonCharacters()...),
		23 - first: good("\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"),
	}
}

func loneContinuations() []string {
	all := []string{"\x80", "\xbf"}
	for s, i := "\x80\xbf", 0; i < 5; i++ {
		all = append(all, s)
		s += string([]byte{"\x80\xbf"[i%2]})
	}
	return all
}

// byteRange joins the bytes from first up to but not including end, as the suite does,
// each followed by sep.
func byteRange(first, end int, sep string) (s string) {
	for c := first; c < end; c++ {
		s += string([]byte{byte(c)}) + sep
	}
	return s
}

func surrogatePairs() (all []string) {
	for _, high := range []string{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf"} {
		for _, low := range []string{"\xed\xb0\x80", "\xed\xbf\xbf"} {
			all = append(all, high+low)
		}
	}
	return all
}

// nonCharacters are the last two code points of each plane, which are valid UTF-8.
func nonCharacters() (all []string) {
	for plane := rune(0); plane <= 16; plane++ {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}

// The suite asks for text to be refused as soon as it cannot become valid any more. Ws
// frames are taken whole, so that is at the end of the frame with the bad byte.
func TestTextFailsEarly(t *testing.T) {
	for _, c := range []struct {
		number string
		frames [][]byte
		at     int // the frame, from 1, with which it must fail
	}{
		{"6.3.2", inFragments(octets(accented + surrogate + "edited")...), len(accented) + 2},
		{"6.4.1", inFragments(accented, tooHigh, "edited"), 2},
		{"6.4.2", inFragments(accented+tooHigh[:1], tooHigh[1:2], tooHigh[2:]+"edited"), 2},
	} {
		if got := transcript(t, 1024, false, c.frames[:c.at-1]...); len(got) != 0 {
			t.Errorf("%s: before frame %d: %q", c.number, c.at, got)
		}
		want := []string{fail(1007)}
		if got := transcript(t, 1024, false, c.frames[:c.at]...); !slices.Equal(got, want) {
			t.Errorf("%s: with frame %d: %q, want %q", c.number, c.at, got, want)
		}
	}
}
