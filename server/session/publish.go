package session

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/hub"
	"stentor/server/metrics"
)

// publish sends a client's publication on its way (spec: client-protocol, section 11). A publisher that is subscribed to the
// channel gets its own publication first: the reply then waits behind it.
func (s *Session) publish(id uint32, req *codec.PublishRequest) error {
	if req.Channel == "" {
		return codec.DisconnectBadRequest
	}
	sub := s.find(req.Channel)
	options, err := s.policy().Publish(s.client(), req.Channel, sub != nil, req.Data)
	if err != nil {
		return err
	}
	p := &codec.Publication{Data: bytes.Clone(req.Data), Info: s.info(sub)}
	if !s.node.Broker.Local() {
		return s.publishFar(id, strings.Clone(req.Channel), p, options)
	}
	_, err = s.node.Broker.Publish(context.Background(), req.Channel, p, options)
	if errors.Is(err, engine.ErrOverloaded) {
		s.node.Metrics.Overloaded()
		return codec.ErrorTooManyRequests
	}
	if err != nil {
		s.node.faults.Say(s.node.Log, slog.LevelError, "publication failed", "channel", req.Channel, "user", s.user, "error", err)
		return codec.ErrorInternal
	}
	s.node.Metrics.MessageSent(s.handle.Loop(), s.namespace(), metrics.MessagePublication)
	if sub != nil {
		s.node.Table.Behind(sub.Channel(), s.handle, published(id))
		return nil
	}
	s.replyPublished(id)
	return nil
}

func (s *Session) replyPublished(id uint32) {
	s.reply(codec.MethodPublish, &codec.Reply{ID: id, Publish: &codec.PublishResult{}})
}

// info is what others learn of the client that publishes, joins or leaves; sub is its subscription to the channel, or nil.
func (s *Session) info(sub *hub.Subscription) *codec.ClientInfo {
	info := &codec.ClientInfo{User: s.user, Client: s.clientID()}
	if s.extra == nil {
		return info
	}
	info.ConnInfo = s.extra.info
	if sub != nil {
		info.ChanInfo = s.extra.infoOf(sub)
	}
	return info
}

// rpc answers the one method that needs no backend.
func (s *Session) rpc(id uint32, req *codec.RPCRequest) error {
	if err := s.policy().RPC(req.Method); err != nil {
		return err
	}
	s.reply(codec.MethodRPC, &codec.Reply{ID: id, RPC: &codec.RPCResult{}})
	return nil
}
