package auth

import (
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

// keySet holds the keys that may verify each algorithm. An algorithm that has none verifies nothing: the header of a token
// chooses an entry and can never bring a key of another family under it. Keys of other families become further entries.
type keySet struct {
	path       string // of the token block, for reasons that name an option
	jwks       bool   // keys come from elsewhere, so there are none here
	algorithms map[string]algorithm
}

// algorithm is one way to sign, with the keys to try in turn.
type algorithm struct {
	method jwt.SigningMethod
	keys   []key
}

// key is one key.
type key struct {
	value      any   // as the method wants it: []byte for HMAC
	validUntil int64 // unix seconds; 0: no end
}

// newKeySet builds the keys of the token block at path.
func newKeySet(path string, c *config.Token) (keySet, error) {
	set := keySet{path: path, jwks: c.JWKSPublicEndpoint != "", algorithms: map[string]algorithm{}}
	if set.jwks {
		return set, nil // static keys do not count beside a JWKS
	}
	var keys []key
	for _, k := range []struct {
		option, secret string
		validUntil     int64
	}{
		{"hmac_secret_key", c.HMACSecretKey, 0},
		{"hmac_previous_secret_key", c.HMACPreviousSecretKey, c.HMACPreviousSecretKeyValidUntil},
	} {
		// An empty HMAC key would verify what anyone signs with an empty key.
		if k.secret == "" {
			continue
		}
		// With a public key as its secret, everybody who has the public key could sign.
		if strings.HasPrefix(strings.TrimSpace(k.secret), "-----BEGIN PUBLIC KEY") {
			return keySet{}, fmt.Errorf("%s.%s: this is a public key; HMAC needs a secret that only your backend knows", path, k.option)
		}
		keys = append(keys, key{[]byte(k.secret), k.validUntil})
	}
	if len(keys) > 0 {
		for _, m := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			set.algorithms[m.Alg()] = algorithm{m, keys}
		}
	}
	return set, nil
}

// verify checks the signature of a token whose header names alg. The error is the reason and what to do about it.
func (set *keySet) verify(alg, signed string, signature []byte, now time.Time) error {
	a, ok := set.algorithms[alg]
	if !ok {
		return invalid(set.whyNoKey(alg))
	}
	ended := false
	for _, k := range a.keys {
		if k.validUntil != 0 && now.Unix() > k.validUntil {
			ended = true
			continue
		}
		if a.method.Verify(signed, signature, k.value) == nil {
			return nil
		}
	}
	if ended {
		return invalid("the signature does not match " + set.path + ".hmac_secret_key, and the time of hmac_previous_secret_key is over (hmac_previous_secret_key_valid_until)")
	}
	return invalid("the signature does not match: sign with the key in " + set.path + ".hmac_secret_key")
}

// whyNoKey says what is missing for alg.
func (set *keySet) whyNoKey(alg string) string {
	switch {
	case isNone(alg):
		return whyNone
	case set.jwks:
		return "keys from " + set.path + ".jwks_public_endpoint are not supported by this version, and no other keys count beside it: remove it and set hmac_secret_key"
	case alg == "HS256" || alg == "HS384" || alg == "HS512":
		return "no key for " + alg + ": set " + set.path + ".hmac_secret_key to the secret that signs your tokens"
	case len(alg) == 5 && (alg[:2] == "RS" || alg[:2] == "ES" || alg == "EdDSA"):
		return "no key for " + alg + ": this version verifies HS256, HS384 and HS512 with " + set.path + ".hmac_secret_key"
	}
	return fmt.Sprintf("unknown algorithm %q: sign with HS256, HS384 or HS512", clip(alg))
}

const whyNone = "unsigned tokens (alg none) are never accepted"

// isNone reports the algorithm that signs nothing, in any spelling.
func isNone(alg string) bool { return strings.EqualFold(alg, "none") }
