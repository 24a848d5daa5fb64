package ws

import "unicode/utf8"

// UTF8 checks a text that comes in pieces, whose borders may cut a rune, and fails at
// the first byte after which no continuation could make the text valid. It holds to
// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. The zero value is
// ready.
type UTF8 struct {
	owed   uint8 // continuation bytes that the rune under way still needs
	lo, hi uint8 // what the next of them may be
	bad    bool
}

// Write checks the next piece and reports whether the text can still become valid.
// Once it has said no it stays with it.
func (u *UTF8) Write(piece []byte) bool {
	for u.owed > 0 && len(piece) > 0 && !u.bad {
		u.step(piece[0])
		piece = piece[1:]
	}
	if u.bad {
		return false
	}
	whole := len(piece) - cutRune(piece)
	if !utf8.Valid(piece[:whole]) {
		u.bad = true
		return false
	}
	for _, c := range piece[whole:] {
		u.step(c)
	}
	return !u.bad
}

// Complete reports whether the text is valid and does not end inside a rune.
func (u *UTF8) Complete() bool { return u.owed == 0 && !u.bad }

// cutRune returns how many bytes at the end of b belong to a rune that goes on after
// it: 0 to 3.
func cutRune(b []byte) int {
	for n := 1; n <= 3 && n <= len(b); n++ {
		c := b[len(b)-n]
		if !utf8.RuneStart(c) {
			continue
		}
		if runeSize(c) > n {
			return n
		}
		return 0
	}
	return 0
}

// runeSize is the length of the rune that c leads, 1 for a byte that leads none.
func runeSize(c byte) int {
	switch {
	case c >= 0xf0 && c <= 0xf4:
		return 4
	case c >= 0xe0 && c < 0xf0:
		return 3
	case c >= 0xc2 && c < 0xe0:
		return 2
	default:
		return 1
	}
}

// step takes one byte of a rune that a border has cut.
func (u *UTF8) step(c byte) {
	if u.owed > 0 {
		if c < u.lo || c > u.hi {
			u.bad = true
		}
		u.owed--
		u.lo, u.hi = 0x80, 0xbf
		return
	}
	// Unicode, table 3-7: what may follow a lead byte is narrower than 80 to BF where
	// an overlong form, a surrogate or a value above U+10FFFF would begin.
	u.owed = uint8(runeSize(c) - 1)
	u.lo, u.hi = 0x80, 0xbf
	switch c {
	case 0xe0:
		u.lo = 0xa0
	case 0xed:
		u.hi = 0x9f
	case 0xf0:
		u.lo = 0x90
	case 0xf4:
		u.hi = 0x8f
	}
}
