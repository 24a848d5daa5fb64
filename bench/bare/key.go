package bare

import (
	"bytes"

	"stentor/codec/ws"
)

var (
	headEnds  = []byte("\r\n\r\n")
	keyBegins = []byte("Sec-WebSocket-Key: ")
)

// FindKey is the key in a request head of the generator's clients; ok is false while the head is not whole.
func FindKey(head []byte) (string, bool) {
	if !bytes.Contains(head, headEnds) {
		return "", false
	}
	_, rest, ok := bytes.Cut(head, keyBegins)
	if !ok {
		return "", false
	}
	key, _, ok := bytes.Cut(rest, []byte("\r\n"))
	return string(key), ok && ws.CheckKey(string(key)) == nil
}
