package session

import (
	"stentor/codec"
	"stentor/reactor/loop"
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
	s.state, s.user = connected, creds.User
	s.node.clients.Add(1)
	s.class = s.node.Metrics.Joined(s.handle.Loop(), metrics.Client{
		Transport: s.transport, AcceptProtocol: HTTPVersion(s.traits & version).String(), Name: req.Name, Version: req.Version,
	})
	s.remember(creds)

	result := codec.ConnectResult{
		Client:  s.clientID(),
		Version: s.node.Settings.Version,
	}
	s.tellPings(&result)
	s.tellSecret(&result)
	if len(creds.Subs) > s.node.Settings.ChannelLimit {
		return codec.DisconnectChannelLimit
	}
	c := connecting{id: id, result: &result, expireAt: creds.ExpireAt, single: creds.Single}
	if s.node.remote && len(creds.Subs) > 0 {
		err = s.enterAllFar(creds.Subs, c)
	} else if c.subs, err = s.enterAll(creds.Subs, &result); err == nil {
		s.connected(c)
	}
	if err != nil {
		s.takeBack(err)
	}
	return err
}

// connecting is a connect command that lacks nothing but its reply.
type connecting struct {
	id       uint32
	result   *codec.ConnectResult
	expireAt int64 // unix seconds; 0 is never
	single   bool
	subs     []entered
}

// connected answers it.
func (s *Session) connected(c connecting) {
	result := c.result
	if s.node.Settings.IncludeServerTime {
		result.Time = s.node.Now().UnixMilli()
	}
	if c.expireAt > 0 {
		result.Expires, result.TTL = true, s.ttl(c.expireAt)
	}
	s.startPings()
	s.arm()
	if s.form.Uni() {
		s.push(metrics.FramePushConnect, &codec.Push{Connect: result.Connect()})
	} else {
		s.reply(codec.MethodConnect, &codec.Reply{ID: c.id, Connect: result})
	}
	for _, one := range c.subs {
		s.announce(one.sub, one.permit)
	}
	if c.single && s.state == connected {
		s.endOthers()
	}
}

// remember keeps what the credentials say for later.
func (s *Session) remember(c policy.Credentials) {
	if len(c.Info) > 0 {
		s.setInfo(c.Info)
	}
	if len(c.TokenChannels) > 0 && !s.form.Uni() { // a client that only listens brings no second token to compare
		s.more().tokenChannels = c.TokenChannels
	}
	s.end = 0
	if c.ExpireAt > 0 {
		s.end = s.endOf(c.ExpireAt)
	}
}

// endOf is when a connection is closed that expires at unix seconds at. A client that only listens has no way to prolong it, and so
// no time for that.
func (s *Session) endOf(at int64) loop.Time {
	if s.form.Uni() {
		return s.ticksUntil(at)
	}
	return s.ticksUntil(at).After(s.node.Settings.ExpiredCloseDelay)
}

// setInfo changes what others learn of the client from now on.
func (s *Session) setInfo(info []byte) {
	s.more().info = info
	for sub := s.subs; sub != nil; sub = sub.Next {
		if sub.Own()&present != 0 {
			_ = s.appear(sub) // the log has it, and the client stays present as it was
		}
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
	case !s.sameChannels(creds.TokenChannels):
		return codec.DisconnectInsufficientState
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

// renew does what the server API says about the life of the connection.
func (s *Session) renew(order Refresh) {
	now := s.node.Now().Unix()
	if order.Expired || order.ExpireAt != 0 && order.ExpireAt <= now {
		s.close(codec.DisconnectExpired)
		return
	}
	s.end = 0
	var told codec.Refresh
	if order.ExpireAt > 0 {
		s.end = s.endOf(order.ExpireAt)
		told.Expires, told.TTL = true, s.ttl(order.ExpireAt)
	}
	if order.Info != nil {
		s.setInfo(order.Info)
	}
	s.arm()
	s.push(metrics.FramePushRefresh, &codec.Push{Refresh: &told})
}
