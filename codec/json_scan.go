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

// validJSON tells whether b is one JSON value with nothing but white space around it, and what its strings hold.
func validJSON(b []byte) (ok bool, holds content) {
	i, holds := scanValue(b, 0)
	return i >= 0 && scanSpace(b, i) == len(b), holds
}

// content tells what strings hold besides ASCII that stands for itself.
type content uint8

const (
	escapes  content = 1 << iota
	nonASCII         // perhaps not UTF-8
)

// scanSpace returns the index of the first byte of b from i on that is not white space, or len(b).
func scanSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// scanValue returns the index after the JSON value that begins at i or after white space there, and what its strings
// hold; or notFound. It keeps what is open on a stack of bits, so that input cannot choose how much stack we use.
func scanValue(b []byte, i int) (end int, holds content) {
	var open brackets
	var closer byte // of the innermost open array or object
	depth := 0
	for {
		// Here a value must begin.
		i = scanSpace(b, i)
		if i >= len(b) {
			return notFound, 0
		}
		var h content
		switch c := b[i]; c {
		case '"':
			i, h = scanString(b, i+1)
		case '{', '[':
			if depth == JSONDepthMax {
				return notFound, 0
			}
			closer = open.push(depth, c)
			depth++
			i = scanSpace(b, i+1)
			if i < len(b) && b[i] == closer {
				break
			}
			if c == '{' {
				if i, h = scanKey(b, i); i < 0 {
					return notFound, 0
				}
				holds |= h
			}
			continue
		case 't', 'f', 'n':
			i = scanWord(b, i)
		default:
			i = scanNumber(b, i)
		}
		if i < 0 {
			return notFound, 0
		}
		holds |= h
		// Here a value has ended: close what ends with it, until a comma says that another follows.
		for {
			if depth == 0 {
				return i, holds
			}
			i = scanSpace(b, i)
			if i >= len(b) {
				return notFound, 0
			}
			c := b[i]
			i++
			if c == ',' {
				break
			}
			if c != closer {
				return notFound, 0
			}
			depth--
			closer = open.closer(depth)
		}
		if closer == '}' {
			if i, h = scanKey(b, scanSpace(b, i)); i < 0 {
				return notFound, 0
			}
			holds |= h
		}
	}
}

// brackets remembers for each depth whether an object or an array is open there.
type brackets [JSONDepthMax / 64]uint64

// push notes what opens at depth and returns the bracket that closes it.
func (o *brackets) push(depth int, bracket byte) (closer byte) {
	bit := uint64(1) << (depth % 64)
	if bracket == '{' {
		o[depth/64%len(o)] |= bit
		return '}'
	}
	o[depth/64%len(o)] &^= bit
	return ']'
}

// closer returns the bracket that closes what is open below depth, if something is.
func (o *brackets) closer(depth int) byte {
	depth = max(depth-1, 0)
	if o[depth/64%len(o)]>>(depth%64)&1 == 1 {
		return '}'
	}
	return ']'
}

// scanKey returns the index after the string and the colon that begin at i, and what the string holds; or notFound.
func scanKey(b []byte, i int) (end int, holds content) {
	if i >= len(b) || b[i] != '"' {
		return notFound, 0
	}
	i, holds = scanString(b, i+1)
	if i < 0 {
		return notFound, 0
	}
	i = scanSpace(b, i)
	if i >= len(b) || b[i] != ':' {
		return notFound, 0
	}
	return i + 1, holds
}

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
		for ; len(b)-i >= 8; i += 8 {
			if s := special(binary.LittleEndian.Uint64(b[i:])); s != 0 {
				i += bits.TrailingZeros64(s) / 8
				break
			}
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

// scanWord returns the index after true, false or null at i, or notFound if something else is there.
func scanWord(b []byte, i int) int {
	switch b[i] {
	case 't':
		return scanLiteral(b, i, "true")
	case 'f':
		return scanLiteral(b, i, "false")
	}
	return scanLiteral(b, i, "null")
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
