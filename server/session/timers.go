package session

import (
	"math/rand/v2"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/metrics"
)

// arm sets the pipe's one deadline to the earliest of the session's.
func (s *Session) arm() {
	var next loop.Time
	for _, at := range [...]loop.Time{s.ping, s.pong, s.end, s.nextSubExpiry()} {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	s.conn.Arm(next)
}

// Expire does whatever is due.
func (s *Session) Expire(now loop.Time) {
	s.begin()
	due := func(at loop.Time) bool { return at != 0 && at <= now }
	if due(s.pong) && !s.pongOverdue(now) {
		return
	}
	if due(s.end) {
		s.expired()
		return
	}
	if due(s.ping) {
		s.sendPing(now)
	}
	if due(s.nextSubExpiry()) {
		s.dropExpired(now)
	}
	if s.state != closed {
		s.arm()
	}
}

// expired closes a session whose time is over.
func (s *Session) expired() {
	switch s.state {
	case fresh:
		s.close(codec.DisconnectStale)
	case connected:
		s.close(codec.DisconnectExpired)
	case failed:
		s.close(codec.DisconnectConnectionClosed)
	}
}

// startPings sets the first ping at a random moment between half an interval and one, so that a crowd that connected at once
// is not pinged at once.
func (s *Session) startPings() {
	every := s.node.Settings.PingInterval
	if every <= 0 {
		return
	}
	first := every/2 + time.Duration(rand.Int64N(int64(every/2)+1))
	s.ping = s.loop().Now().After(first)
}

func (s *Session) sendPing(now loop.Time) {
	s.conn.Send(pings[s.form])
	s.ping = now.After(s.node.Settings.PingInterval)
	s.pong, s.pongGrace = now.After(s.node.Settings.PongTimeout), false
}

// pongCame takes an empty command. One that answers no ping is an error of the client.
func (s *Session) pongCame() error {
	if s.state != connected || s.pong == 0 {
		return codec.DisconnectBadRequest
	}
	sent := s.ping - loop.Time(0).After(s.node.Settings.PingInterval) // the tick at which the ping went out
	s.node.Metrics.Pong(s.handle.Loop(), metrics.WebSocket, time.Duration(s.loop().Now()-sent)*loop.TickPeriod)
	s.pong = 0 // the pipe's deadline may now fire early once, which does nothing
	return nil
}

// pongOverdue closes a session that did not answer. It reports whether the session goes on. The first time it only asks for
// one more tick: after a pause of the whole process the pong may be waiting in the socket.
func (s *Session) pongOverdue(now loop.Time) bool {
	if !s.pongGrace {
		s.pongGrace = true
		s.pong = now.After(loop.TickPeriod)
		return true
	}
	s.close(codec.DisconnectNoPong)
	return false
}

// ticksUntil is the tick at which the wall clock shows unix seconds at, but at least one tick and at most ttlMax from now.
func (s *Session) ticksUntil(at int64) loop.Time {
	left := time.Duration(s.ttl(at)) * time.Second
	return s.loop().Now().After(left)
}

// ttlMax is the longest life that is told to a client: 365 days, in seconds.
const ttlMax = 365 * 24 * 3600

// ttl is how many seconds are left until unix seconds at.
func (s *Session) ttl(at int64) uint32 {
	return uint32(min(max(at-s.node.Now().Unix(), 0), ttlMax))
}
