package codec

import (
	"fmt"
	"unicode/utf8"
)

// protobufReader walks one Protobuf message. It knows the grammar and no message: the methods in protobuf_decode.go ask
// for what they expect. The first thing that is not as expected stops it for good, as in jsonReader.
//
// Messages are read with
//
//	for outer := r.enter(); r.field(outer); {
//		switch r.number {
//		case 1:
//			r.text(&m.Channel)
//		default:
//			r.skip()
//		}
//	}
//
// As in every Protobuf decoder the last of several equal fields wins, except that messages are merged and lists grow, and
// integers that are too large for their field lose their upper bits. A field with the wrong wire type is an error.
type protobufReader struct {
	data   []byte // up to the end of the innermost open message
	i      int
	number uint32   // of the field at i
	kind   wireType // of the field at i
	depth  int      // of nested filter nodes, the only messages that nest without bound
	why    string
	at     int
}

// wireType is how a field's value is laid out.
type wireType uint8

const (
	wireVarint  wireType = 0
	wireFixed64 wireType = 1
	wireBytes   wireType = 2
	wireGroup   wireType = 3
	wireEnd     wireType = 4
	wireFixed32 wireType = 5
)

// fieldMax is the largest field number that Protobuf allows.
const fieldMax = 1<<29 - 1

// fail stops the reader.
func (r *protobufReader) fail(why string) {
	if r.why == "" {
		r.why, r.at = why, r.i
	}
	r.i = len(r.data)
}

// end returns the reader's error.
func (r *protobufReader) end() error {
	if r.why == "" {
		return nil
	}
	return fmt.Errorf("%w: Protobuf: %s at byte %d", ErrMalformed, r.why, r.at)
}

// enter opens the message that is the value of the current field. It returns what field needs to close it.
func (r *protobufReader) enter() (outer []byte) {
	outer = r.data
	if size := r.length(); r.why == "" {
		r.data = r.data[:r.i+size]
	}
	return outer
}

// field goes to the next field of the innermost open message and sets number and kind. It is false after the last one;
// the message is closed then, and r reads on in outer.
func (r *protobufReader) field(outer []byte) bool {
	if r.i < len(r.data) && r.tag() {
		return true
	}
	if r.why != "" {
		r.i = len(outer)
	}
	r.data = outer
	return false
}

// tag takes a field's number and kind.
func (r *protobufReader) tag() bool {
	tag := r.varint()
	number := tag >> 3
	if r.why != "" {
		return false
	}
	if number == 0 || number > fieldMax {
		r.fail("invalid field number")
		return false
	}
	r.number, r.kind = uint32(number), wireType(tag&7)
	return true
}

// varint takes an unsigned varint.
func (r *protobufReader) varint() uint64 {
	if r.i < len(r.data) && r.data[r.i] < 0x80 {
		r.i++
		return uint64(r.data[r.i-1])
	}
	v, n := uvarint(r.data[r.i:])
	if n == 0 {
		r.fail("invalid varint")
		return 0
	}
	r.i += n
	return v
}

// uvarint is binary.Uvarint with one kind of failure: n is 0 if b ends too early or the number has more than 64 bits.
func uvarint(b []byte) (v uint64, n int) {
	for i, c := range b {
		if i == 9 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// length takes the length of the current field's value and checks that so much is there.
func (r *protobufReader) length() int {
	if !r.is(wireBytes) {
		return 0
	}
	size := r.varint()
	if r.why == "" && size > uint64(len(r.data)-r.i) {
		r.fail("length beyond the end")
		return 0
	}
	return int(size)
}

// is checks the kind of the current field.
func (r *protobufReader) is(kind wireType) bool {
	if r.kind != kind {
		r.fail("wrong wire type")
		return false
	}
	return true
}

// skip takes the current field, of any kind.
func (r *protobufReader) skip() {
	if r.kind == wireEnd {
		r.fail("end of a group that was not begun")
		return
	}
	for groups := 0; ; {
		switch r.kind {
		case wireVarint:
			r.varint()
		case wireFixed64:
			r.advance(8)
		case wireBytes:
			r.advance(r.length())
		case wireGroup:
			groups++
		case wireEnd:
			groups--
		case wireFixed32:
			r.advance(4)
		default:
			r.fail("unknown wire type")
		}
		if groups == 0 || !r.tag() {
			return
		}
	}
}

func (r *protobufReader) advance(n int) {
	if len(r.data)-r.i < n {
		r.fail("field beyond the end")
		return
	}
	r.i += n
}

// raw takes bytes as they stand.
func (r *protobufReader) raw(v *[]byte) {
	size := r.length()
	if r.why == "" {
		*v = r.data[r.i : r.i+size : r.i+size]
		r.i += size
	}
}

// text takes a string.
func (r *protobufReader) text(v *string) {
	size := r.length()
	b := r.data[r.i : r.i+size]
	if !utf8.Valid(b) {
		r.fail("string is not UTF-8")
		return
	}
	*v = alias(b)
	r.i += size
}

// bool takes a boolean.
func (r *protobufReader) bool(v *bool) {
	if r.is(wireVarint) {
		*v = r.varint() != 0
	}
}

// uint32 takes an integer.
func (r *protobufReader) uint32(v *uint32) {
	if r.is(wireVarint) {
		*v = uint32(r.varint())
	}
}

// uint64 takes an integer.
func (r *protobufReader) uint64(v *uint64) {
	if r.is(wireVarint) {
		*v = r.varint()
	}
}

// int32 takes an integer.
func (r *protobufReader) int32(v *int32) {
	if r.is(wireVarint) {
		*v = int32(r.varint())
	}
}

// int64 takes an integer.
func (r *protobufReader) int64(v *int64) {
	if r.is(wireVarint) {
		*v = int64(r.varint())
	}
}
