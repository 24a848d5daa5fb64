package codec

import (
	"fmt"
	"math"
	"unicode/utf8"
	"unsafe"

	"github.com/bytedance/sonic"
)

// jsonReader walks one JSON text. It knows the grammar and no message: the methods in json_decode.go ask for what they
// expect. The first thing that is not as expected stops it for good: from then on there are no members, no elements and
// no values, and why says what was wrong at at.
//
// Objects are read with
//
//	for r.enter(); r.member(); {
//		switch r.key {
//		case "channel":
//			r.text(&m.Channel)
//		default:
//			r.skip()
//		}
//	}
//
// Keys are compared as they are, with case. As in encoding/json the last of several equal keys wins, except that objects
// are merged, and null leaves a field as it was.
type jsonReader struct {
	data  []byte
	i     int
	key   string // of the member at i
	first bool   // nothing of the innermost open object or array has been read yet
	depth int    // of nested filter nodes, the only messages that nest without bound
	why   string
	at    int
}

// alias makes a string of b without copying. It is the only place where this package does so: the string is valid as long
// as the caller of the decoder leaves its input alone, as the package comment says.
func alias(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// fail stops the reader.
func (r *jsonReader) fail(why string) {
	if r.why == "" {
		r.why, r.at = why, r.i
	}
	r.i = len(r.data)
}

// end returns the reader's error, having checked that nothing is left.
func (r *jsonReader) end() error {
	if r.why == "" && r.peek() != 0 {
		r.fail("more than one value")
	}
	if r.why == "" {
		return nil
	}
	return fmt.Errorf("%w: JSON: %s at byte %d", ErrMalformed, r.why, r.at)
}

// peek skips white space and returns the byte after it, or 0 at the end.
func (r *jsonReader) peek() byte {
	for r.i < len(r.data) {
		c := r.data[r.i]
		if c > ' ' {
			return c
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			r.fail("control character")
			return 0
		}
		r.i++
	}
	return 0
}

// enter opens an object.
func (r *jsonReader) enter() { r.open('{', "want an object") }

// enterList opens an array.
func (r *jsonReader) enterList() { r.open('[', "want an array") }

func (r *jsonReader) open(bracket byte, want string) {
	if r.peek() != bracket {
		r.fail(want)
		return
	}
	r.i++
	r.first = true
}

// member goes to the value of the next member of the innermost open object and sets key. It is false after the last
// member; the object is closed then.
func (r *jsonReader) member() bool {
	if !r.element('}') {
		return false
	}
	if r.peek() != '"' {
		r.fail("want a key")
		return false
	}
	r.key = r.quoted()
	if r.peek() != ':' {
		r.fail("want a colon")
		return false
	}
	r.i++
	return true
}

// element goes to the next element of the innermost open array. It is false after the last one; the array is closed then.
// Member uses it with the other bracket.
func (r *jsonReader) element(bracket byte) bool {
	first := r.first
	r.first = false
	switch c := r.peek(); {
	case c == bracket:
		r.i++
		return false
	case first && c != 0:
		return true
	case !first && c == ',':
		r.i++
		if r.peek() == bracket {
			r.fail("comma without a value")
			return false
		}
		return true
	}
	r.fail("unclosed object or array")
	return false
}

// null takes a null and tells whether there was one.
func (r *jsonReader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	r.literal("null")
	return true
}

func (r *jsonReader) literal(literal string) {
	end := scanLiteral(r.data, r.i, literal)
	if end < 0 {
		r.fail("want a value")
		return
	}
	r.i = end
}

// skip takes any value.
func (r *jsonReader) skip() {
	end, _ := scanValue(r.data, r.i)
	if end < 0 {
		r.fail("invalid value")
		return
	}
	r.i = end
}

// raw takes any value as it stands.
func (r *jsonReader) raw(v *[]byte) {
	r.peek()
	start := r.i
	r.skip()
	if r.why == "" {
		*v = r.data[start:r.i:r.i]
	}
}

// text takes a string.
func (r *jsonReader) text(v *string) {
	switch r.peek() {
	case '"':
		*v = r.quoted()
	case 'n':
		r.literal("null")
	default:
		r.fail("want a string")
	}
}

// quoted takes the string whose opening quote is at i.
func (r *jsonReader) quoted() string {
	start := r.i
	end, holds := scanString(r.data, start+1)
	if end < 0 {
		r.fail("invalid string")
		return ""
	}
	r.i = end
	s := alias(r.data[start+1 : end-1])
	if holds == 0 || holds == nonASCII && utf8.ValidString(s) {
		return s
	}
	return r.unquote(r.data[start:end])
}

// unquote decodes a string with escapes or broken UTF-8, which becomes U+FFFD.
func (r *jsonReader) unquote(quoted []byte) string {
	var s string
	if err := sonic.ConfigStd.Unmarshal(quoted, &s); err != nil {
		r.fail("invalid string")
		return ""
	}
	return s
}

// bool takes a boolean.
func (r *jsonReader) bool(v *bool) {
	switch r.peek() {
	case 't':
		r.literal("true")
		*v = true
	case 'f':
		r.literal("false")
		*v = false
	case 'n':
		r.literal("null")
	default:
		r.fail("want true or false")
	}
}

// uint32 takes an integer.
func (r *jsonReader) uint32(v *uint32) {
	if n, ok := r.unsigned(math.MaxUint32); ok {
		*v = uint32(n)
	}
}

// uint64 takes an integer.
func (r *jsonReader) uint64(v *uint64) {
	if n, ok := r.unsigned(math.MaxUint64); ok {
		*v = n
	}
}

// int32 takes an integer.
func (r *jsonReader) int32(v *int32) {
	if n, ok := r.signed(math.MaxInt32); ok {
		*v = int32(n)
	}
}

// int64 takes an integer.
func (r *jsonReader) int64(v *int64) {
	if n, ok := r.signed(math.MaxInt64); ok {
		*v = n
	}
}

// unsigned takes an integer from 0 to most; ok is false for a null and after a failure.
func (r *jsonReader) unsigned(most uint64) (n uint64, ok bool) {
	if r.null() {
		return 0, false
	}
	return r.digits(most)
}

// signed takes an integer from -most-1 to most; ok as in unsigned.
func (r *jsonReader) signed(most int64) (n int64, ok bool) {
	if r.peek() == '-' {
		r.i++
		u, ok := r.digits(uint64(most) + 1)
		return -int64(u), ok
	}
	u, ok := r.unsigned(uint64(most))
	return int64(u), ok
}

// digits takes the digits of an integer up to most at i.
func (r *jsonReader) digits(most uint64) (n uint64, ok bool) {
	start := r.i
	for ; r.i < len(r.data); r.i++ {
		digit := uint64(r.data[r.i] - '0')
		if digit > 9 {
			break
		}
		if n > (most-digit)/10 {
			r.fail("number too large")
			return 0, false
		}
		n = n*10 + digit
	}
	switch {
	case r.i == start, r.data[start] == '0' && r.i > start+1:
	case r.i < len(r.data) && (r.data[r.i] == '.' || r.data[r.i]|0x20 == 'e'):
	default:
		return n, true
	}
	r.fail("want an integer")
	return 0, false
}
