package delta

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed says that a patch is not one, or was not made for this base.
var ErrMalformed = errors.New("delta: malformed patch, or another base than it was made for")

// ErrTooLong says that the target would be longer than the caller allows.
var ErrTooLong = errors.New("delta: the target is longer than allowed")

// Apply appends the target that patch makes of base to dst: at most sizeMax bytes, whatever the patch says. On an error dst comes
// back as it was. Base and patch must not overlap the room behind dst.
func Apply(dst, base, patch []byte, sizeMax int) ([]byte, error) {
	r := reader{rest: patch}
	size := r.int('\n')
	if r.bad {
		return dst, ErrMalformed
	}
	if int64(size) > int64(sizeMax) {
		return dst, ErrTooLong
	}
	out, start := dst, len(dst)
	for {
		n, op := r.command()
		switch op {
		case '@':
			from := r.int(',')
			if r.bad || uint64(from)+uint64(n) > uint64(len(base)) {
				return dst, ErrMalformed
			}
			out = append(out, base[from:uint64(from)+uint64(n)]...)
		case ':':
			if uint64(n) > uint64(len(r.rest)) {
				return dst, ErrMalformed
			}
			out = append(out, r.rest[:n]...)
			r.rest = r.rest[n:]
		case ';':
			if target := out[start:]; len(r.rest) > 0 || uint64(len(target)) != uint64(size) || checksum(target) != n {
				return dst, ErrMalformed
			}
			return out, nil
		default:
			return dst, ErrMalformed
		}
		if uint64(len(out)-start) > uint64(size) {
			return dst, ErrMalformed
		}
	}
}

// reader takes a patch apart. What is wrong with it is remembered in bad.
type reader struct {
	rest []byte
	bad  bool
}

// command reads an integer and the byte after it, 0 when there is none.
func (r *reader) command() (n uint32, op byte) {
	var v uint64
	i := 0
	for ; i < len(r.rest); i++ {
		d := values[r.rest[i]]
		if d < 0 {
			break
		}
		if v = v<<6 | uint64(d); v > 1<<32-1 {
			i = 0
			break
		}
	}
	if i == 0 || i == len(r.rest) {
		r.bad = true
		return 0, 0
	}
	op = r.rest[i]
	r.rest = r.rest[i+1:]
	return uint32(v), op
}

// int reads an integer that end follows.
func (r *reader) int(end byte) uint32 {
	n, op := r.command()
	r.bad = r.bad || op != end
	return n
}

// alphabet are the digits of base 64, in the order of their values, which is that of ASCII.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

// values are the values of digits, -1 for what is none.
var values = func() (v [256]int8) {
	for i := range v {
		v[i] = -1
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = int8(i)
	}
	return v
}()

func appendInt(dst []byte, v uint32) []byte {
	for n := digits(int(v)) - 1; n >= 0; n-- {
		dst = append(dst, alphabet[v>>(6*n)&63])
	}
	return dst
}

// digits is how many digits v has.
func digits(v int) int {
	n := 1
	for ; v >= 64; v >>= 6 {
		n++
	}
	return n
}

// checksum is the sum of b as big-endian words, with zeros behind its end.
func checksum(b []byte) (sum uint32) {
	for ; len(b) >= 4; b = b[4:] {
		sum += binary.BigEndian.Uint32(b)
	}
	var tail [4]byte
	copy(tail[:], b)
	return sum + binary.BigEndian.Uint32(tail[:])
}
