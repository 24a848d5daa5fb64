package session

import "stentor/codec"

// Parting is a Conn on which the last message says why it ends, since nothing else of its transport can.
type Parting interface {
	// Part makes what goes over the wire of buf, which is as for codec.NewFrame and the pipe's from now on.
	Part(buf []byte) []byte
}

// Farewell is the last that the pipe sends when it ends with a code, by Conn.Close or by itself: nil if there is nothing to send.
func (s *Session) Farewell(code uint16, reason string) []byte {
	p, tells := s.conn.(Parting)
	if !tells {
		return nil
	}
	buf := s.AppendFarewell(make([]byte, codec.HeaderRoom, farewellBytes), codec.Disconnect{Code: uint32(code), Reason: reason})
	if len(buf) == codec.HeaderRoom {
		return nil
	}
	return p.Part(buf)
}

// farewellBytes has room for most farewells.
const farewellBytes = 128
