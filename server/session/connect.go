package session

import (
	"stentor/codec"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// connect authenticates the client (spec: client-protocol, section 4.1).
func (s *Session) connect(id uint32, req *codec.ConnectRequest) error {
	if s.state != fresh {
		return codec.DisconnectBadRequest
	}
	creds, err := s.policy().Connect(req, s.user, s.node.Now())
	if err != nil {
		return err
	}
	if !s.node.Users.Reserve(creds.User, s.handle, s.node.Settings.UserConnectionLimit) {
		s.node.Metrics.UserLimit()
		return codec.DisconnectConnectionLimit
	}
	s.state, s.user, s.id = connected, creds.User, s.worker().newID()
	s.node.clients.Add(1)
	s.class = s.node.Metrics.Joined(s.handle.Loop(), metrics.Client{Transport: metrics.WebSocket, Name: req.Name, Version: req.Version})

	result := codec.ConnectResult{
		Client:  s.clientID(),
		Version: s.node.Settings.Version,
		Ping:    uint32(s.node.Settings.PingInterval.Seconds()),
		Pong:    s.node.Settings.PingInterval > 0,
	}
	if s.node.Settings.IncludeServerTime {
		result.Time = s.node.Now().UnixMilli()
	}
	s.remember(creds)
	if creds.ExpireAt > 0 {
		result.Expires, result.TTL = true, s.ttl(creds.ExpireAt)
	}
	s.startPings()
	s.arm()
	s.reply(codec.MethodConnect, &codec.Reply{ID: id, Connect: &result})
	return nil
}

// remember keeps what the credentials say for later.
func (s *Session) remember(c policy.Credentials) {
	if len(c.Info) > 0 {
		s.more().info = c.Info
	}
	s.end = 0
	if c.ExpireAt > 0 {
		s.end = s.ticksUntil(c.ExpireAt).After(s.node.Settings.ExpiredCloseDelay)
	}
}

// refresh prolongs the connection with a new token of the same user (spec: client-protocol, section 11).
func (s *Session) refresh(id uint32, req *codec.RefreshRequest) error {
	if req.Token == "" {
		return codec.DisconnectBadRequest
	}
	creds, err := s.policy().Connect(&codec.ConnectRequest{Token: req.Token}, "", s.node.Now())
	switch {
	case err == codec.ErrorTokenExpired || err == codec.ErrorExpired:
		return codec.DisconnectExpired
	case err != nil:
		return err
	case creds.User != s.user:
		return codec.DisconnectInvalidToken
	}
	s.remember(creds)
	s.arm()
	result := codec.RefreshResult{Client: s.clientID(), Version: s.node.Settings.Version}
	if creds.ExpireAt > 0 {
		result.Expires, result.TTL = true, s.ttl(creds.ExpireAt)
	}
	s.reply(codec.MethodRefresh, &codec.Reply{ID: id, Refresh: &result})
	return nil
}
