package ws

import (
	"encoding/binary"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"
)

// Close codes of RFC 6455 section 7.4.1 that this package sends or gives a meaning to.
const (
	CodeNormal          = uint16(gobwas.StatusNormalClosure)
	CodeGoingAway       = uint16(gobwas.StatusGoingAway)
	CodeProtocolError   = uint16(gobwas.StatusProtocolError)
	CodeUnsupportedData = uint16(gobwas.StatusUnsupportedData)
	CodeNoStatus        = uint16(gobwas.StatusNoStatusRcvd) // the close frame had no code; never sent
	CodeInvalidPayload  = uint16(gobwas.StatusInvalidFramePayloadData)
	CodePolicyViolation = uint16(gobwas.StatusPolicyViolation)
	CodeMessageTooBig   = uint16(gobwas.StatusMessageTooBig)
)

// CloseReasonBytesMax is the longest reason of a close frame: what a control frame
// holds, less the code.
const CloseReasonBytesMax = ControlBytesMax - 2

// AppendClose appends a whole close frame of a server to dst. A reason longer than
// CloseReasonBytesMax is cut on the border of a rune. Code 0 and the codes that must
// not be sent (1005, 1006, 1015) give a close frame without code and reason.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	var room [ControlBytesMax]byte
	return AppendFrame(dst, OpClose, appendCloseBody(room[:0], code, reason))
}

func appendCloseBody(dst []byte, code uint16, reason string) []byte {
	switch gobwas.StatusCode(code) {
	case 0, gobwas.StatusNoStatusRcvd, gobwas.StatusAbnormalClosure, gobwas.StatusTLSHandshake:
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, cutReason(reason)...)
}

func cutReason(reason string) string {
	if len(reason) <= CloseReasonBytesMax {
		return reason
	}
	end := CloseReasonBytesMax
	for end > 0 && !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}

// ParseClose reads the payload of a close frame. An empty one has the code
// CodeNoStatus. err is an *Error: 1002 for a payload of one byte and for a code that
// nobody may send, 1007 for a reason that is not UTF-8 (sections 5.5.1, 7.4).
func ParseClose(payload []byte) (code uint16, reason string, err error) {
	code, text, err := parseClose(payload)
	return code, string(text), err
}

func parseClose(payload []byte) (code uint16, reason []byte, err error) {
	switch len(payload) {
	case 0:
		return CodeNoStatus, nil, nil
	case 1:
		return 0, nil, errCloseShort
	}
	code = binary.BigEndian.Uint16(payload)
	reason = payload[2:]
	if !validCloseCode(code) {
		return 0, nil, errCloseCode
	}
	if !utf8.Valid(reason) {
		return 0, nil, errCloseUTF8
	}
	return code, reason, nil
}

// validCloseCode says whether a peer may send code: one of section 7.4.1 that is not
// reserved, one that IANA has registered since (1012 to 1014), or one of the ranges
// for libraries and applications (section 7.4.2).
func validCloseCode(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	default:
		return code >= 3000 && code <= 4999
	}
}
