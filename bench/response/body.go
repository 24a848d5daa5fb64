package response

import (
	"errors"
	"math"
)

// Body takes the chunked coding off a body, wherever its bytes are cut, in 8 bytes. The zero value is at the beginning of one; a body
// without a coding ends with its conn and needs Plain.
type Body struct {
	left  uint32 // bytes of the chunk to come; while its size is being read, the size so far
	phase phase
}

// phase is what the next byte belongs to.
type phase uint8

const (
	phaseFirst     phase = iota // the first digit of a size
	phaseSize                   // its other digits
	phaseExtension              // what may stand behind it
	phaseSizeEnd                // the end of its line
	phaseData
	phaseDataEnd // CR and LF behind the data
	phaseDataLast
	phaseTrailer // the first byte of a line behind the last chunk
	phaseTrailerLine
	phaseLast // the last LF
	phaseEnded
	phasePlain // there is no coding
)

// Plain is the body of a response that is not chunked.
func Plain() Body { return Body{phase: phasePlain} }

var (
	errSize  = errors.New("a chunk whose size is not a number in hexadecimal")
	errLarge = errors.New("a chunk of 2 GiB or more")
	errEnd   = errors.New("a chunk whose end is not where its size says")
	errAfter = errors.New("bytes behind the end of a response")
)

// Part is some of a body.
type Part struct {
	Data  []byte
	Whole bool // it is all of its chunk
}

// Next takes the next part out of b, the bytes that have arrived and have not been consumed, and says how many it consumed; the caller
// comes again with the rest as long as there is any. The part has no data when only the coding was there.
func (o *Body) Next(b []byte) (p Part, consumed int, err error) {
	begun := false
	for consumed < len(b) {
		switch o.phase {
		case phaseData:
			end := consumed + int(min(uint32(len(b)-consumed), o.left))
			p.Data = b[consumed:end:end]
			o.left -= uint32(len(p.Data))
			if o.left == 0 {
				o.phase, p.Whole = phaseDataEnd, begun
			}
			return p, end, nil
		case phasePlain:
			return Part{Data: b[consumed:]}, len(b), nil
		}
		if err := o.mark(b[consumed]); err != nil {
			return Part{}, consumed, err
		}
		consumed++
		begun = o.phase == phaseData
	}
	return Part{}, consumed, nil
}

// Ended is true behind the last byte of a chunked body.
func (o *Body) Ended() bool { return o.phase == phaseEnded }

// mark takes one byte of the coding.
func (o *Body) mark(c byte) error {
	switch o.phase {
	case phaseFirst, phaseSize:
		return o.size(c)
	case phaseExtension:
		if c == '\r' {
			o.phase = phaseSizeEnd
		}
		return nil
	case phaseTrailer:
		o.phase = phaseTrailerLine
		if c == '\r' {
			o.phase = phaseLast
		}
		return nil
	case phaseTrailerLine:
		if c == '\n' {
			o.phase = phaseTrailer
		}
		return nil
	case phaseEnded:
		return errAfter
	}
	return o.end(c)
}

// size takes a byte of a chunk's size.
func (o *Body) size(c byte) error {
	digit, ok := hexadecimal(c)
	switch {
	case ok && o.left > math.MaxInt32>>4:
		return errLarge
	case ok:
		o.left, o.phase = o.left<<4|digit, phaseSize
	case o.phase == phaseFirst:
		return errSize
	case c == '\r':
		o.phase = phaseSizeEnd
	case c == ';' || c == ' ' || c == '\t':
		o.phase = phaseExtension
	default:
		return errSize
	}
	return nil
}

// end takes a byte of which there is only one right one.
func (o *Body) end(c byte) error {
	switch {
	case o.phase == phaseDataEnd && c == '\r':
		o.phase = phaseDataLast
	case o.phase == phaseDataLast && c == '\n':
		*o = Body{}
	case o.phase == phaseSizeEnd && c == '\n' && o.left > 0:
		o.phase = phaseData
	case o.phase == phaseSizeEnd && c == '\n':
		o.phase = phaseTrailer
	case o.phase == phaseLast && c == '\n':
		o.phase = phaseEnded
	default:
		return errEnd
	}
	return nil
}

func hexadecimal(c byte) (uint32, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint32(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint32(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return uint32(c-'A') + 10, true
	}
	return 0, false
}
