package ws

import (
	"crypto/sha1"
	"encoding/base64"
	"strconv"
)

const (
	// Version is the one version of the protocol that there is.
	Version = "13"
	// ProtocolsBytesMax and ProtocolsMax bound the subprotocols that a client may
	// offer: together in bytes, and in number.
	ProtocolsBytesMax = 4096
	ProtocolsMax      = 100

	keySize    = 24 // 16 bytes in base64, of which the last two characters are padding
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// HandshakeError is why there was no upgrade: the HTTP status and a line for the body.
type HandshakeError struct {
	Status int
	Reason string
}

func (e *HandshakeError) Error() string {
	return "websocket handshake: " + e.Reason + " (" + strconv.Itoa(e.Status) + ")"
}

var (
	errMethod        = &HandshakeError{405, "method is not GET"}
	errProto         = &HandshakeError{505, "HTTP version is not 1.1"}
	errHost          = &HandshakeError{400, "no Host header"}
	errBody          = &HandshakeError{400, "upgrade request with a body"}
	errConnection    = &HandshakeError{400, "Connection header without upgrade, or with close"}
	errUpgrade       = &HandshakeError{400, "Upgrade header without websocket"}
	errVersion       = &HandshakeError{426, "Sec-WebSocket-Version is not 13"}
	errKey           = &HandshakeError{400, "Sec-WebSocket-Key is not 16 bytes in base64"}
	errProtocolForm  = &HandshakeError{400, "malformed Sec-WebSocket-Protocol"}
	errProtocolCount = &HandshakeError{400, "too many subprotocols"}
)

// UpgradeRequest is what a request head says about the upgrade, header values as they
// came. Those of a header that came more than once are joined by commas (RFC 9110
// section 5.3); a repeated key or version then fails the check, as it must.
//
// Offers of extensions have no place here: see ChooseDeflate. A server declines them by
// not mentioning them (RFC 6455 section 9.1).
type UpgradeRequest struct {
	Method, Proto, Host string
	Connection, Upgrade string
	Version, Key        string
	Body                bool // a Transfer-Encoding, or a Content-Length other than 0
}

// Check tells whether the upgrade may go on (RFC 6455 section 4.2.1). err is a
// *HandshakeError; the conn must be closed after its response, because a proxy in
// front may already take what follows for ws frames.
func (r *UpgradeRequest) Check() error {
	switch {
	case r.Method != "GET":
		return errMethod
	case r.Proto != "HTTP/1.1":
		return errProto
	case r.Host == "":
		return errHost
	case r.Body:
		return errBody
	case !HasToken(r.Connection, "upgrade"), HasToken(r.Connection, "close"):
		return errConnection
	case !HasToken(r.Upgrade, "websocket"):
		return errUpgrade
	}
	if err := CheckVersion(r.Version); err != nil {
		return err
	}
	return CheckKey(r.Key)
}

// IsUpgrade tells whether the values of the Connection and Upgrade headers ask for a
// WebSocket at all.
func IsUpgrade(connection, upgrade string) bool {
	return HasToken(connection, "upgrade") && HasToken(upgrade, "websocket")
}

// CheckVersion checks a Sec-WebSocket-Version; err is a *HandshakeError with status 426.
func CheckVersion(version string) error {
	if version != Version {
		return errVersion
	}
	return nil
}

// CheckKey checks a Sec-WebSocket-Key: 16 bytes in base64, 24 characters. err is a
// *HandshakeError with status 400.
func CheckKey(key string) error {
	if len(key) != keySize || key[keySize-2:] != "==" {
		return errKey
	}
	for i := range keySize - 2 {
		c := key[i]
		if !isLetter(c) && !isDigit(c) && c != '+' && c != '/' {
			return errKey
		}
	}
	return nil
}

// AcceptKey is the Sec-WebSocket-Accept that answers key.
func AcceptKey(key string) string { return string(appendAccept(nil, key)) }

func appendAccept(dst []byte, key string) []byte {
	var room [keySize + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(room[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// HasToken reports whether the comma-separated list holds token, which is given in
// lower case, in any case.
func HasToken(list, token string) bool {
	for item, rest := nextItem(list); ; item, rest = nextItem(rest) {
		if equalFold(item, token) {
			return true
		}
		if rest == "" {
			return false
		}
	}
}

// Choose picks the subprotocol to echo. offers is the value of
// Sec-WebSocket-Protocol; of those offered, the one that stands first in supported is
// taken, "" if there is none. The result is an element of supported and does not alias
// offers. err is a *HandshakeError with status 400: an offer that is not a token
// (RFC 9110 section 5.6.2: visible ASCII without separators), or more than
// ProtocolsMax of them, or more than ProtocolsBytesMax bytes.
func Choose(offers string, supported []string) (protocol string, err error) {
	if len(offers) > ProtocolsBytesMax {
		return "", errProtocolCount
	}
	best := len(supported)
	for count := 0; offers != ""; {
		var offer string
		offer, offers = nextItem(offers)
		if offer == "" {
			continue // RFC 9110 section 5.6.1: empty elements mean nothing
		}
		if count++; count > ProtocolsMax {
			return "", errProtocolCount
		}
		if !isToken(offer) {
			return "", errProtocolForm
		}
		for i, s := range supported[:best] {
			if s == offer {
				best = i
				break
			}
		}
	}
	if best == len(supported) {
		return "", nil
	}
	return supported[best], nil
}

// UpgradeResponseBytes is enough for an upgrade response without protocol and extensions.
const UpgradeResponseBytes = 144

// AppendUpgradeResponse appends the whole head that accepts the upgrade. key has passed
// CheckKey; protocol is what Choose chose, "" to echo none; extensions is what
// ChooseDeflate answered, "" for none.
func AppendUpgradeResponse(dst []byte, key, protocol, extensions string) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendAccept(dst, key)
	if protocol != "" {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, protocol...)
	}
	if extensions != "" {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = append(dst, extensions...)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendRefusal appends the whole HTTP response that says e, after which the conn is
// to be closed.
func AppendRefusal(dst []byte, e *HandshakeError) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	switch e.Status {
	case 405:
		dst = append(dst, " Method Not Allowed\r\nConnection: close\r\nAllow: GET"...)
	case 426:
		dst = append(dst, " Upgrade Required\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "+Version...)
	case 505:
		dst = append(dst, " HTTP Version Not Supported\r\nConnection: close"...)
	default:
		dst = append(dst, " Bad Request\r\nConnection: close"...)
	}
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(e.Reason)+1), 10)
	dst = append(dst, "\r\n\r\n"...)
	dst = append(dst, e.Reason...)
	return append(dst, '\n')
}
