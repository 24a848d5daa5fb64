package session

import (
	"context"
	"log/slog"
	"strings"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// What a session has done for a subscription and has to undo (hub.Own).
const (
	serverSide hub.Own = 1 << iota // the server subscribed the client; no undoing, but other ends
	present                        // entered into presence
	announced                      // its join was published
)

// appear enters the client into the channel's presence.
func (s *Session) appear(sub *hub.Subscription) error {
	info := s.presenceInfo(sub)
	if !s.node.Presence.Local() {
		s.appearFar(sub)
		return nil
	}
	if err := s.node.Presence.AddPresence(context.Background(), sub.Name(), s.id(), info, s.node.Settings.PresenceTTL); err != nil {
		s.node.faults.Say(s.node.Log, slog.LevelError, "presence could not be entered", "channel", sub.Name(), "error", err)
		return codec.ErrorInternal
	}
	sub.Note(present)
	return nil
}

// presenceInfo is what a channel's presence says of the client.
func (s *Session) presenceInfo(sub *hub.Subscription) engine.PresenceInfo {
	info := engine.PresenceInfo{User: s.user}
	if s.extra != nil {
		info.ConnInfo, info.ChanInfo = s.extra.info, s.extra.infoOf(sub)
	}
	return info
}

// announce publishes the client's join. The client gets its own after the reply, which is noted already.
func (s *Session) announce(sub *hub.Subscription, permit *policy.Subscription) {
	if !permit.JoinLeave || s.state != connected {
		return
	}
	sub.Note(announced)
	if !s.node.Broker.Local() {
		s.tellFar(sub, engine.Broker.PublishJoin, metrics.MessageJoin)
		return
	}
	if err := s.node.Broker.PublishJoin(context.Background(), sub.Name(), s.info(sub)); err != nil {
		s.tellUnpublished("a join was not published", sub, err)
		return
	}
	s.node.Metrics.MessageSent(s.handle.Loop(), metrics.Namespace(permit.Options.Label), metrics.MessageJoin)
}

// tellUnpublished logs a join or leave that nobody hears of. While the loops have too much to do, each client that comes or goes has
// one.
func (s *Session) tellUnpublished(what string, sub *hub.Subscription, err error) {
	if suppressed, ok := s.worker().unpublished.Due(s.node.Now()); ok {
		s.node.Log.Warn(what, "channel", sub.Name(), "error", err, "suppressed", suppressed)
	}
}

// disappear undoes what was done for a subscription.
func (s *Session) disappear(sub *hub.Subscription) {
	done := sub.Own()
	sub.Forget(present | announced)
	if done&present != 0 && !s.node.Presence.Local() {
		s.disappearFar(sub)
	} else if done&present != 0 {
		if err := s.node.Presence.RemovePresence(context.Background(), sub.Name(), s.id(), s.user); err != nil {
			s.node.faults.Say(s.node.Log, slog.LevelError, "presence could not be left", "channel", sub.Name(), "error", err)
		}
	}
	if done&announced != 0 && !s.node.Broker.Local() {
		s.tellFar(sub, engine.Broker.PublishLeave, metrics.MessageLeave)
	} else if done&announced != 0 {
		if err := s.node.Broker.PublishLeave(context.Background(), sub.Name(), s.info(sub)); err != nil {
			s.tellUnpublished("a leave was not published", sub, err)
			return
		}
		s.node.Metrics.MessageSent(s.handle.Loop(), s.node.Metrics.NamespaceOf(sub.Name()), metrics.MessageLeave)
	}
}

// presence answers with the clients that are subscribed to a channel (spec: client-protocol, section 11).
func (s *Session) presence(id uint32, req *codec.PresenceRequest) error {
	if err := s.policy().Presence(s.client(), req.Channel, s.find(req.Channel) != nil); err != nil {
		return err
	}
	n, channel := s.node, strings.Clone(req.Channel)
	large := false
	if n.Presence.Local() {
		stats, err := n.presenceToTell(context.Background(), channel)
		if err != nil {
			return s.engineFault("presence could not be read", channel, err)
		}
		large = stats.Clients > entriesMax
	}
	return s.replyWith(codec.MethodPresence, id, large, func(ctx context.Context) (r codec.Reply, err error) {
		if !n.Presence.Local() {
			if _, err = n.presenceToTell(ctx, channel); err != nil {
				return r, err
			}
		}
		all, err := n.Presence.Presence(ctx, channel)
		r.Presence = &codec.PresenceResult{Presence: all}
		return r, err
	})
}

// presenceToTell is how large a channel's presence is, or error 106 if it is too large for a reply.
func (n *Node) presenceToTell(ctx context.Context, channel string) (engine.PresenceStats, error) {
	stats, err := n.Presence.PresenceStats(ctx, channel)
	if err == nil && stats.Clients*memberBytesMin > n.Settings.ReplyBytesMax {
		err = codec.ErrorLimitExceeded
	}
	return stats, err
}

// presenceStats answers with their numbers.
func (s *Session) presenceStats(id uint32, req *codec.PresenceStatsRequest) error {
	if err := s.policy().Presence(s.client(), req.Channel, s.find(req.Channel) != nil); err != nil {
		return err
	}
	n, channel := s.node, strings.Clone(req.Channel)
	return s.replyWith(codec.MethodPresenceStats, id, false, func(ctx context.Context) (codec.Reply, error) {
		stats, err := n.Presence.PresenceStats(ctx, channel)
		return codec.Reply{PresenceStats: &codec.PresenceStatsResult{NumClients: uint32(stats.Clients), NumUsers: uint32(stats.Users)}}, err
	})
}
