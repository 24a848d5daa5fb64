package codec

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// JSONDepthMax is how deep arrays and objects of a payload may be nested. A deeper payload does not count as JSON.
const JSONDepthMax = 1024

// notFound is what the scan functions return instead of an index where the grammar of RFC 8259 is broken.
const notFound = -1

// validJSON tells whether b is one JSON value with nothing but white space around it. Strings may hold broken UTF-8.
func validJSON(b []byte) bool {
	i := scanValue(b, 0)
	return i >= 0 && scanSpace(b, i) == len(b)
}

// scanSpace returns the index of the first byte of b from i on that is not white space, or len(b).
func scanSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// scanValue returns the index after the JSON value that begins at i or after white space there, or notFound. It keeps
// what is open on a stack of bits, so that input cannot choose how much stack we use.
func scanValue(b []byte, i int) int {
	var objects [JSONDepthMax / 64]uint64 // one bit per depth: what is open there is an object
	depth := 0
	for {
		// Here a value must begin.
		i = scanSpace(b, i)
		if i == len(b) {
			return notFound
		}
		switch c := b[i]; c {
		case '{', '[':
			if depth == JSONDepthMax {
				return notFound
			}
			object := c == '{'
			if object {
				objects[depth/64] |= 1 << (depth % 64)
			} else {
				objects[depth/64] &^= 1 << (depth % 64)
			}
			depth++
			i = scanSpace(b, i+1)
			if i < len(b) && b[i] == c+2 { // '}' is '{'+2, and ']' is '['+2
				depth--
				i++
				break
			}
			if object {
				i = scanKey(b, i)
				if i < 0 {
					return notFound
				}
			}
			continue
		case '"':
			i, _ = scanString(b, i+1)
		case 't':
			i = scanLiteral(b, i, "true")
		case 'f':
			i = scanLiteral(b, i, "false")
		case 'n':
			i = scanLiteral(b, i, "null")
		default:
			i = scanNumber(b, i)
		}
		if i < 0 {
			return notFound
		}
		// Here a value has ended: close what ends with it, until another value must begin.
		if depth, i = scanEnds(b, i, depth, &objects); depth <= 0 || i < 0 {
			return i
		}
	}
}

// scanEnds goes on after a value at the given depth: over closing brackets and over the comma (and key) before the next
// value. It returns the depth there and the index of that value, or depth 0 and the index after the outermost value.
func scanEnds(b []byte, i, depth int, objects *[JSONDepthMax / 64]uint64) (int, int) {
	for depth > 0 {
		i = scanSpace(b, i)
		if i == len(b) {
			return depth, notFound
		}
		object := objects[(depth-1)/64]>>((depth-1)%64)&1 == 1
		switch c := b[i]; {
		case c == ',' && object:
			return depth, scanKey(b, scanSpace(b, i+1))
		case c == ',':
			return depth, i + 1
		case c == '}' && object, c == ']' && !object:
			depth--
			i++
		default:
			return depth, notFound
		}
	}
	return 0, i
}

// scanKey returns the index after the string and the colon that begin at i, or notFound.
func scanKey(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return notFound
	}
	i, _ = scanString(b, i+1)
	if i < 0 {
		return notFound
	}
	i = scanSpace(b, i)
	if i == len(b) || b[i] != ':' {
		return notFound
	}
	return i + 1
}

// content tells what a string holds besides ASCII that stands for itself.
type content uint8

const (
	escapes  content = 1 << iota
	nonASCII         // perhaps not UTF-8
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special has the high bit of each byte of w set that a scan of a string must look at: quote, backslash, control
// characters, non-ASCII. Bytes above such a byte may be set without being special; the lowest one that is set is right.
func special(w uint64) uint64 {
	quote := (w ^ '"'*ones) - ones
	slash := (w ^ '\\'*ones) - ones
	control := w - ' '*ones
	return (quote | slash | control | w) & highs
}

// scanString returns the index after the closing quote of the string whose first byte, after the opening quote, is at i,
// and what it holds; or notFound.
func scanString(b []byte, i int) (end int, holds content) {
	for {
		for i+8 <= len(b) {
			s := special(binary.LittleEndian.Uint64(b[i:]))
			if s != 0 {
				i += bits.TrailingZeros64(s) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return notFound, 0
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, holds
		case c == '\\':
			holds |= escapes
			if i = scanEscape(b, i+1); i < 0 {
				return notFound, 0
			}
		case c < ' ':
			return notFound, 0
		case c >= utf8.RuneSelf:
			holds |= nonASCII
			for i++; i < len(b) && b[i] >= utf8.RuneSelf; i++ {
			}
		default:
			i++ // only in the last seven bytes of b
		}
	}
}

// scanEscape returns the index after the escape whose first byte, after the backslash, is at i, or notFound.
func scanEscape(b []byte, i int) int {
	if i >= len(b) {
		return notFound
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if len(b)-i < 5 {
			return notFound
		}
		for _, c := range b[i+1 : i+5] {
			if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
				return notFound
			}
		}
		return i + 5
	}
	return notFound
}

// scanLiteral returns the index after the literal at i, or notFound if something else is there.
func scanLiteral(b []byte, i int, literal string) int {
	if len(b)-i >= len(literal) && string(b[i:i+len(literal)]) == literal {
		return i + len(literal)
	}
	return notFound
}

// scanNumber returns the index after the number at i, or notFound.
func scanNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i == len(b):
		return notFound
	case b[i] == '0':
		i++
	default:
		if i = scanDigits(b, i); i < 0 {
			return notFound
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = scanDigits(b, i+1); i < 0 {
			return notFound
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return scanDigits(b, i)
	}
	return i
}

// scanDigits returns the index after the digits at i, or notFound if there is none.
func scanDigits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return notFound
	}
	return i
}
