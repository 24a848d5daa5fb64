package ws

import gobwas "github.com/gobwas/ws"

// State says whose frames are checked and what came before. It is FromClient or
// FromServer, with Deflated added if permessage-deflate was negotiated, and Fragmented
// while a fragmented message is under way.
type State uint8

const (
	// FromClient: frames must be masked.
	FromClient State = 0
	// FromServer: frames must not be masked.
	FromServer State = 1
	// Fragmented: the next data frame must continue a message.
	Fragmented State = 2
	// Deflated: the first frame of a data message may say, with its first reserved bit,
	// that the message is compressed (RFC 7692 section 6).
	Deflated State = 4
)

// rsv1 is the first reserved bit in Header.Rsv.
const rsv1 = 4

// rulesOf are our states in the words of gobwas/ws. A server checks what comes from
// a client and the other way round.
var rulesOf = [...]gobwas.State{
	FromClient:              gobwas.StateServerSide,
	FromServer:              gobwas.StateClientSide,
	FromClient | Fragmented: gobwas.StateServerSide | gobwas.StateFragmented,
	FromServer | Fragmented: gobwas.StateClientSide | gobwas.StateFragmented,
}

// Check tells what is wrong with h, from the header alone, before a byte of payload is
// looked at or kept. limit is what the message may still have, in bytes; it does not
// concern control frames, which are short by themselves.
//
// err is an *Error: 1002 for a missing or unexpected mask, reserved bits or opcodes
// (the first bit too, unless s has Deflated and h begins a data message),
// control frames that are fragmented or longer than ControlBytesMax, a continuation of
// nothing and a new message inside a fragmented one (RFC 6455 sections 5.1 to 5.5);
// 1009 for a payload over limit.
func (h Header) Check(s State, limit int64) error {
	if h.compressed() && s&Deflated != 0 {
		h.Rsv = 0
	}
	if err := gobwas.CheckHeader(gobwas.Header(h), rulesOf[s&(FromServer|Fragmented)]); err != nil {
		return &Error{CodeProtocolError, err.Error()}
	}
	if h.OpCode.IsData() && h.Length > limit {
		return errMessageSize
	}
	return nil
}

// compressed reports that h begins a data message that says it is compressed.
func (h Header) compressed() bool {
	return h.Rsv == rsv1 && (h.OpCode == OpText || h.OpCode == OpBinary)
}
