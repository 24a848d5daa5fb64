package ws

import (
	"testing"
	"unicode/utf8"
)

// checkPieces compares the verdict on pieces with the standard library's on the whole.
func checkPieces(t *testing.T, whole string, pieces ...string) {
	t.Helper()
	var u UTF8
	ok := true
	for _, p := range pieces {
		ok = u.Write([]byte(p))
		if want := extendable(whole[:len(p)]); len(pieces) == 1 && ok != want {
			t.Fatalf("%q: %v, want %v", p, ok, want)
		}
	}
	if got, want := ok && u.Complete(), utf8.ValidString(whole); got != want {
		t.Fatalf("%q in pieces %q: %v, want %v", whole, pieces, got, want)
	}
}

// extendable says, in the plain way, whether s can be the beginning of a valid text.
func extendable(s string) bool {
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			return !utf8.FullRuneInString(s)
		}
		s = s[size:]
	}
	return true
}

// borders are bytes on both sides of every range that the encoding knows.
var borders = []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
	0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}

func TestUTF8Borders(t *testing.T) {
	for _, a := range borders {
		for _, b := range borders {
			for _, c := range borders {
				for _, d := range []byte{0x7f, 0x80, 0xbf, 0xc0} {
					s := string([]byte{a, b, c, d})
					for cut := range 5 {
						checkPieces(t, s, s[:cut], s[cut:])
					}
					checkPieces(t, s, s[:1], s[1:2], s[2:3], s[3:])
					checkPieces(t, s, s)
				}
			}
		}
	}
}

func TestUTF8EveryRune(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		s := string(r) // a surrogate becomes the replacement character
		var u UTF8
		for i := range len(s) {
			if !u.Write([]byte{s[i]}) {
				t.Fatalf("%U refused at byte %d", r, i)
			}
			if u.Complete() != (i == len(s)-1) {
				t.Fatalf("%U complete after byte %d: %v", r, i, u.Complete())
			}
		}
	}
}

func TestUTF8StaysBad(t *testing.T) {
	var u UTF8
	if u.Write([]byte{0xff}) || u.Write([]byte("good")) || u.Write(nil) || u.Complete() {
		t.Error("a bad text became good")
	}
}
