package codec

import (
	"bytes"
	"iter"
	"slices"
	"strconv"
	"sync/atomic"

	"stentor/codec/ws"
)

// variants are a frame for transports other than plain WebSocket. Most frames need none of them, so that a Frame has one pointer for
// all. Each is made when it is first asked for; two loops that ask at the same moment may both do it, and one result stays.
type variants struct {
	deflated      atomic.Pointer[[]byte] // the ws frame, compressed
	apart         atomic.Pointer[[]byte] // a ws frame for each message
	apartDeflated atomic.Pointer[[]byte] // the same, compressed
	stream        atomic.Pointer[Stream]
	events        atomic.Pointer[Stream]
}

// others makes room for variants.
func (f *Frame) others() *variants {
	if v := f.variants.Load(); v != nil {
		return v
	}
	return once(&f.variants, new(variants))
}

// once leaves made in place unless there is something, and returns what is there then.
func once[T any](place *atomic.Pointer[T], made *T) *T {
	if place.CompareAndSwap(nil, made) {
		return made
	}
	return place.Load()
}

// Stream is what is sent of a frame on transports that are streams of bytes. It never changes, and both ways to see it share their
// memory.
type Stream struct {
	chunk    []byte
	from, to int // the bytes themselves in chunk
}

// Bytes are what is sent.
func (s *Stream) Bytes() []byte { return s.chunk[s.from:s.to:s.to] }

// Chunk is the same as one chunk of HTTP/1.1 (RFC 9112, section 7.1).
func (s *Stream) Chunk() []byte { return s.chunk }

// newStream makes one of buf: HeaderRoom spare bytes, then what is sent.
func newStream(buf []byte) *Stream {
	size := len(buf) - HeaderRoom
	chunk := SealChunk(buf)
	from := len(chunk) - len(chunkEnd) - size
	return &Stream{chunk, max(from, 0), max(from, 0) + size}
}

// Stream returns the delimited messages. For transports that need no chunks, [Frame.Messages] is the same without a copy.
func (f *Frame) Stream() *Stream {
	place := &f.others().stream
	if have := place.Load(); have != nil {
		return have
	}
	buf := make([]byte, HeaderRoom, len(f.bytes)+len(chunkEnd))
	return once(place, newStream(append(buf, f.Messages()...)))
}

// EventStream returns the messages as server-sent events, each an event of its own. The form must be one of JSON.
func (f *Frame) EventStream() *Stream {
	place := &f.others().events
	if have := place.Load(); have != nil {
		return have
	}
	messages := f.Messages()
	size := len(messages) + bytes.Count(messages, newline)*eventExtra
	buf := make([]byte, HeaderRoom, HeaderRoom+size+len(chunkEnd))
	return once(place, newStream(SealEvents(append(buf, messages...))))
}

// Apart returns the messages as ws frames of a server, one each, compressed with d where that is worth it; nil never compresses.
func (f *Frame) Apart(d *ws.Deflater) []byte {
	place := &f.others().apart
	if d != nil {
		place = &f.others().apartDeflated
	}
	if have := place.Load(); have != nil {
		return *have
	}
	var made []byte
	if messages := f.Messages(); delimitedSize(f.form, messages) < len(messages) {
		made = appendApart(make([]byte, 0, len(messages)+HeaderRoom), f.form, messages, d)
	} else if made = f.WebSocket(); d != nil {
		made = f.Deflated(d)
	}
	return *once(place, &made)
}

// Each goes through the messages, without what delimits them.
func (f *Frame) Each() iter.Seq[[]byte] { return Each(f.form, f.Messages()) }

// Each goes through delimited messages of form f, as the Append functions make them, without what delimits them.
func Each(f Form, messages []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(messages) > 0 {
			n := delimitedSize(f, messages)
			if !yield(undelimited(f, messages[:n:n])) {
				return
			}
			messages = messages[n:]
		}
	}
}

// delimitedSize is how many bytes the first of some messages takes.
func delimitedSize(f Form, messages []byte) int {
	if f.isProtobuf() {
		size, n := uvarint(messages)
		return n + int(size)
	}
	return bytes.IndexByte(messages, '\n') + 1
}

// undelimited is a message without its delimiter.
func undelimited(f Form, message []byte) []byte {
	if f.isProtobuf() {
		_, n := uvarint(message)
		return message[n:]
	}
	end := len(message) - 1
	return message[:end:end]
}

// SealApart is [Seal], but with a ws frame for each of the messages. What it returns is in the place of buf if that is one message.
func SealApart(f Form, buf []byte) []byte {
	messages := buf[HeaderRoom:]
	if delimitedSize(f, messages) == len(messages) {
		return Seal(f, buf)
	}
	return appendApart(make([]byte, 0, len(messages)+HeaderRoom), f, messages, nil)
}

// appendApart appends delimited messages to dst as ws frames.
func appendApart(dst []byte, f Form, messages []byte, d *ws.Deflater) []byte {
	for len(messages) > 0 {
		n := delimitedSize(f, messages)
		payload := messages[:n]
		if !f.isProtobuf() {
			payload = payload[:n-1]
		}
		var deflated []byte
		if d != nil {
			deflated = d.Frame(f.opCode(), payload)
		}
		if deflated != nil {
			dst = append(dst, deflated...)
		} else {
			dst = ws.AppendFrame(dst, f.opCode(), payload)
		}
		messages = messages[n:]
	}
	return dst
}

// chunkEnd ends a chunk.
const chunkEnd = "\r\n"

// SealChunk makes one chunk of HTTP/1.1 of buf, in its place if that has room for two more bytes: HeaderRoom spare bytes, then what is
// sent. Of nothing it makes nothing: an empty chunk would end the response.
func SealChunk(buf []byte) []byte {
	size := len(buf) - HeaderRoom
	if size == 0 {
		return nil
	}
	var room [2 * HeaderRoom]byte
	head := append(strconv.AppendInt(room[:0], int64(size), 16), chunkEnd...)
	start := HeaderRoom - len(head) // 0 from 256 MiB on, so that there is always room
	copy(buf[start:], head)
	return append(buf, chunkEnd...)[start:]
}

// What is around the JSON text of a message in an event; it replaces a newline.
const (
	eventBegin = "data: "
	eventEnd   = "\n\n"
	eventExtra = len(eventBegin) + len(eventEnd) - 1
)

// SealEvents makes server-sent events of the messages in buf, in its place if that has room: HeaderRoom spare bytes, then delimited
// messages of a JSON form. The room stays, so that [SealChunk] may follow; without chunks, what is sent begins behind it.
func SealEvents(buf []byte) []byte {
	from := len(buf)
	extra := bytes.Count(buf[HeaderRoom:], newline) * eventExtra
	buf = slices.Grow(buf, extra+len(chunkEnd))[:from+extra]
	for to := len(buf); from > HeaderRoom; { // from the last to the first, as each moves backwards
		end := from - 1
		from = HeaderRoom + bytes.LastIndexByte(buf[HeaderRoom:end], '\n') + 1
		to -= len(eventEnd)
		copy(buf[to:], eventEnd)
		to -= copy(buf[to-(end-from):to], buf[from:end])
		to -= len(eventBegin)
		copy(buf[to:], eventBegin)
	}
	spaceReturns(buf[HeaderRoom:])
	return buf
}

// spaceReturns replaces carriage returns, which JSON has only as white space: in an event they would end a line.
func spaceReturns(b []byte) {
	for i := bytes.IndexByte(b, '\r'); i >= 0; i = bytes.IndexByte(b, '\r') {
		b[i] = ' '
		b = b[i+1:]
	}
}
