package session

import (
	"slices"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

// subExpiry is the end of a subscription with a limited life, grace included.
type subExpiry struct {
	sub *hub.Subscription
	at  loop.Time
}

// expireSub sets, or moves, the end of a subscription to unix seconds at.
func (s *Session) expireSub(sub *hub.Subscription, at int64) {
	s.forgetExpiry(sub)
	end := s.ticksUntil(at).After(s.node.Settings.ExpiredSubCloseDelay)
	e := s.more()
	e.expiries = append(e.expiries, subExpiry{sub, end})
	s.arm()
}

func (s *Session) forgetExpiry(sub *hub.Subscription) {
	if s.extra != nil {
		s.extra.expiries = slices.DeleteFunc(s.extra.expiries, func(e subExpiry) bool { return e.sub == sub })
	}
}

// nextSubExpiry is the earliest end of all subscriptions, 0 if none ends.
func (s *Session) nextSubExpiry() (next loop.Time) {
	if s.extra == nil {
		return 0
	}
	for _, e := range s.extra.expiries {
		if next == 0 || e.at < next {
			next = e.at
		}
	}
	return next
}

// dropExpired removes the subscriptions whose time is over.
func (s *Session) dropExpired(now loop.Time) {
	var over []*hub.Subscription
	for _, e := range s.extra.expiries {
		if e.at <= now {
			over = append(over, e.sub)
		}
	}
	for _, sub := range over {
		s.dropTelling(sub, codec.UnsubscribeExpired)
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
	expireAt, err := s.policy().SubRefresh(s.client(), sub.Name(), req.Token, s.node.Now())
	if err != nil {
		return err
	}
	var result codec.SubRefreshResult
	if expireAt > 0 {
		result.Expires, result.TTL = true, s.ttl(expireAt)
		s.expireSub(sub, expireAt)
	} else {
		s.forgetExpiry(sub)
	}
	s.arm()
	s.reply(&codec.Reply{ID: id, SubRefresh: &result})
	return nil
}
