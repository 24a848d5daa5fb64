package session

import (
	"stentor/codec"
	"stentor/server/hub"
	"stentor/server/policy"
)

// subscribe adds a channel (spec: client-protocol, section 7).
func (s *Session) subscribe(id uint32, req *codec.SubscribeRequest) error {
	if err := s.policy().Precheck(s.client(), req); err != nil {
		return err
	}
	if s.find(req.Channel) != nil {
		return codec.ErrorAlreadySubscribed
	}
	if s.count() >= s.node.Settings.ChannelLimit {
		return codec.ErrorLimitExceeded
	}
	permit, err := s.policy().Subscribe(s.client(), req, s.node.Now())
	if err != nil {
		return err
	}
	if s.node.remote {
		return s.enterFar(&entering{method: codec.MethodSubscribe, id: id, entries: []entry{{name: req.Channel, permit: permit}}})
	}
	var result codec.SubscribeResult
	sub, err := s.enter(req.Channel, &permit, 0, &result)
	if err != nil {
		return err
	}
	s.subscribed(id, sub, &permit, &result)
	return nil
}

// subscribed answers a subscribe command that was carried out.
func (s *Session) subscribed(id uint32, sub *hub.Subscription, permit *policy.Subscription, result *codec.SubscribeResult) {
	s.reply(codec.MethodSubscribe, &codec.Reply{ID: id, Subscribe: result})
	s.announce(sub, permit)
}

// client is what the policy knows of the session.
func (s *Session) client() policy.Client {
	return policy.Client{User: s.user, ID: s.id(), Label: &s.worker().label}
}

// enter makes the session a member of a channel, with all that goes with it but the join, which has to wait until the client knows
// of its membership. It fills in result. After an error nothing is left.
//
// All of it is one turn of the loop: the subscription listens first and reads history then, so that nothing falls between the two.
// With an engine that is not local enterFar takes its place.
func (s *Session) enter(name string, permit *policy.Subscription, own hub.Own, result *codec.SubscribeResult) (*hub.Subscription, error) {
	sub, err := s.join(name, permit, own)
	if err != nil {
		return nil, err
	}
	if permit.Positioned {
		err = s.position(sub, permit, result)
	}
	if err == nil && permit.Presence {
		err = s.appear(sub)
	}
	if err != nil {
		s.drop(sub)
		return nil, err
	}
	s.settle(sub, permit, result)
	return sub, nil
}

// join makes the session a member of a channel, and notes what follows from its permit.
func (s *Session) join(name string, permit *policy.Subscription, own hub.Own) (*hub.Subscription, error) {
	filterBytes, err := s.filterRoom(permit)
	if err != nil {
		return nil, err
	}
	sub := s.listen(name, hub.Options{
		JoinLeave: permit.PushJoinLeave, Positioned: permit.Positioned, Delta: permit.Delta, Filter: permit.Filter,
		Wildcard: permit.Wildcard,
	})
	sub.Note(own)
	if filterBytes > 0 {
		s.more().set(sub).filterBytes = filterBytes
		s.extra.filterBytes += filterBytes
	}
	if len(permit.Info) > 0 {
		s.more().set(sub).info = permit.Info
	}
	return sub, nil
}

// settle is the end of entering a channel.
func (s *Session) settle(sub *hub.Subscription, permit *policy.Subscription, result *codec.SubscribeResult) {
	if permit.ExpireAt > 0 {
		result.Expires, result.TTL = true, s.ttl(permit.ExpireAt)
		s.expireSub(sub, permit.ExpireAt)
	}
	result.Data, result.Delta = permit.Data, permit.Delta
}

// FiltersBytesMax is how much memory the tags filters of one session may take. One filter may take some 33 KB.
const FiltersBytesMax = 256 << 10

// filterRoom is what the filter of a subscription takes, or error 106 if there is no room for it.
func (s *Session) filterRoom(permit *policy.Subscription) (int, error) {
	if permit.Filter == nil {
		return 0, nil
	}
	n := permit.Filter.Bytes()
	if s.extra != nil && s.extra.filterBytes+n > FiltersBytesMax {
		return 0, codec.ErrorLimitExceeded
	}
	return n, nil
}

// unsubscribe removes a channel. It never fails, also for channels that the session is not subscribed to.
func (s *Session) unsubscribe(id uint32, req *codec.UnsubscribeRequest) error {
	if req.Channel == "" {
		return codec.DisconnectBadRequest
	}
	if sub := s.find(req.Channel); sub != nil {
		s.drop(sub)
	}
	s.worker().label = uint16(s.node.Metrics.NamespaceOf(req.Channel))
	s.reply(codec.MethodUnsubscribe, &codec.Reply{ID: id, Unsubscribe: &codec.UnsubscribeResult{}})
	return nil
}

// Fail hears from fan-out that sub cannot go on. Fan-out is in the middle of a walk then, so the session only leaves itself an
// order.
func (s *Session) Fail(sub *hub.Subscription, why hub.Failure) {
	s.loop().Order(s.handle, failure{sub, why})
}
