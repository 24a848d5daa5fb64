package session

import (
	"stentor/codec"
	"stentor/server/config"
	"stentor/server/metrics"
)

// This file is what is different for clients that only listen (spec: client-protocol, section 1.6): they connect once, by what came
// with the request that opened their pipe, and from then on get pushes. They answer no pings, prolong nothing and choose no channels
// but by what their token, their user and their connect request say.

// Refuser is a Conn of a client that only listens that may tell in its own way why the client could not connect.
type Refuser interface {
	// Refuse ends the pipe. False leaves that to Close. The code is that of an error or of a disconnect.
	Refuse(code uint32, reason string) bool
}

// receiveUni takes what came from a client that only listens. It has one thing to say.
func (s *Session) receiveUni(msg []byte) {
	if s.state != fresh || s.busy() {
		return
	}
	var req codec.ConnectRequest
	if err := codec.DecodeConnectRequest(s.form, msg, &req); err != nil {
		s.begin()
		s.tellMalformed(err)
		s.close(codec.DisconnectBadRequest)
		return
	}
	s.ConnectUni(&req)
}

// ConnectUni connects a client that only listens. What there is to say of it comes through the Conn, now or later: a push of connect,
// or the end. Nothing of req is kept.
func (s *Session) ConnectUni(req *codec.ConnectRequest) {
	w := s.begin()
	if !s.serves() || s.busy() {
		return
	}
	w.command = codec.Command{ID: 1, Method: codec.MethodConnect, Connect: *req}
	s.handleCommand(&w.command, nil)
	s.flush()
}

// notConnected ends a client that only listens: it cannot be answered with an error.
func (s *Session) notConnected(answer *codec.Error, end codec.Disconnect) {
	code, reason := end.Code, end.Reason
	if answer != nil {
		code, reason = answer.Code, answer.Message
		end = s.node.Settings.uniDisconnect(answer.Code)
	}
	if r, may := s.conn.(Refuser); may && s.state == fresh && r.Refuse(code, reason) {
		s.leave(code)
		return
	}
	s.close(end)
}

// uniDisconnects are the rules of a configuration.
func uniDisconnects(c *config.ConnectCodeToDisconnect) map[uint32]codec.Disconnect {
	if !c.Enabled {
		return nil
	}
	rules := make(map[uint32]codec.Disconnect, len(c.Transforms))
	for _, t := range c.Transforms {
		rules[t.Code] = codec.Disconnect(t.To)
	}
	return rules
}

// uniDisconnect is what an error of connect becomes.
func (s *Settings) uniDisconnect(code uint32) codec.Disconnect {
	if d, ok := s.UniDisconnects[code]; ok {
		return d
	}
	switch code {
	case codec.ErrorTokenExpired.Code, codec.ErrorExpired.Code:
		return codec.DisconnectExpired
	case codec.ErrorTooManyRequests.Code:
		return codec.DisconnectTooManyRequests
	case codec.ErrorPermissionDenied.Code:
		return codec.DisconnectPermissionDenied
	}
	return codec.DisconnectServerError
}

// AppendFarewell appends a push that tells the client why its pipe ends, for transports that have no other way to. Whoever ends the
// pipe calls it, once: Conn.Close, or the pipe when it ends by itself. Nothing is appended where there is nothing to tell.
func (s *Session) AppendFarewell(dst []byte, d codec.Disconnect) []byte {
	if d.Code == 0 || d.Code == codec.DisconnectConnectionClosed.Code {
		return dst
	}
	before := len(dst)
	dst, err := codec.AppendPush(dst, s.form, &codec.Push{Disconnect: &codec.DisconnectPush{Code: d.Code, Reason: d.Reason}})
	if err == nil { // there is no payload in it that could spoil it
		s.node.Metrics.Sent(s.handle.Loop(), s.transport, metrics.FramePushDisconnect, 1, len(dst)-before)
	}
	return dst
}
