package codec

import "stentor/codec/ws"

// HeaderRoom is how many bytes a frame keeps free before its messages: the largest header of an unmasked ws frame
// (RFC 6455, section 5.2).
const HeaderRoom = 10

// Frame is one or more delimited messages, encoded once and sent to many. Its bytes never change after NewFrame, so any
// number of conns on any number of loops may hold slices of them.
type Frame struct {
	bytes  []byte // room, messages
	header int    // where the ws header starts in bytes
	joined int    // of how many frames
	form   Form
}

// NewFrame makes a frame of buf: HeaderRoom spare bytes, then delimited messages of form f as the Append functions make
// them. The frame owns buf from now on.
func NewFrame(f Form, buf []byte) *Frame {
	frame := &Frame{bytes: buf, form: f, joined: 1}
	size := ws.PutHeader(buf[:HeaderRoom], f.opCode(), frame.payloadEnd()-HeaderRoom)
	frame.header = HeaderRoom - size
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
	}
	return frame
}

// Joined is how many frames were joined into this one; 1 if none were.
func (f *Frame) Joined() int { return f.joined }

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
	if f.form == JSON && end > HeaderRoom {
		end--
	}
	return end
}
