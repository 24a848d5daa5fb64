package session

import (
	"context"
	"errors"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/hub"
	"stentor/server/policy"
)

// subscribe adds a channel (spec: client-protocol, sections 7 and 8). With a local engine all of it is one turn of the loop: the
// subscription listens first and reads history then, so that nothing falls between the two.
func (s *Session) subscribe(id uint32, req *codec.SubscribeRequest) error {
	if err := s.policy().Precheck(req); err != nil {
		return err
	}
	if s.find(req.Channel) != nil {
		return codec.ErrorAlreadySubscribed
	}
	if s.count() >= s.node.Settings.ChannelLimit {
		return codec.ErrorLimitExceeded
	}
	now := s.node.Now()
	permit, err := s.policy().Subscribe(s.client(), req, now)
	if err != nil {
		return err
	}
	result := codec.SubscribeResult{Data: permit.Data}
	sub := s.listen(req.Channel)
	if permit.Positioned {
		if err := s.position(sub, req, permit, &result); err != nil {
			s.drop(sub)
			return err
		}
	}
	if permit.ExpireAt > 0 {
		result.Expires, result.TTL = true, s.ttl(permit.ExpireAt)
		s.expireSub(sub, permit.ExpireAt)
	}
	if len(permit.Info) > 0 {
		s.more().set(sub).info = permit.Info
	}
	s.reply(codec.MethodSubscribe, &codec.Reply{ID: id, Subscribe: &result})
	return nil
}

// client is what the policy knows of the session.
func (s *Session) client() policy.Client { return policy.Client{User: s.user, ID: s.id} }

// position gives sub its place in the channel's stream and, if the client asks for it, what it missed (spec: client-protocol,
// section 8, stream mode).
func (s *Session) position(sub *hub.Subscription, req *codec.SubscribeRequest, permit policy.Subscription, result *codec.SubscribeResult) error {
	recovering := req.Recover && permit.Recoverable
	filter := engine.HistoryFilter{MetaTTL: permit.Options.HistoryMetaTTL}
	if recovering {
		filter.Since = &codec.StreamPosition{Offset: req.Offset, Epoch: req.Epoch}
		filter.Limit = s.node.Settings.RecoveryLimit
	}
	missed, top, err := s.node.Broker.History(context.Background(), sub.Name(), filter)
	if err != nil && !errors.Is(err, engine.ErrEpoch) {
		s.node.Log.Error("history could not be read", "channel", sub.Name(), "error", err)
		return codec.DisconnectServerError
	}
	result.Positioned, result.Recoverable = true, permit.Recoverable
	result.Offset, result.Epoch = top.Offset, top.Epoch
	if recovering {
		result.WasRecovering = true
		result.Recovered = err == nil && complete(missed, req.Offset, top.Offset)
		if !result.Recovered && req.Flag&codec.SubscribeRejectUnrecoverable != 0 {
			return codec.ErrorUnrecoverablePosition
		}
		if result.Recovered && len(missed) > 0 {
			result.Publications, result.Offset = missed, req.Offset
		}
		s.node.Metrics.Recover(s.handle.Loop(), result.Recovered, len(missed) > 0)
	}
	s.node.Table.Position(sub, top)
	return nil
}

// complete tells whether missed is all that came after offset, up to top.
func complete(missed []*codec.Publication, offset, top uint64) bool {
	if len(missed) == 0 {
		return offset == top
	}
	return missed[0].Offset == offset+1 && missed[len(missed)-1].Offset == top
}

// unsubscribe removes a channel. It never fails, also for channels that the session is not subscribed to.
func (s *Session) unsubscribe(id uint32, req *codec.UnsubscribeRequest) error {
	if req.Channel == "" {
		return codec.DisconnectBadRequest
	}
	if sub := s.find(req.Channel); sub != nil {
		s.drop(sub)
	}
	s.reply(codec.MethodUnsubscribe, &codec.Reply{ID: id, Unsubscribe: &codec.UnsubscribeResult{}})
	return nil
}

// Fail hears from fan-out that sub cannot go on. Fan-out is in the middle of a walk then, so the session only leaves itself an
// order.
func (s *Session) Fail(sub *hub.Subscription, why hub.Failure) {
	s.loop().Order(s.handle, failure{sub, why})
}
