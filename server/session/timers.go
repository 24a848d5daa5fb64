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
	for _, at := range [...]loop.Time{s.beat, s.end, s.nextSubExpiry()} {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	s.conn.Arm(next)
}

// Expire does whatever is due.
func (s *Session) Expire(now loop.Time) {
	if s.state == closed {
		return
	}
	s.begin()
	due := func(at loop.Time) bool { return at != 0 && at <= now }
	if due(s.end) {
		s.expired()
		return
	}
	if due(s.nextSubExpiry()) {
		s.dropExpired(now)
		s.flush()
	}
	if due(s.beat) {
		s.goOnPinging(now)
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

// pinging is what the session waits for until beat. There is never more than one ping without its pong: after a pause of the
// whole process a client would answer both, and the second answer would look like one that nobody asked for.
type pinging uint8

const (
	toPing  pinging = iota
	awaited         // a ping is out
	overdue         // the pong is late
)

// startPings sets the first ping at a random moment between half an interval and one, so that a crowd that connected at once
// is not pinged at once.
func (s *Session) startPings() {
	every := s.node.Settings.PingInterval
	if every <= 0 {
		return
	}
	first := every/2 + time.Duration(rand.Int64N(int64(every/2)+1))
	s.beat = s.pingTime(s.loop().Now().After(first))
}

// pingsPerInterval is into how many moments the pings of a loop fall. With an interval of 25 s a loop pings once per second, what
// is due in it together: one wake-up for all of them, and their pongs are read many at a time.
const pingsPerInterval = 25

// pingTime is the last moment up to at in which this loop pings. Loops take turns.
func (s *Session) pingTime(at loop.Time) loop.Time {
	grid := ticks(s.node.Settings.PingInterval) / pingsPerInterval
	if grid <= 1 {
		return at
	}
	phase := loop.Time(s.handle.Loop()) * grid / loop.Time(len(s.node.Loops)) % grid
	return at - (at-phase)%grid
}

// goOnPinging does what beat has come for. A pong that is late gets one more tick: after a pause of the whole process it may be
// waiting in the socket.
func (s *Session) goOnPinging(now loop.Time) {
	switch s.pinging {
	case toPing:
		if s.pongs() {
			s.beat, s.pinging = now.After(s.node.Settings.PongTimeout), awaited
		} else {
			s.beat = max(s.pingTime(now.After(s.node.Settings.PingInterval)), now+1)
		}
		s.ping()
	case awaited:
		s.beat, s.pinging = now.After(loop.TickPeriod), overdue
	case overdue:
		s.close(codec.DisconnectNoPong)
	}
}

// ping sends a ping of the protocol, or of the pipe if that has its own. A client that only listens gets both: the one is for its
// code, the other finds out whether it is still there.
func (s *Session) ping() {
	bytes := 0
	p, own := s.conn.(Pinger)
	if !own || s.form.Uni() {
		bytes = len(pings[s.form].Messages())
	}
	s.node.Metrics.Sent(s.handle.Loop(), s.transport, metrics.FrameServerPing, 1, bytes)
	if bytes > 0 {
		s.write(pings[s.form])
	}
	if own && s.state != closed && !p.Ping() {
		s.leave(s.pipeCode())
	}
}

// tellPings says what pings will come, unless the client's transport answers them all by itself.
func (s *Session) tellPings(result *codec.ConnectResult) {
	if uni := s.form.Uni(); uni || !s.ownPings() {
		result.Ping = uint32(s.node.Settings.PingInterval.Seconds())
		result.Pong = s.node.Settings.PingInterval > 0 && !uni
	}
}

// pongs reports that pings are answered.
func (s *Session) pongs() bool { return !s.form.Uni() || s.ownPings() }

// ownPings reports that the pipe's pings replace those of the protocol.
func (s *Session) ownPings() bool {
	_, own := s.conn.(Pinger)
	return own
}

// pongCame takes an empty command. One that answers no ping is an error of the client.
func (s *Session) pongCame() error {
	if s.state != connected || s.pinging == toPing || s.ownPings() {
		return codec.DisconnectBadRequest
	}
	s.ponged()
	return nil
}

// Pong takes a pong of the pipe. One that answers no ping means nothing (RFC 6455, section 5.5.3).
func (s *Session) Pong() {
	if s.state != connected || s.pinging == toPing || !s.ownPings() {
		return
	}
	s.node.Metrics.Received(s.handle.Loop(), s.transport, metrics.FrameClientPong, 0)
	s.ponged()
}

// ponged goes on until the next ping.
func (s *Session) ponged() {
	now := s.loop().Now()
	sent := s.beat - ticks(s.node.Settings.PongTimeout) // later than it was if the pong was overdue
	s.node.Metrics.Pong(s.handle.Loop(), s.transport, time.Duration(now-sent)*loop.TickPeriod)
	s.beat, s.pinging = max(s.pingTime(sent+ticks(s.node.Settings.PingInterval)), now+1), toPing
	s.arm()
}

// ticks is d in whole ticks, rounded up, but at least one.
func ticks(d time.Duration) loop.Time { return loop.Time(0).After(d) }

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
