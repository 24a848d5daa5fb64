package ws

import "sync"

const (
	assemblyBytesMin = 512
	// assemblyBytesKept is the largest buffer that goes back to the pool: one huge
	// message must not stay in memory for those who come after it.
	assemblyBytesKept = 64 << 10
)

// assembly is a message that comes in fragments. Pooled, because few of a server's
// conns have one at a time.
type assembly struct {
	text      []byte // the payloads so far
	fragments int
	op        OpCode // of the first fragment
	deflated  bool   // by its first fragment
	utf8      UTF8   // of a text that is not deflated
	delivered bool   // handed out; goes back to the pool with the next call
}

var assemblies = sync.Pool{New: func() any { return new(assembly) }}

// newAssembly is for the message that h begins.
func newAssembly(h Header) *assembly {
	a := assemblies.Get().(*assembly)
	a.op, a.deflated = h.OpCode, h.compressed()
	return a
}

func (a *assembly) free() {
	text := a.text[:0]
	if cap(text) > assemblyBytesKept {
		text = nil
	}
	*a = assembly{text: text}
	assemblies.Put(a)
}

// add appends one fragment. The caller has checked that the message stays within limit.
func (a *assembly) add(payload []byte, last bool, limit int) error {
	a.fragments++
	if a.fragments > MessageFragmentsMax {
		return errFragments
	}
	if a.op == OpText && !a.deflated && (!a.utf8.Write(payload) || last && !a.utf8.Complete()) {
		return errTextUTF8
	}
	a.grow(len(payload), limit)
	a.text = append(a.text, payload...)
	return nil
}

// grow makes room for n bytes, at least doubling what there is, so that a message of
// one-byte fragments is not copied for each of them, but never beyond limit.
func (a *assembly) grow(n, limit int) {
	want := len(a.text) + n
	if want <= cap(a.text) {
		return
	}
	room := max(want, min(limit, max(assemblyBytesMin, 2*cap(a.text))))
	text := make([]byte, len(a.text), room)
	copy(text, a.text)
	a.text = text
}
