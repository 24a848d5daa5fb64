package reactor

// A chunked body (RFC 9112 section 7.1), byte by byte, so that it may arrive in any pieces. Nothing is forgiven: what one reader
// takes for the end of a chunk and another does not is how a second request hides in the first.

// Limits of what comes with the data of a chunked body.
const (
	chunkDigitsMax     = 16      // of one size, leading zeros included
	chunkExtraBytesMax = 8 << 10 // of all chunk extensions and trailers of a body together; both are dropped
)

// bodyError is why a body is refused, and with which status.
type bodyError struct {
	status int
	text   string
}

func (e *bodyError) Error() string { return e.text }

var (
	errBodySize    = &bodyError{413, "request body too large"}
	errExpectation = &bodyError{417, "unsupported expectation"}
	errChunkSize   = &bodyError{400, "malformed chunk size"}
	errChunkLine   = &bodyError{400, "a line of the chunked body does not end with CR LF"}
	errChunkData   = &bodyError{400, "chunk longer than its size"}
	errChunkExtra  = &bodyError{400, "too many chunk extensions or trailers"}
	errChunkText   = &bodyError{400, "control character in a chunk extension or trailer"}
	errChunkField  = &bodyError{400, "malformed trailer field"}
)

// chunkState is what the next byte of a chunked body belongs to.
type chunkState uint8

const (
	inChunkSize      chunkState = iota
	inChunkExtension            // after the first ';' of the line
	inChunkSizeLF
	inChunkData
	inChunkDataCR
	inChunkDataLF
	inTrailerStart // of a trailer field, or of the empty line that ends the body
	inTrailerName
	inTrailerValue
	inTrailerLF
	inBodyLF
	inNothing // the body has ended
)

// chunkReader is how far a chunked body has been read. Its zero value is at the beginning.
type chunkReader struct {
	state  chunkState
	digits uint8  // of the size that is being read
	extra  uint16 // bytes of extensions and trailers so far
	left   uint64 // of the chunk
}

// read appends the data in src to body, which may become bodyMax long. It returns how much of src belongs to the body, and whether
// that is its end.
func (r *chunkReader) read(body, src []byte, bodyMax int) (data []byte, used int, done bool, err error) {
	for used < len(src) && r.state != inNothing {
		if r.state == inChunkData {
			n := int(min(r.left, uint64(len(src)-used)))
			body = append(body, src[used:used+n]...)
			used += n
			if r.left -= uint64(n); r.left == 0 {
				r.state = inChunkDataCR
			}
			continue
		}
		if r.state, err = r.step(src[used]); err != nil {
			return body, used, false, err
		}
		used++
		if r.state == inChunkData && r.left > uint64(max(bodyMax-len(body), 0)) {
			return body, used, false, errBodySize
		}
	}
	return body, used, r.state == inNothing, nil
}

// step takes one byte that is not data and returns what comes next.
func (r *chunkReader) step(b byte) (chunkState, error) {
	switch r.state {
	case inChunkSize:
		return r.sizeByte(b)
	case inChunkExtension:
		return r.extensionByte(b)
	case inChunkSizeLF:
		if r.left == 0 {
			return expect(b, '\n', inTrailerStart, errChunkLine)
		}
		return expect(b, '\n', inChunkData, errChunkLine)
	case inChunkDataCR:
		return expect(b, '\r', inChunkDataLF, errChunkData)
	case inChunkDataLF:
		r.digits, r.left = 0, 0
		return expect(b, '\n', inChunkSize, errChunkLine)
	case inTrailerLF:
		return expect(b, '\n', inTrailerStart, errChunkLine)
	case inBodyLF:
		return expect(b, '\n', inNothing, errChunkLine)
	default:
		return r.trailerByte(b)
	}
}

func expect(b, want byte, next chunkState, err error) (chunkState, error) {
	if b != want {
		return 0, err
	}
	return next, nil
}

func (r *chunkReader) sizeByte(b byte) (chunkState, error) {
	switch {
	case isHex(b) && r.digits < chunkDigitsMax:
		r.digits++
		r.left = r.left<<4 | uint64(hexValue(b))
		return inChunkSize, nil
	case isHex(b) || r.digits == 0:
		return 0, errChunkSize
	case b == '\r':
		return inChunkSizeLF, nil
	case b == '\n':
		return 0, errChunkLine
	case b == ';':
		return inChunkExtension, nil
	}
	return 0, errChunkSize // also for the space before extensions, which RFC 9112 calls bad
}

func (r *chunkReader) extensionByte(b byte) (chunkState, error) {
	if r.extra++; r.extra > chunkExtraBytesMax {
		return 0, errChunkExtra
	}
	switch {
	case b == '\n':
		return 0, errChunkLine
	case b == '\r':
		return inChunkSizeLF, nil
	case isControl(b):
		return 0, errChunkText
	}
	return inChunkExtension, nil
}

func (r *chunkReader) trailerByte(b byte) (chunkState, error) {
	if r.extra++; r.extra > chunkExtraBytesMax {
		return 0, errChunkExtra
	}
	switch {
	case b == '\n':
		return 0, errChunkLine
	case r.state == inTrailerStart && b == '\r':
		return inBodyLF, nil
	case r.state == inTrailerName && b == ':':
		return inTrailerValue, nil
	case r.state != inTrailerValue:
		if classes[b]&inToken == 0 {
			return 0, errChunkField
		}
		return inTrailerName, nil
	case b == '\r':
		return inTrailerLF, nil
	case isControl(b):
		return 0, errChunkText
	}
	return inTrailerValue, nil
}

func isControl(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }

func hexValue(b byte) byte {
	switch {
	case b <= '9':
		return b - '0'
	default:
		return lower(b) - 'a' + 10
	}
}

// AppendChunk appends data as one chunk of a chunked body. There must be some: an empty chunk would be the end.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	const digits = "0123456789abcdef"
	shift := 0
	for len(data)>>shift > 0xf {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[len(data)>>shift&0xf])
	}
	dst = append(dst, '\r', '\n')
	dst = append(dst, data...)
	return append(dst, '\r', '\n')
}

// lastChunk ends a chunked body.
var lastChunk = []byte("0\r\n\r\n")
