package codec

import (
	"sync/atomic"

	"stentor/codec/ws"
)

// HeaderRoom is how many bytes a frame keeps free before its messages: the largest header of an unmasked ws frame
// (RFC 6455, section 5.2).
const HeaderRoom = 10

// Frame is one or more delimited messages, encoded once and sent to many. Its bytes never change after NewFrame, so any
// number of conns on any number of loops may hold slices of them.
type Frame struct {
	bytes    []byte                   // room, messages
	variants atomic.Pointer[variants] // for those who take it in another way; nil until someone asks
	kinds    [NumKinds - 1]tally      // of those that are no publications
	joined   uint32                   // of how many frames
	channel  uint32                   // which slow is about
	header   uint8                    // where the ws header starts in bytes
	form     Form
	slow     SlowPolicy
	held     atomic.Int32 // see Hold
}

// Kind is what a frame of fan-out carries; its frames are counted apart.
type Kind uint8

// Kinds. Replies and pings are counted by those who make them; their frames have no kind of their own.
const (
	Joins Kind = iota
	Leaves
	Publications

	NumKinds = 3
)

// tally is how many frames of a kind were joined, and how long their messages are.
type tally struct{ frames, bytes uint32 }

// SlowPolicy is what may become of a frame that waits for a client who does not take what it is owed.
type SlowPolicy uint8

// The policies. All but the first are for publications whose channel promises no completeness.
const (
	SlowDisconnect SlowPolicy = iota // the client gets it or is closed
	SlowDropOldest                   // it may be dropped, older ones first
	SlowLatest                       // it may be dropped once a later one of its channel waits
)

// NewFrame makes a frame of buf: HeaderRoom spare bytes, then delimited messages of form f as the Append functions make
// them. The frame owns buf from now on.
func NewFrame(f Form, buf []byte) *Frame {
	frame := &Frame{bytes: buf, form: f, joined: 1}
	frame.seal()
	return frame
}

// seal writes the ws header into the room before the messages.
func (f *Frame) seal() {
	size := ws.PutHeader(f.bytes[:HeaderRoom], f.form.opCode(), f.payloadEnd()-HeaderRoom)
	f.header = uint8(HeaderRoom - size)
}

// Seal makes one whole ws frame of buf, in its place. buf is as for NewFrame, which is for what more than one client gets.
func Seal(f Form, buf []byte) []byte {
	frame := Frame{bytes: buf, form: f}
	frame.seal()
	return frame.WebSocket()
}

// NewKindFrame is NewFrame of one push of a kind.
func NewKindFrame(f Form, k Kind, buf []byte) *Frame {
	frame := NewFrame(f, buf)
	if k < Publications {
		frame.kinds[k] = tally{1, uint32(len(frame.Messages()))}
	}
	return frame
}

// JoinFrames makes one frame of the messages of one or more frames of the same form. It copies them, unless it is one.
func JoinFrames(fs []*Frame) *Frame {
	if len(fs) == 1 {
		return fs[0]
	}
	size := HeaderRoom
	for _, f := range fs {
		size += len(f.Messages())
	}
	buf := make([]byte, HeaderRoom, size)
	for _, f := range fs {
		buf = append(buf, f.Messages()...)
	}
	frame := NewFrame(fs[0].form, buf)
	frame.joined = 0
	for _, f := range fs {
		frame.joined += f.joined
		for k, t := range f.kinds {
			frame.kinds[k].frames += t.frames
			frame.kinds[k].bytes += t.bytes
		}
	}
	return frame
}

// Joined is how many frames were joined into this one; 1 if none were.
func (f *Frame) Joined() int { return int(f.joined) }

// Count is how many of the frames that were joined into this one are of a kind, and the bytes of their messages.
func (f *Frame) Count(k Kind) (frames, bytes int) {
	if k < Publications {
		return int(f.kinds[k].frames), int(f.kinds[k].bytes)
	}
	frames, bytes = int(f.joined), len(f.Messages())
	for _, t := range f.kinds {
		frames -= int(t.frames)
		bytes -= int(t.bytes)
	}
	return frames, bytes
}

// Mixed reports that not all of the frame is publications.
func (f *Frame) Mixed() bool { return f.kinds != [NumKinds - 1]tally{} }

// SetSlow says what may become of the frame at slow clients. channel is a number that no other channel of the process has. It is
// called before the frame is sent to anyone.
func (f *Frame) SetSlow(p SlowPolicy, channel uint32) { f.slow, f.channel = p, channel }

// Slow is what SetSlow said.
func (f *Frame) Slow() (p SlowPolicy, channel uint32) { return f.slow, f.channel }

// Hold notes that one more queue has the frame, for those who count the memory of what is queued: first reports that no other has.
// Any goroutine may call it.
func (f *Frame) Hold() (first bool) { return f.held.Add(1) == 1 }

// Release is the opposite of Hold: last reports that no queue has the frame any more.
func (f *Frame) Release() (last bool) { return f.held.Add(-1) == 0 }

// Deflated returns the frame as WebSocket does, but compressed where that is worth it: for conns that have agreed on it. d does
// the work at the first call, on whatever loop that is; all later ones get the same bytes. Two loops that ask at the same moment
// may both do it, and one result stays.
func (f *Frame) Deflated(d *ws.Deflater) []byte {
	place := &f.others().deflated
	if have := place.Load(); have != nil {
		return *have
	}
	made := d.Frame(f.form.opCode(), f.bytes[HeaderRoom:f.payloadEnd()])
	if made == nil {
		made = f.WebSocket()
	}
	return *once(place, &made)
}

// WebSocket returns the frame as one whole ws frame of a server, ready for the socket. JSON messages are then separated
// by newlines, without one at the end.
func (f *Frame) WebSocket() []byte {
	return f.bytes[f.header:f.payloadEnd():f.payloadEnd()]
}

// Messages returns the delimited messages, for transports that are streams.
func (f *Frame) Messages() []byte {
	return f.bytes[HeaderRoom:len(f.bytes):len(f.bytes)]
}

// Form returns the form of the messages.
func (f *Frame) Form() Form { return f.form }

// payloadEnd is where the payload of the ws frame ends in bytes.
func (f *Frame) payloadEnd() int {
	end := len(f.bytes)
	if !f.form.isProtobuf() && end > HeaderRoom {
		end--
	}
	return end
}
