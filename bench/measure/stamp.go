package measure

import (
	"bytes"
	"errors"
	"fmt"
)

// A stamped payload is a JSON object of an exact size whose first member tells its number and when it was due:
//
//	{"stb":"0000000042.0000123456789012345","p":"xxxxxxxx"}
//
// All digits have fixed places, so that a publication can be stamped anew in place and found inside a ws frame of any form:
// JSON and Protobuf both carry the payload as it is.
const (
	marker       = `{"stb":"`
	numberDigits = 10
	timeDigits   = 19
	stampBytes   = len(marker) + numberDigits + 1 + timeDigits

	// PayloadBytesMin is the smallest payload: the stamp and an empty pad.
	PayloadBytesMin = stampBytes + len(`","p":""}`)
	// NumberMax is the largest number that a stamp holds.
	NumberMax = 1<<32 - 2
)

// Stamp is what a payload tells of itself.
type Stamp struct {
	Number uint32 // from 1
	Due    int64  // nanoseconds of CLOCK_MONOTONIC, which all processes of one machine share
}

// ErrNoStamp says that some bytes hold no whole stamp.
var ErrNoStamp = errors.New("no stamp in these bytes")

// AppendPayload appends a stamped payload of exactly size bytes to dst.
func AppendPayload(dst []byte, s Stamp, size int) ([]byte, error) {
	pad := size - PayloadBytesMin
	if pad < 0 {
		return dst, fmt.Errorf("a payload of %d bytes cannot hold the number and time of a publication: the least is %d", size, PayloadBytesMin)
	}
	at := len(dst)
	dst = append(dst, marker...)
	dst = append(dst, "0000000000.0000000000000000000"...)
	dst = append(dst, `","p":"`...)
	for range pad {
		dst = append(dst, 'x')
	}
	dst = append(dst, `"}`...)
	put(dst[at:], s)
	return dst, nil
}

// Restamp writes s over the first stamp in b.
func Restamp(b []byte, s Stamp) error {
	at := bytes.Index(b, []byte(marker))
	if at < 0 || len(b)-at < stampBytes {
		return ErrNoStamp
	}
	put(b[at:], s)
	return nil
}

// FindStamp reads the first stamp in b. ok is false if there is none.
func FindStamp(b []byte) (s Stamp, ok bool) {
	at := bytes.Index(b, []byte(marker))
	if at < 0 || len(b)-at < stampBytes {
		return Stamp{}, false
	}
	b = b[at+len(marker):]
	number, ok := digits(b[:numberDigits])
	if !ok || b[numberDigits] != '.' || number < 1 || number > NumberMax {
		return Stamp{}, false
	}
	due, ok := digits(b[numberDigits+1 : numberDigits+1+timeDigits])
	return Stamp{Number: uint32(number), Due: due}, ok
}

// put writes the digits of s behind the marker that b begins with.
func put(b []byte, s Stamp) {
	b = b[len(marker):]
	putDigits(b[:numberDigits], int64(s.Number))
	putDigits(b[numberDigits+1:numberDigits+1+timeDigits], s.Due)
}

func putDigits(b []byte, v int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
}

// digits reads a number that fills b. Nineteen digits can pass the largest int64; such a sum turns negative and is refused.
func digits(b []byte) (int64, bool) {
	var v int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, v >= 0
}
