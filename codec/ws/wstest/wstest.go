// Package wstest is a client's half of WebSocket for tests.
package wstest

import (
	"bufio"
	"io"

	"stentor/codec/ws"
)

// frameBytesMax is the longest payload that a server of a test sends.
const frameBytesMax = 1 << 30

// ReadFrame reads one ws frame of a server, which must be as the protocol wants it.
func ReadFrame(in *bufio.Reader) (op ws.OpCode, payload string, err error) {
	var buf []byte
	for {
		h, n, ok, err := ws.ParseHeader(buf)
		if err != nil {
			return 0, "", err
		}
		if ok {
			if err := h.Check(ws.FromServer, frameBytesMax); err != nil {
				return 0, "", err
			}
			body := make([]byte, h.Length)
			_, err := io.ReadFull(in, body)
			return h.OpCode, string(body), err
		}
		for len(buf) < n {
			b, err := in.ReadByte()
			if err != nil {
				return 0, "", err
			}
			buf = append(buf, b)
		}
	}
}
