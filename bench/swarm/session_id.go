package swarm

import "encoding/hex"

// session is the secret of an emulated client in 16 bytes. Servers make UUIDs of it, or 32 hexadecimal digits.
type session [16]byte

// The dashes of a UUID, and its length.
var uuidDashes = [...]int{8, 13, 18, 23}

const (
	uuidLength = 36
	hexLength  = 32
)

// parseSession packs a secret. ok is false for one that does not come out of it as it went in.
func parseSession(text string) (s session, dashes, ok bool) {
	digits := make([]byte, 0, uuidLength)
	switch len(text) {
	case hexLength:
		digits = append(digits, text...)
	case uuidLength:
		at := 0
		for _, dash := range uuidDashes {
			digits = append(digits, text[at:dash]...)
			at = dash + 1
		}
		digits = append(digits, text[at:]...)
		dashes = true
	}
	if n, err := hex.Decode(s[:], digits); err != nil || n != len(s) {
		return s, dashes, false
	}
	return s, dashes, string(s.append(nil, dashes)) == text
}

// append appends the secret as the server wrote it.
func (s session) append(dst []byte, dashes bool) []byte {
	if !dashes {
		return hex.AppendEncode(dst, s[:])
	}
	var digits [hexLength]byte
	hex.Encode(digits[:], s[:])
	at := 0
	for i, dash := range uuidDashes {
		end := dash - i
		dst = append(append(dst, digits[at:end]...), '-')
		at = end
	}
	return append(dst, digits[at:]...)
}
