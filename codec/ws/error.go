package ws

import "strconv"

// Error is what the peer did wrong in the ws frames it sent: the code and the reason
// of the close frame that it gets for it.
type Error struct {
	Code   uint16
	Reason string
}

func (e *Error) Error() string {
	return "websocket: " + e.Reason + " (" + strconv.Itoa(int(e.Code)) + ")"
}

var (
	errLengthTopBit = &Error{CodeProtocolError, "payload length has its top bit set"}
	errLengthForm   = &Error{CodeProtocolError, "payload length is not in its shortest form"}
	errCloseShort   = &Error{CodeProtocolError, "close payload of one byte"}
	errCloseCode    = &Error{CodeProtocolError, "invalid close code"}
	errCloseUTF8    = &Error{CodeInvalidPayload, "close reason is not UTF-8"}
	errTextUTF8     = &Error{CodeInvalidPayload, "text message is not UTF-8"}
	errInflate      = &Error{CodeInvalidPayload, "message is not compressed as it says"}
	errFragments    = &Error{CodePolicyViolation, "too many fragments"}
	// The reason is part of the client protocol: SDKs take it as terminal.
	errMessageSize = &Error{CodeMessageTooBig, "message size limit"}
)
