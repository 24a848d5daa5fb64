package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Limits of tokens, checked before anything is decoded.
const (
	// TokenBytesMax is the longest token. It leaves 4 KiB of the default message size limit to the rest of a connect.
	TokenBytesMax = 60 << 10
	// HeaderBytesMax is the longest header of a token, encoded. Some carry a chain of certificates.
	HeaderBytesMax = 8 << 10
)

var (
	// ErrExpired: the token is no longer, or not yet, valid (exp, nbf).
	ErrExpired = errors.New("token expired")
	// ErrInvalid: everything else that may be wrong with a token. The text of the wrapping error is for the log.
	ErrInvalid = errors.New("invalid token")
)

// invalid wraps ErrInvalid with why, for the log of the server. The client learns only that the token is invalid.
func invalid(why string) error { return fmt.Errorf("%w: %s", ErrInvalid, why) }

// clip shortens text of strangers for the log.
func clip(s string) string {
	const bytesMax = 64
	if len(s) > bytesMax {
		return s[:bytesMax] + "…"
	}
	return s
}

// base64url is the encoding of tokens: no padding, no stray bits at the end.
var base64url = base64.RawURLEncoding.Strict()

// parts is a token cut in three. They alias the token and are still encoded.
type parts struct {
	header, claims, signature string

	signed string // header and claims with the dot between
}

// split cuts a token.
func split(token string) (parts, error) {
	if len(token) > TokenBytesMax {
		return parts{}, invalid(fmt.Sprintf("it is longer than %d bytes", TokenBytesMax))
	}
	header, rest, ok1 := strings.Cut(token, ".")
	claims, signature, ok2 := strings.Cut(rest, ".")
	switch {
	case !ok1 || !ok2:
		return parts{}, invalid("it does not have three parts between dots")
	case strings.IndexByte(signature, '.') >= 0:
		return parts{}, invalid("it has more than three parts: encrypted tokens (JWE) are not accepted, sign it in place")
	case len(header) > HeaderBytesMax:
		return parts{}, invalid(fmt.Sprintf("its header is longer than %d bytes", HeaderBytesMax))
	case strings.IndexByte(token, '\n') >= 0 || strings.IndexByte(token, '\r') >= 0:
		// The decoder of base64 would skip them, so that one token had many spellings.
		return parts{}, invalid("there is a line break in it")
	}
	return parts{header, claims, signature, token[:len(header)+1+len(claims)]}, nil
}

// readHeader returns the algorithm that a decoded header names. Other fields matter only if they change how the token is to
// be read, and are refused then (RFC 7515 section 4.1.11, RFC 7797).
func readHeader(b []byte) (alg string, err error) {
	if err := checkObject(b); err != nil {
		return "", invalid("its header " + err.Error())
	}
	var seen fields
	for o := members(b); ; {
		name, value, ok := o.next()
		if !ok {
			break
		}
		switch string(name) {
		case "alg":
			if !seen.first(0) || value[0] != '"' {
				return "", invalid("its header does not have one alg")
			}
			alg = unquote(value)
		case "crit":
			return "", invalid("its header has critical extensions (crit), none of which is known")
		case "b64":
			if string(value) != "true" {
				return "", invalid("its header asks for claims that are not encoded (b64)")
			}
		case "enc", "zip":
			return "", invalid("its header is that of an encrypted token (JWE)")
		}
	}
	if !seen.has(0) {
		return "", invalid("its header does not have one alg")
	}
	return alg, nil
}

// fields remembers which of up to 32 members were met.
type fields uint32

// first notes field i and reports whether it is new.
func (f *fields) first(i int) bool {
	met := f.has(i)
	*f |= 1 << i
	return !met
}

func (f fields) has(i int) bool { return f>>i&1 != 0 }

// Payload returns the claims of a token as they stand in it, verified or not.
func Payload(token string) ([]byte, error) {
	p, err := split(token)
	if err != nil {
		return nil, err
	}
	claims, err := base64url.DecodeString(p.claims)
	if err != nil {
		return nil, invalid("its claims are not base64url")
	}
	return claims, nil
}
