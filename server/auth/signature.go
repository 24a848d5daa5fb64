package auth

import "github.com/golang-jwt/jwt/v5"

// signature is what the header and the last part of a token say: that signed was signed in this way.
type signature struct {
	alg    algorithm
	kid    string // of the header; empty: none
	signed string // header and claims with the dot between
	bytes  []byte
}

// by reports that k has made the signature. Signatures that memo remembers are not computed again.
func (s *signature) by(k *key, memo *memo) bool {
	if k.kind() != s.alg.kind {
		return false
	}
	if m, ok := k.value.(*macs); ok { // costs no more than to remember it
		return m.verify(s.alg.method.(*jwt.SigningMethodHMAC).Hash, s.signed, s.bytes)
	}
	entry := memo.entry(s, k)
	if memo.has(entry) {
		return true
	}
	if s.alg.method.Verify(s.signed, s.bytes, k.value) != nil {
		return false
	}
	memo.add(entry)
	return true
}
