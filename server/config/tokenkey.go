package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Sizes of an RSA modulus, in bits. Shorter keys are broken sooner than tokens end (NIST SP 800-131A), longer ones only cost
// time at each connect.
const (
	RSABitsMin = 2048
	RSABitsMax = 8192
)

// RSAKey returns the key of rsa_public_key, nil without one. An error is an *Error whose path is the option in its block.
func (t *Token) RSAKey() (*rsa.PublicKey, error) {
	if t.RSAPublicKey == "" {
		return nil, nil
	}
	const option, other = "rsa_public_key", "put it into ecdsa_public_key if it is an ECDSA key; keys of other kinds are not supported"
	parsed, err := publicKey(option, t.RSAPublicKey)
	if err != nil {
		return nil, err
	}
	k, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, &Error{Path: option, Problem: fmt.Sprintf("holds %s and not an RSA key", kindWord(parsed)), Remedy: other}
	}
	if err := CheckRSAKey(k); err != nil {
		return nil, &Error{Path: option, Problem: "holds " + err.Error(), Remedy: "make another pair: openssl genrsa -out private.pem 2048"}
	}
	return k, nil
}

// ECDSAKey returns the key of ecdsa_public_key, nil without one. Its curve is P-256, P-384 or P-521. An error is an *Error
// whose path is the option in its block.
func (t *Token) ECDSAKey() (*ecdsa.PublicKey, error) {
	if t.ECDSAPublicKey == "" {
		return nil, nil
	}
	const option, other = "ecdsa_public_key", "put it into rsa_public_key if it is an RSA key; keys of other kinds are not supported"
	parsed, err := publicKey(option, t.ECDSAPublicKey)
	if err != nil {
		return nil, err
	}
	k, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, &Error{Path: option, Problem: fmt.Sprintf("holds %s and not an ECDSA key", kindWord(parsed)), Remedy: other}
	}
	switch k.Curve {
	case elliptic.P256(), elliptic.P384(), elliptic.P521():
		return k, nil
	}
	return nil, &Error{Path: option, Problem: "holds a key of the curve " + k.Curve.Params().Name + ", which no algorithm of tokens uses",
		Remedy: "use P-256 (ES256), P-384 (ES384) or P-521 (ES512)"}
}

// CheckRSAKey reports an RSA key that is too weak, or too expensive to verify with. The error reads on from "holds".
func CheckRSAKey(k *rsa.PublicKey) error {
	switch bits := k.N.BitLen(); {
	case bits < RSABitsMin:
		return fmt.Errorf("an RSA key of %d bits, and fewer than %d are not safe", bits, RSABitsMin)
	case bits > RSABitsMax:
		return fmt.Errorf("an RSA key of %d bits, and more than %d take too long to verify with", bits, RSABitsMax)
	case k.N.Bit(0) == 0:
		return errors.New("an RSA key whose modulus is even, which is none")
	case k.E < 3 || k.E&1 == 0 || int64(k.E) > 1<<31-1:
		return fmt.Errorf("an RSA key with the exponent %d, which is not an odd number from 3 to 2147483647", k.E)
	}
	return nil
}

// publicKey parses a public key in PEM: PKIX ("PUBLIC KEY") or PKCS #1 ("RSA PUBLIC KEY"). The value may be the text itself,
// base64 of it, or the path of a file. No error repeats it: it may be a private key that was put here by mistake.
func publicKey(option, value string) (any, error) {
	text, err := PEMData(value).Load()
	if err != nil {
		return nil, &Error{Path: option, Problem: err.Error(), Remedy: "give the public key as PEM text with its line breaks, or the path of its file"}
	}
	block, _ := pem.Decode(text)
	var key any
	switch {
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, &Error{Path: option, Problem: "holds a private key", Remedy: "keep that where tokens are signed, and put the public key here: openssl pkey -in private.pem -pubout"}
	case block.Type == "CERTIFICATE":
		return nil, &Error{Path: option, Problem: "holds a certificate", Remedy: "put the public key that is in it here: openssl x509 -in cert.pem -pubkey -noout"}
	default:
		err = fmt.Errorf("a PEM block %q is not a public key", block.Type)
	}
	if err != nil {
		return nil, &Error{Path: option, Problem: "holds no public key: " + err.Error(), Remedy: "give the public key in PEM: openssl pkey -in private.pem -pubout"}
	}
	return key, nil
}

// kindWord names the kind of a key.
func kindWord(key any) string {
	switch key.(type) {
	case *rsa.PublicKey:
		return "an RSA key"
	case *ecdsa.PublicKey:
		return "an ECDSA key"
	}
	return "a key of another kind"
}

// CheckSecret reports an HMAC key that is public: everybody who has it could sign. The error reads on from the option.
func CheckSecret(secret string) error {
	if block, _ := pem.Decode([]byte(secret)); block != nil && (strings.HasSuffix(block.Type, "PUBLIC KEY") || block.Type == "CERTIFICATE") ||
		strings.HasPrefix(strings.TrimSpace(secret), "-----BEGIN PUBLIC KEY") {
		return errors.New("this is a public key; HMAC needs a secret that only your backend knows")
	}
	return nil
}
