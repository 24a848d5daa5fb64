package reactor

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// A tls.Conn keeps two buffers for as long as it lives: rawInput, as large as the largest record that has come, 17 KB and more,
// and hand, as large as the handshake's messages. Both are empty when it waits for a record, unless the peer has sent a part of a
// message of TLS itself, so a conn that waits does without them: those of a loop read into one buffer, in turns.
//
// The fields are private. They are found by name and type, and left alone if they are not exactly what Go 1.26 has, or not empty.
// A test fails then; nothing but the memory is lost.

// tlsBuffers is where the two are in a tls.Conn.
type tlsBuffers struct {
	known          bool
	rawInput, hand uintptr
}

var tlsLayout = tlsLayoutOf(reflect.TypeFor[tls.Conn]())

func tlsLayoutOf(t reflect.Type) (l tlsBuffers) {
	if t.Kind() != reflect.Struct {
		return l
	}
	rawInput, ok1 := t.FieldByName("rawInput")
	hand, ok2 := t.FieldByName("hand")
	want := reflect.TypeFor[bytes.Buffer]()
	l.known = ok1 && ok2 && rawInput.Type == want && hand.Type == want && len(rawInput.Index) == 1 && len(hand.Index) == 1
	l.rawInput, l.hand = rawInput.Offset, hand.Offset
	return l
}

func tlsBuffer(c *tls.Conn, offset uintptr) *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), offset))
}

// keptTLS is how many bytes c has of a record, or of a message of TLS itself, whose rest has not come.
func keptTLS(c *tls.Conn) int {
	if !tlsLayout.known {
		return 0
	}
	return tlsBuffer(c, tlsLayout.rawInput).Len() + tlsBuffer(c, tlsLayout.hand).Len()
}

// trimTLS lets go of the empty buffers.
func trimTLS(c *tls.Conn) {
	if !tlsLayout.known {
		return
	}
	for _, offset := range [...]uintptr{tlsLayout.rawInput, tlsLayout.hand} {
		if b := tlsBuffer(c, offset); b.Len() == 0 {
			*b = bytes.Buffer{}
		}
	}
}

// lendTLS lets c read into b, which is empty, until takeBackTLS. It does not if c is in the middle of a record.
func lendTLS(c *tls.Conn, b *bytes.Buffer) bool {
	if !tlsLayout.known {
		return false
	}
	raw := tlsBuffer(c, tlsLayout.rawInput)
	if raw.Len() > 0 {
		return false
	}
	*raw, *b = *b, bytes.Buffer{}
	return true
}

// takeBackTLS takes the buffer back. What c has read must have been taken from it.
func takeBackTLS(c *tls.Conn, b *bytes.Buffer) {
	raw := tlsBuffer(c, tlsLayout.rawInput)
	if raw.Len() > 0 {
		return // the rest of a record that c had a part of: it stays c's
	}
	raw.Reset()
	*b = *raw
	trimTLS(c)
}
