package ws

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"
)

// ResponseBytesMax is how long the head of a server's answer may be for
// ParseUpgradeResponse.
const ResponseBytesMax = 16 << 10

// AppendClientFrame appends a whole ws frame of a client to dst: payload under mask.
func AppendClientFrame(dst []byte, op OpCode, fin bool, mask [4]byte, payload []byte) []byte {
	dst = appendHeader(dst, op, fin, maskBit, len(payload))
	dst = append(dst, mask[:]...)
	at := len(dst)
	dst = append(dst, payload...)
	Unmask(dst[at:], mask, 0)
	return dst
}

// AppendClientClose appends a close frame of a client to dst, under the rules of
// AppendClose.
func AppendClientClose(dst []byte, mask [4]byte, code uint16, reason string) []byte {
	var room [ControlBytesMax]byte
	return AppendClientFrame(dst, OpClose, true, mask, appendCloseBody(room[:0], code, reason))
}

// ClientRequest asks for an upgrade. The strings go into the head as they are.
type ClientRequest struct {
	Host, Target string
	Key          string // see NewKey
	Protocols    string // "a, b"; none if empty
	Origin       string // none if empty
	Header       string // further lines, each with its CRLF
}

// NewKey makes a random Sec-WebSocket-Key.
func NewKey() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails: see its documentation
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// Append appends the whole request head to dst.
func (r *ClientRequest) Append(dst []byte) []byte {
	dst = append(dst, "GET "...)
	dst = append(dst, r.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendField(dst, "Host", r.Host)
	dst = appendField(dst, "Upgrade", "websocket")
	dst = appendField(dst, "Connection", "Upgrade")
	dst = appendField(dst, "Sec-WebSocket-Version", Version)
	dst = appendField(dst, "Sec-WebSocket-Key", r.Key)
	if r.Protocols != "" {
		dst = appendField(dst, "Sec-WebSocket-Protocol", r.Protocols)
	}
	if r.Origin != "" {
		dst = appendField(dst, "Origin", r.Origin)
	}
	dst = append(dst, r.Header...)
	return append(dst, "\r\n"...)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// ParseUpgradeResponse reads a server's answer to a request that had key. While its head
// is not complete, ok is false and the rest is zero. Once it is, protocol is the
// subprotocol that the server chose, and ws frames begin at byte n. err is a
// *HandshakeError, with the server's status if it refused or if its 101 is not right
// (RFC 6455 section 4.1), with status 0 if this is not an answer at all.
func ParseUpgradeResponse(b []byte, key string) (protocol string, n int, ok bool, err error) {
	end := bytes.Index(b[:min(len(b), ResponseBytesMax)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= ResponseBytesMax {
			return "", 0, false, &HandshakeError{0, "response head is too long"}
		}
		return "", 0, false, nil
	}
	line, fields, _ := strings.Cut(string(b[:end]), "\r\n")
	status, err := parseStatus(line)
	if err != nil {
		return "", 0, false, err
	}
	if status != 101 {
		return "", 0, false, &HandshakeError{status, "server refused: " + line}
	}
	protocol, err = checkUpgradeFields(fields, key)
	if err != nil {
		return "", 0, false, err
	}
	return protocol, end + 4, true, nil
}

func parseStatus(line string) (int, error) {
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if version != "HTTP/1.1" || len(code) != 3 || err != nil {
		return 0, &HandshakeError{0, "not an HTTP/1.1 response"}
	}
	return int(status), nil
}

// checkUpgradeFields checks the header fields of a 101 and returns the subprotocol.
func checkUpgradeFields(fields, key string) (protocol string, err error) {
	var connection, upgrade, accept bool
	for line := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		switch strings.ToLower(name) {
		case "connection":
			connection = connection || HasToken(value, "upgrade")
		case "upgrade":
			upgrade = equalFold(value, "websocket")
		case "sec-websocket-accept":
			accept = value == AcceptKey(key)
		case "sec-websocket-protocol":
			protocol = value
		case "sec-websocket-extensions":
			return "", &HandshakeError{101, "server chose an extension that was not offered"}
		}
	}
	switch {
	case !connection || !upgrade:
		return "", &HandshakeError{101, "101 without an upgrade to websocket"}
	case !accept:
		return "", &HandshakeError{101, "wrong Sec-WebSocket-Accept"}
	}
	return protocol, nil
}
