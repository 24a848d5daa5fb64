package session

import (
	"errors"
	"slices"

	"stentor/codec"
	"stentor/server/auth"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// entered is a server-side subscription that waits for its join.
type entered struct {
	sub    *hub.Subscription
	permit *policy.Subscription
}

// enterAll subscribes a connecting client to the channels that the server wants (spec: client-protocol, section 4.2), and fills in
// result. If one of them fails, the connect does, and whoever closes the session or takes it back leaves the others.
func (s *Session) enterAll(list []policy.ServerSubscription, result *codec.ConnectResult) ([]entered, error) {
	if len(list) == 0 {
		return nil, nil
	}
	all := make([]entered, 0, len(list))
	result.Subs = make(map[string]*codec.SubscribeResult, len(list))
	for i := range list {
		one := new(codec.SubscribeResult)
		sub, err := s.enter(list[i].Channel, &list[i].Subscription, serverSide, one)
		if err != nil {
			return nil, err
		}
		result.Subs[list[i].Channel] = one
		all = append(all, entered{sub, &list[i].Subscription})
	}
	return all, nil
}

// takeIn subscribes the client to a channel because the server API says so. What goes wrong is for the log: the API has answered.
func (s *Session) takeIn(order Subscribe) {
	if s.find(order.Channel) != nil {
		return
	}
	permit, err := s.policy().ServerSubscription(s.client(), order.Channel, auth.SubscribeOptions{
		Info: order.Info, Data: order.Data, Override: order.Override,
	}, wanted(order.RecoverSince))
	if err == nil && order.ExpireAt != 0 && order.ExpireAt <= s.node.Now().Unix() {
		err = codec.ErrorExpired
	}
	var result codec.SubscribeResult
	var sub *hub.Subscription
	if err == nil {
		permit.Cache, permit.ExpireAt = false, max(order.ExpireAt, 0)
		if order.RecoverSince == nil {
			permit.From = policy.Place{} // auto_cache_recover is for clients that connect
		}
		if s.node.remote {
			err = s.enterFar(&entering{entries: []entry{{name: order.Channel, permit: permit, own: serverSide}}})
		} else if sub, err = s.enter(order.Channel, &permit, serverSide, &result); err == nil {
			s.tookIn(sub, &permit, &result)
		}
	}
	if err != nil {
		s.notTakenIn(order.Channel, err)
	}
}

// notTakenIn ends takeIn with an error.
func (s *Session) notTakenIn(channel string, err error) {
	var end codec.Disconnect
	if errors.As(err, &end) {
		s.close(end)
		return
	}
	s.node.Log.Info("a client was not subscribed by the server", "channel", channel, "user", s.user, "client", s.clientID(), "error", err)
}

// tookIn tells the client of a subscription that the server API has made, and what it missed there.
func (s *Session) tookIn(sub *hub.Subscription, permit *policy.Subscription, result *codec.SubscribeResult) {
	s.push(metrics.FramePushSubscribe, &codec.Push{Channel: sub.Name(), Subscribe: &codec.Subscribe{
		Recoverable: result.Recoverable, Positioned: result.Positioned, Epoch: result.Epoch, Offset: result.Offset, Data: result.Data,
	}})
	for _, p := range result.Publications {
		s.push(metrics.FramePushPublication, &codec.Push{Channel: sub.Name(), Pub: p})
	}
	s.announce(sub, permit)
}

// wanted is a position as a client would name it that wants what came after.
func wanted(since *codec.StreamPosition) *codec.SubscribeRequest {
	if since == nil {
		return nil
	}
	return &codec.SubscribeRequest{Recover: true, Offset: since.Offset, Epoch: since.Epoch}
}

// last orders the sessions of a user to end that came before place, because only the newest connection counts.
type last struct {
	user  string
	place uint64
}

// endOthers ends the user's other connections. Places are numbered after they are reserved, so that of two sessions at least one
// knows of the other, and only the newer one ends anybody.
func (s *Session) endOthers() {
	place := s.node.places.Add(1)
	s.more().place = place
	for _, h := range s.node.Users.Sessions(nil, s.user) {
		if h != s.handle {
			s.node.Loops[h.Loop()].Order(h, last{s.user, place})
		}
	}
}

// outdone reports that an order to end the older sessions of a user is for this one.
func (s *Session) outdone(by last) bool {
	return s.state == connected && s.user == by.user && (s.extra == nil || s.extra.place < by.place)
}

// sameChannels reports that a new token names the server-side subscriptions that the first one did.
func (s *Session) sameChannels(names []string) bool {
	var had []string
	if s.extra != nil {
		had = s.extra.tokenChannels
	}
	return slices.Equal(had, names)
}
