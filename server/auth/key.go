package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

// kind is a kind of key. An algorithm works with one kind and with no other, so that no key ever does what it was not made
// for: an RSA key is no HMAC secret, and a key of another curve is no key.
type kind uint8

const (
	kindNone kind = iota
	kindHMAC
	kindRSA
	kindP256
	kindP384
	kindP521
	kindEd25519
)

// algorithm is one way to sign (RFC 7518 section 3.1, RFC 8037).
type algorithm struct {
	name   string
	method jwt.SigningMethod
	kind   kind
}

// algorithms are all that a token may be signed with.
var algorithms = func() map[string]algorithm {
	m := map[string]algorithm{}
	for _, a := range []struct {
		method jwt.SigningMethod
		kind   kind
	}{
		{jwt.SigningMethodHS256, kindHMAC}, {jwt.SigningMethodHS384, kindHMAC}, {jwt.SigningMethodHS512, kindHMAC},
		{jwt.SigningMethodRS256, kindRSA}, {jwt.SigningMethodRS384, kindRSA}, {jwt.SigningMethodRS512, kindRSA},
		{jwt.SigningMethodES256, kindP256}, {jwt.SigningMethodES384, kindP384}, {jwt.SigningMethodES512, kindP521},
		{jwt.SigningMethodEdDSA, kindEd25519},
	} {
		m[a.method.Alg()] = algorithm{a.method.Alg(), a.method, a.kind}
	}
	return m
}()

// findAlgorithm returns the algorithm that a header names.
func findAlgorithm(name string) (algorithm, error) {
	a, ok := algorithms[name]
	switch {
	case ok:
		return a, nil
	case isNone(name):
		return a, invalid(whyNone)
	}
	return a, invalid(fmt.Sprintf("unknown algorithm %q: sign with HS256, RS256, ES256 or one of their longer kin", clip(name)))
}

const whyNone = "unsigned tokens (alg none) are never accepted"

// isNone reports the algorithm that signs nothing, in any spelling.
func isNone(alg string) bool { return strings.EqualFold(alg, "none") }

// key is one key.
type key struct {
	value      any      // *macs, or as the method wants it: *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	print      [32]byte // of a public key: the SHA-256 of its PKIX form
	option     string   // that it comes from, without its block; empty for a key of a JWKS
	validUntil int64    // unix seconds; 0: no end
}

func newKey(value any, option string, validUntil int64) key {
	k := key{value: value, option: option, validUntil: validUntil}
	if der, err := x509.MarshalPKIXPublicKey(value); err == nil { // not for a secret
		k.print = sha256.Sum256(der)
	}
	return k
}

// kind returns the kind of the key, kindNone for one that nothing uses.
func (k *key) kind() kind {
	switch v := k.value.(type) {
	case *macs:
		return kindHMAC
	case *rsa.PublicKey:
		return kindRSA
	case ed25519.PublicKey:
		return kindEd25519
	case *ecdsa.PublicKey:
		return curveKind(v.Curve)
	}
	return kindNone
}

func curveKind(c elliptic.Curve) kind {
	switch c {
	case elliptic.P256():
		return kindP256
	case elliptic.P384():
		return kindP384
	case elliptic.P521():
		return kindP521
	}
	return kindNone
}

// keySet holds the keys of a token block by their kind. A kind that has none verifies nothing: the header of a token chooses
// an entry and can never bring another key under it.
type keySet struct {
	path string // of the token block, for reasons that name an option
	keys map[kind][]key
}

// newKeySet reads the keys of the token block at path.
func newKeySet(path string, c *config.Token) (keySet, error) {
	set := keySet{path: path, keys: map[kind][]key{}}
	for _, k := range []struct {
		option, secret string
		validUntil     int64
	}{
		{"hmac_secret_key", c.HMACSecretKey, 0},
		{"hmac_previous_secret_key", c.HMACPreviousSecretKey, c.HMACPreviousSecretKeyValidUntil},
	} {
		if err := config.CheckSecret(k.secret); err != nil {
			return keySet{}, fmt.Errorf("%s.%s: %w", path, k.option, err)
		}
		// An empty HMAC key would verify what anyone signs with an empty key.
		if k.secret != "" {
			set.add(newKey(&macs{secret: []byte(k.secret)}, k.option, k.validUntil))
		}
	}
	r, err := c.RSAKey()
	if err != nil {
		return keySet{}, fmt.Errorf("%s.%w", path, err)
	}
	if r != nil {
		set.add(newKey(r, "rsa_public_key", 0))
	}
	e, err := c.ECDSAKey()
	if err != nil {
		return keySet{}, fmt.Errorf("%s.%w", path, err)
	}
	if e != nil {
		set.add(newKey(e, "ecdsa_public_key", 0))
	}
	return set, nil
}

func (set *keySet) add(k key) {
	set.keys[k.kind()] = append(set.keys[k.kind()], k)
}

// verify checks a signature with the keys for its algorithm. The error is the reason and what to do about it.
func (set *keySet) verify(s *signature, memo *memo, now time.Time) error {
	keys := set.keys[s.alg.kind]
	if len(keys) == 0 {
		return invalid(set.whyNoKey(s.alg))
	}
	ended := false
	for i := range keys {
		k := &keys[i]
		if k.validUntil != 0 && now.Unix() > k.validUntil {
			ended = true
			continue
		}
		if s.by(k, memo) {
			return nil
		}
	}
	option := set.path + "." + keys[0].option
	switch {
	case ended:
		return invalid("the signature does not match " + option + ", and the time of hmac_previous_secret_key is over (hmac_previous_secret_key_valid_until)")
	case s.alg.kind == kindHMAC:
		return invalid("the signature does not match: sign with the key in " + option)
	}
	return invalid("the signature does not match: sign with the private key that belongs to " + option)
}

// whyNoKey says what is missing for an algorithm.
func (set *keySet) whyNoKey(a algorithm) string {
	why := "no key for " + a.name + ": set " + set.path
	switch a.kind {
	case kindHMAC:
		return why + ".hmac_secret_key to the secret that signs your tokens"
	case kindRSA:
		return why + ".rsa_public_key to the public key of the pair that signs your tokens"
	case kindEd25519:
		return why + ".jwks_public_endpoint; keys for EdDSA come from there only"
	}
	return why + ".ecdsa_public_key to the public key of the pair that signs your tokens, of the curve that " + a.name + " uses"
}
