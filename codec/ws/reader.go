package ws

import "unicode/utf8"

const (
	// MessageFragmentsMax is how many ws frames a message may be cut into. Empty
	// fragments count too, so that a message that never grows ends as well.
	MessageFragmentsMax = 1 << 16
	// MessageBytesMax is the longest message whatever limit the caller names: lengths
	// stay small enough to be added up in an int on every platform.
	MessageBytesMax = 1 << 30
)

// Kind says what an Event is.
type Kind uint8

const (
	EventNone     Kind = iota // nothing yet: more bytes are needed
	EventMessage              // a whole text or binary message
	EventDeflated             // the same, compressed: for Inflater, which also checks the UTF-8 of a text
	EventPing                 // to be answered with a pong of the same payload
	EventPong
	EventClose // the peer closes; nothing comes after it
)

// Event is what came in. Payload is a message's or a control frame's, of a close its
// reason. It aliases the buffer given to Next, or the Reader's own: it is valid until the
// next call of Next or Release and before the caller reuses its buffer. With a fifth field
// it would no longer be kept in registers, which costs a third of the time of Next.
type Event struct {
	Kind    Kind
	OpCode  OpCode // of a message: OpText or OpBinary
	Code    uint16 // of a close: CodeNoStatus if the frame had none
	Payload []byte
}

// Reader is the incoming side of one conn. The zero value reads what a client sends.
// It is 16 bytes, because a server has one for each of its conns, and holds nothing
// else while no fragmented message is under way.
type Reader struct {
	parts *assembly // the message under way, or delivered last; nil in between
	// Peer is FromClient or FromServer: who sends what is read here. With Deflated added,
	// messages may come compressed.
	Peer  State
	ended bool // by a close frame or an error
}

// Next takes the next event out of buf, the bytes that have arrived and have not been
// consumed yet. It unmasks complete ws frames in place and leaves incomplete ones
// untouched. limit is the longest message to accept, in bytes.
//
// The caller drops consumed bytes from the front of its buffer (at times 0, never more
// than len(buf)) and calls again with what is left, until the event is EventNone: that
// call also gives back the buffer of the message before it. It then need not call
// again before need bytes (more than there are now, at most limit + HeaderBytesMax)
// are buffered.
//
// err is an *Error, the close frame for the peer. After an error or EventClose, the
// Reader swallows whatever else comes.
func (r *Reader) Next(buf []byte, limit int) (ev Event, consumed, need int, err error) {
	if r.ended {
		return Event{}, len(buf), 1, nil
	}
	if r.parts != nil && r.parts.delivered {
		r.Release()
	}
	limit = min(limit, MessageBytesMax)
	for {
		rest := buf[consumed:]
		h, size, ok, err := ParseHeader(rest)
		if err != nil {
			return r.fail(buf, err)
		}
		if !ok {
			return Event{}, consumed, size, nil
		}
		if err := h.Check(r.state(), int64(limit-r.Held())); err != nil {
			return r.fail(buf, err)
		}
		end := size + int(h.Length)
		if len(rest) < end {
			return Event{}, consumed, end, nil
		}
		consumed += end
		payload := rest[size:end:end]
		if h.Masked {
			Unmask(payload, h.Mask, 0)
		}
		ev, err := r.take(h, payload, limit)
		if err != nil {
			return r.fail(buf, err)
		}
		if ev.Kind != EventNone {
			return ev, consumed, 0, nil
		}
	}
}

// Held is the size of the message under way so far, in bytes, for the caller's account
// of memory and for its deadline on messages that do not end.
func (r *Reader) Held() int {
	if r.parts == nil {
		return 0
	}
	return len(r.parts.text)
}

// Partial reports whether a fragmented message is under way, which may be empty so far.
func (r *Reader) Partial() bool { return r.parts != nil && !r.parts.delivered }

// Release gives back what the Reader holds. The caller does so when the conn is gone and
// nobody uses a payload any more: the buffer may at once be another conn's.
func (r *Reader) Release() {
	if r.parts != nil {
		r.parts.free()
		r.parts = nil
	}
}

func (r *Reader) state() State {
	if r.parts != nil {
		return r.Peer | Fragmented
	}
	return r.Peer
}

// fail ends the Reader: after an error nobody knows where the next ws frame begins.
func (r *Reader) fail(buf []byte, err error) (Event, int, int, error) {
	r.Release()
	r.ended = true
	return Event{}, len(buf), 1, err
}

// take acts on one checked and unmasked ws frame.
func (r *Reader) take(h Header, payload []byte, limit int) (Event, error) {
	switch h.OpCode {
	case OpPing:
		return Event{Kind: EventPing, OpCode: OpPing, Payload: payload}, nil
	case OpPong:
		return Event{Kind: EventPong, OpCode: OpPong, Payload: payload}, nil
	case OpClose:
		code, reason, err := parseClose(payload)
		if err != nil {
			return Event{}, err
		}
		r.Release()
		r.ended = true
		return Event{Kind: EventClose, OpCode: OpClose, Code: code, Payload: reason}, nil
	}
	if h.Fin && r.parts == nil {
		if h.OpCode == OpText && !h.compressed() && !utf8.Valid(payload) {
			return Event{}, errTextUTF8
		}
		return Event{Kind: messageKind(h.compressed()), OpCode: h.OpCode, Payload: payload}, nil
	}
	if r.parts == nil {
		r.parts = newAssembly(h)
	}
	if err := r.parts.add(payload, h.Fin, limit); err != nil {
		return Event{}, err
	}
	if !h.Fin {
		return Event{}, nil
	}
	r.parts.delivered = true
	return Event{Kind: messageKind(r.parts.deflated), OpCode: r.parts.op, Payload: r.parts.text}, nil
}

func messageKind(deflated bool) Kind {
	if deflated {
		return EventDeflated
	}
	return EventMessage
}
