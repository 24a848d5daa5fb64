package ws

import (
	"encoding/binary"

	gobwas "github.com/gobwas/ws"
)

// OpCode is the kind of a ws frame (RFC 6455 section 5.2), with the methods
// IsControl, IsData and IsReserved.
type OpCode = gobwas.OpCode

const (
	OpContinuation = gobwas.OpContinuation
	OpText         = gobwas.OpText
	OpBinary       = gobwas.OpBinary
	OpClose        = gobwas.OpClose
	OpPing         = gobwas.OpPing
	OpPong         = gobwas.OpPong
)

const (
	// HeaderBytesMax is the longest header of a ws frame: two bytes, a 64-bit
	// length and a mask.
	HeaderBytesMax = 14
	// ServerHeaderBytesMax is the longest header that a server writes: no mask.
	ServerHeaderBytesMax = 10
	// ControlBytesMax is the longest payload of a control frame (section 5.5).
	ControlBytesMax = gobwas.MaxControlFramePayloadSize
)

// Bits and length marks of the first two bytes (section 5.2).
const (
	finBit    = 0x80
	rsv1Bit   = 0x40
	rsvBits   = 0x70
	opBits    = 0x0f
	maskBit   = 0x80
	lenBits   = 0x7f
	len16Mark = 126
	len64Mark = 127
)

// Header is the header of one ws frame. Length is the payload's, in bytes.
type Header struct {
	Fin    bool
	Rsv    byte
	OpCode OpCode
	Masked bool
	Mask   [4]byte
	Length int64
}

// ParseHeader reads the header that b begins with. While the header is not
// complete, ok is false and n says how many bytes there must be before another
// try can get further; afterwards n is the header's size.
//
// err is an *Error with code 1002 for a length that has its top bit set or that is
// not in its shortest form (section 5.2), found as soon as the length is there.
func ParseHeader(b []byte) (h Header, n int, ok bool, err error) {
	n = 2
	if len(b) < n {
		return h, n, false, nil
	}
	h.Fin = b[0]&finBit != 0
	h.Rsv = b[0] & rsvBits >> 4
	h.OpCode = OpCode(b[0] & opBits)
	h.Masked = b[1]&maskBit != 0
	switch mark := b[1] & lenBits; mark {
	case len16Mark:
		n += 2
		if len(b) < n {
			return h, n, false, nil
		}
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		if h.Length < len16Mark {
			return h, n, false, errLengthForm
		}
	case len64Mark:
		n += 8
		if len(b) < n {
			return h, n, false, nil
		}
		// A length with its top bit set would be negative here: looked at first.
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
		if h.Length < 0 {
			return h, n, false, errLengthTopBit
		}
		if h.Length <= 0xffff {
			return h, n, false, errLengthForm
		}
	default:
		h.Length = int64(mark)
	}
	if h.Masked {
		n += 4
		if len(b) < n {
			return h, n, false, nil
		}
		h.Mask = [4]byte(b[n-4:])
	}
	return h, n, true, nil
}

// HeaderSize is the size of an unmasked header before a payload of length bytes.
func HeaderSize(length int) int {
	switch {
	case length < len16Mark:
		return 2
	case length <= 0xffff:
		return 4
	default:
		return ServerHeaderBytesMax
	}
}

// AppendHeader appends the header of a server's frame with a payload of length
// bytes to dst.
func AppendHeader(dst []byte, op OpCode, fin bool, length int) []byte {
	return appendHeader(dst, op, fin, 0, length)
}

func appendHeader(dst []byte, op OpCode, fin bool, masked byte, length int) []byte {
	first := byte(op)
	if fin {
		first |= finBit
	}
	switch HeaderSize(length) {
	case 2:
		return append(dst, first, masked|byte(length))
	case 4:
		dst = append(dst, first, masked|len16Mark)
		return binary.BigEndian.AppendUint16(dst, uint16(length))
	default:
		dst = append(dst, first, masked|len64Mark)
		return binary.BigEndian.AppendUint64(dst, uint64(length))
	}
}

// PutHeader writes the header of a final server's frame with a payload of length
// bytes so that it ends at the end of room, right before the payload that follows
// there, and returns its size. Room of ServerHeaderBytesMax bytes is always enough;
// PutHeader panics if room is shorter than HeaderSize(length).
func PutHeader(room []byte, op OpCode, length int) (n int) {
	n = HeaderSize(length)
	at := len(room) - n
	appendHeader(room[at:at], op, true, 0, length)
	return n
}

// AppendFrame appends a whole final ws frame of a server to dst. The payload of a
// control frame must not exceed ControlBytesMax.
func AppendFrame(dst []byte, op OpCode, payload []byte) []byte {
	return append(AppendHeader(dst, op, true, len(payload)), payload...)
}

// Unmask takes the mask off b, or puts it on: both are the same (section 5.3).
// offset is the place of b in its payload, in bytes.
func Unmask(b []byte, mask [4]byte, offset int) {
	gobwas.Cipher(b, mask, offset)
}
