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

// decodeSignature decodes header and signature, one after the other, into buffer. The signature stays there. Of a header that is the
// same as known, which may be nil, it is known what it says.
func (p *parts) decodeSignature(buffer []byte, known *knownHeader) (s signature, err error) {
	if known != nil && known.text == p.header {
		s.alg, s.kid = known.alg, known.kid
	} else if s.alg, s.kid, err = p.decodeHeader(buffer); err != nil {
		return s, err
	}
	s.signed = p.signed
	if s.bytes, err = base64url.AppendDecode(buffer, []byte(p.signature)); err != nil {
		return s, invalid("its signature is not base64url")
	}
	return s, nil
}

// decodeHeader decodes the header into buffer.
func (p *parts) decodeHeader(buffer []byte) (alg algorithm, kid string, err error) {
	text, err := base64url.AppendDecode(buffer, []byte(p.header))
	if err != nil {
		return alg, "", invalid("its header is not base64url")
	}
	h, err := readHeader(text)
	if err != nil {
		return alg, "", err
	}
	alg, err = findAlgorithm(h.alg)
	return alg, h.kid, err
}

// knownHeader is the header of a token that was good, and what it says.
type knownHeader struct {
	text string // encoded
	alg  algorithm
	kid  string
}

// header is what counts of a token's header.
type header struct {
	alg string
	kid string // empty: none
}

// readHeader reads a decoded header. Other fields matter only if they change how the token is to be read, and are refused
// then (RFC 7515 section 4.1.11, RFC 7797).
func readHeader(b []byte) (h header, err error) {
	if err := checkObject(b); err != nil {
		return h, invalid("its header " + err.Error())
	}
	const fieldAlg, fieldKid = 0, 1
	var seen fields
	for o := members(b); ; {
		name, value, ok := o.next()
		if !ok {
			break
		}
		switch string(name) {
		case "alg":
			if !seen.first(fieldAlg) || value[0] != '"' {
				return h, invalid("its header does not have one alg")
			}
			h.alg = unquote(value)
		case "kid":
			if !seen.first(fieldKid) || value[0] != '"' || len(value) > KeyIDBytesMax+2 {
				return h, invalid(fmt.Sprintf("its header has a kid that is not one string of at most %d bytes", KeyIDBytesMax))
			}
			h.kid = unquote(value)
		case "crit":
			return h, invalid("its header has critical extensions (crit), none of which is known")
		case "b64":
			if string(value) != "true" {
				return h, invalid("its header asks for claims that are not encoded (b64)")
			}
		case "enc", "zip":
			return h, invalid("its header is that of an encrypted token (JWE)")
		}
	}
	if !seen.has(fieldAlg) {
		return h, invalid("its header does not have one alg")
	}
	return h, nil
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
