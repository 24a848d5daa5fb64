package session

import (
	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

// expireSub sets, or moves, the end of a subscription to unix seconds at; 0 is never.
func (s *Session) expireSub(sub *hub.Subscription, at int64) {
	end := loop.Time(0)
	if at > 0 {
		end = s.ticksUntil(at).After(s.node.Settings.ExpiredSubCloseDelay)
	} else if s.extra == nil || s.extra.of(sub) == nil {
		return
	}
	s.more().set(sub).end = end
	s.arm()
}

// nextSubExpiry is the earliest end of all subscriptions, 0 if none ends.
func (s *Session) nextSubExpiry() (next loop.Time) {
	if s.extra == nil {
		return 0
	}
	for i := range s.extra.terms {
		if end := s.extra.terms[i].end; end != 0 && (next == 0 || end < next) {
			next = end
		}
	}
	return next
}

// dropExpired removes the subscriptions whose time is over.
func (s *Session) dropExpired(now loop.Time) {
	var over []*hub.Subscription
	for _, t := range s.extra.terms {
		if t.end != 0 && t.end <= now {
			over = append(over, t.sub)
		}
	}
	for _, sub := range over {
		switch {
		case s.state == closed || !s.holds(sub):
		case sub.Own()&serverSide != 0:
			s.close(codec.DisconnectSubExpired)
		default:
			s.dropTelling(sub, codec.UnsubscribeExpired)
		}
	}
}

// subRefresh prolongs a subscription with a new token (spec: client-protocol, section 11).
func (s *Session) subRefresh(id uint32, req *codec.SubRefreshRequest) error {
	if req.Channel == "" {
		return codec.DisconnectBadRequest
	}
	sub := s.find(req.Channel)
	if sub == nil {
		return codec.ErrorPermissionDenied
	}
	if req.Token == "" {
		return codec.ErrorBadRequest
	}
	expireAt, info, err := s.policy().SubRefresh(s.client(), sub.Name(), req.Token, s.node.Now())
	if err != nil {
		return err
	}
	if len(info) > 0 {
		s.more().set(sub).info = info
		if sub.Own()&present != 0 {
			_ = s.appear(sub) // the log has it, and the client stays present as it was
		}
	}
	var result codec.SubRefreshResult
	if expireAt > 0 {
		result.Expires, result.TTL = true, s.ttl(expireAt)
	}
	s.expireSub(sub, expireAt)
	s.reply(codec.MethodSubRefresh, &codec.Reply{ID: id, SubRefresh: &result})
	return nil
}
