package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"stentor/server/config"
)

// Limits of a JWKS document.
const (
	// DocumentBytesMax is the longest document, uncompressed.
	DocumentBytesMax = 256 << 10
	// DocumentKeysMax is how many keys of a document are looked at.
	DocumentKeysMax = 256
	// KeyIDBytesMax is the longest kid, in a document and in the header of a token.
	KeyIDBytesMax = 256
)

// keyID names a key of a document. Keys of different kinds may share a kid (RFC 7517 section 4.5).
type keyID struct {
	kid  string
	kind kind
}

// webKey is one key of a document.
type webKey struct {
	key  key
	alg  string // the only algorithm that it is for; empty: all of its kind
	flaw string // why it cannot be used; reads on from "it"
}

// jsonKey is the text of a key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
type jsonKey struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Kid    string   `json:"kid"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
}

// parseKeys reads a JWKS document. Keys that are not understood are left out, as RFC 7517 section 5 asks; those that have a
// name and a known kind and still cannot be used are kept with their flaw, for the reason that a token of theirs is refused.
func parseKeys(document []byte) (map[keyID]webKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, errors.New("it is not a JSON object with a list of keys")
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("it has no keys")
	}
	keys := map[keyID]webKey{}
	for _, text := range set.Keys[:min(len(set.Keys), DocumentKeysMax)] {
		var j jsonKey
		if json.Unmarshal(text, &j) != nil || j.Kid == "" || len(j.Kid) > KeyIDBytesMax {
			continue
		}
		id := keyID{j.Kid, j.kind()}
		if id.kind == kindNone {
			continue
		}
		if before, ok := keys[id]; !ok || before.flaw != "" {
			keys[id] = j.webKey()
		}
	}
	return keys, nil
}

// kind returns the kind of key that the text claims to be. Symmetric keys (oct) are none: a document that everybody can read
// holds no secrets.
func (j *jsonKey) kind() kind {
	switch {
	case j.Kty == "RSA":
		return kindRSA
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		return kindEd25519
	case j.Kty == "EC":
		return curveKind(curve(j.Crv))
	}
	return kindNone
}

// curve returns the curve of that name, nil for others than P-256, P-384 and P-521.
func curve(name string) elliptic.Curve {
	switch name {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

// webKey checks a key and decodes it.
func (j *jsonKey) webKey() webKey {
	switch {
	case j.Use != "" && j.Use != "sig":
		return webKey{flaw: fmt.Sprintf("is not for signatures (use is %q)", clip(j.Use))}
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return webKey{flaw: "is not for verifying (key_ops)"}
	}
	var value any
	var err error
	switch j.Kty {
	case "RSA":
		value, err = j.rsa()
	case "EC":
		value, err = j.ecdsa()
	default:
		value, err = j.ed25519()
	}
	if err != nil {
		return webKey{flaw: err.Error()}
	}
	return webKey{key: newKey(value, "", 0), alg: j.Alg}
}

func (j *jsonKey) rsa() (*rsa.PublicKey, error) {
	n, err1 := base64url.DecodeString(j.N)
	e, err2 := base64url.DecodeString(j.E)
	exponent := new(big.Int).SetBytes(e)
	if err1 != nil || err2 != nil || exponent.BitLen() > 31 {
		return nil, errors.New("is not an RSA key: n and e must be base64url, and e less than 2147483648")
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
	if err := config.CheckRSAKey(k); err != nil {
		return nil, fmt.Errorf("is %w", err)
	}
	return k, nil
}

func (j *jsonKey) ecdsa() (*ecdsa.PublicKey, error) {
	c := curve(j.Crv)
	size := (c.Params().BitSize + 7) / 8
	x, err1 := base64url.DecodeString(j.X)
	y, err2 := base64url.DecodeString(j.Y)
	if err1 != nil || err2 != nil || len(x) != size || len(y) != size {
		return nil, fmt.Errorf("is not a point of %s: x and y must be %d bytes each, in base64url", j.Crv, size)
	}
	k, err := ecdsa.ParseUncompressedPublicKey(c, slices.Concat([]byte{4}, x, y)) // SEC 1 section 2.3.3
	if err != nil {
		return nil, fmt.Errorf("is not a point of %s", j.Crv)
	}
	return k, nil
}

func (j *jsonKey) ed25519() (ed25519.PublicKey, error) {
	x, err := base64url.DecodeString(j.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("is not an Ed25519 key: x must be %d bytes in base64url", ed25519.PublicKeySize)
	}
	return x, nil
}
