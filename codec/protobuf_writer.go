package codec

import "math/bits"

// protobufWriter appends Protobuf to buf. It knows the grammar and no message: the methods in protobuf_append.go say what
// to write. As proto3 wants it, zero values are left out.
//
// The length of a message stands before it. The writer keeps room for one, writes the message and puts the length there,
// moving the message when the room was wrong: in one pass over the message, where computing the length first takes two.
type protobufWriter struct {
	buf []byte
}

// mark remembers where the length of an open message belongs.
type mark struct {
	at   int // where the message begins
	room int // bytes kept for the length before that
}

// begin opens a delimited message of about guess bytes.
func (w *protobufWriter) begin(guess int) mark {
	room := uvarintLen(uint64(guess))
	for range room {
		w.buf = append(w.buf, 0)
	}
	return mark{len(w.buf), room}
}

// enter opens a message of about guess bytes as the value of a field.
func (w *protobufWriter) enter(field uint32, guess int) mark {
	w.tag(field, wireBytes)
	return w.begin(guess)
}

// leave closes a message.
func (w *protobufWriter) leave(m mark) {
	size := len(w.buf) - m.at
	start := m.at - m.room
	if need := uvarintLen(uint64(size)); need != m.room {
		for range need - m.room {
			w.buf = append(w.buf, 0)
		}
		copy(w.buf[start+need:], w.buf[m.at:m.at+size])
		w.buf = w.buf[:start+need+size]
	}
	appendUvarint(w.buf[:start], uint64(size))
}

// tag begins a field.
func (w *protobufWriter) tag(field uint32, kind wireType) {
	w.buf = appendUvarint(w.buf, uint64(field)<<3|uint64(kind))
}

// text writes a string unless it is empty. Broken UTF-8, for which strict clients would refuse the whole message, becomes
// U+FFFD as it does in JSON.
func (w *protobufWriter) text(field uint32, v string) {
	if v != "" {
		w.textAlways(field, v)
	}
}

func (w *protobufWriter) textAlways(field uint32, v string) {
	v = validText(v)
	w.tag(field, wireBytes)
	w.buf = append(appendUvarint(w.buf, uint64(len(v))), v...)
}

// raw writes bytes unless there are none.
func (w *protobufWriter) raw(field uint32, v []byte) {
	if len(v) > 0 {
		w.tag(field, wireBytes)
		w.buf = append(appendUvarint(w.buf, uint64(len(v))), v...)
	}
}

// bool writes a boolean unless it is false.
func (w *protobufWriter) bool(field uint32, v bool) {
	if v {
		w.uint(field, 1)
	}
}

// uint writes an integer unless it is zero.
func (w *protobufWriter) uint(field uint32, v uint64) {
	if v != 0 {
		w.tag(field, wireVarint)
		w.buf = appendUvarint(w.buf, v)
	}
}

// int writes an integer unless it is zero.
func (w *protobufWriter) int(field uint32, v int64) {
	w.uint(field, uint64(v))
}

// sint writes an integer, with its sign in the lowest bit, unless it is zero.
func (w *protobufWriter) sint(field uint32, v int64) {
	w.uint(field, uint64(v)<<1^uint64(v>>63))
}

// generated writes a message of package wire as the value of a field.
func (w *protobufWriter) generated(field uint32, m generated) {
	w.tag(field, wireBytes)
	w.delimited(m)
}

// generated is what vtprotobuf makes for every message.
type generated interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

// delimited writes a message of package wire after its length.
func (w *protobufWriter) delimited(m generated) {
	size := m.SizeVT()
	w.buf = appendUvarint(w.buf, uint64(size))
	w.undelimited(m, size)
}

// undelimited writes a message of package wire of so many bytes, and nothing before it.
func (w *protobufWriter) undelimited(m generated, size int) {
	start := len(w.buf)
	w.buf = append(w.buf, make([]byte, size)...)
	if _, err := m.MarshalToSizedBufferVT(w.buf[start:]); err != nil {
		panic("codec: " + err.Error()) // the generated code has no way to fail for our messages
	}
}

// appendUvarint is binary.AppendUvarint with the common case, one byte, inlined.
func appendUvarint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// uvarintLen returns how many bytes appendUvarint appends.
func uvarintLen(v uint64) int {
	return (bits.Len64(v|1) + 6) / 7
}
