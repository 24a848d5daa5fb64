package swarm

import (
	"bytes"

	"stentor/codec"
	"stentor/codec/ws"
)

// PingFrame is the ws frame of a server's ping.
func PingFrame(protobuf bool) []byte {
	if protobuf {
		return ws.AppendFrame(nil, ws.OpBinary, codec.AppendPing(nil, codec.Protobuf))
	}
	return ws.AppendFrame(nil, ws.OpText, bytes.TrimSuffix(codec.AppendPing(nil, codec.JSON), []byte("\n")))
}

// PongBytes is the length of the ws frame with which a client answers: a header with a mask, and an empty command.
func PongBytes(protobuf bool) int {
	return len(appendPong(nil, protobuf, [4]byte{}))
}

func appendPong(dst []byte, protobuf bool, mask [4]byte) []byte {
	if protobuf {
		return ws.AppendClientFrame(dst, ws.OpBinary, true, mask, []byte{0})
	}
	return ws.AppendClientFrame(dst, ws.OpText, true, mask, []byte("{}"))
}
