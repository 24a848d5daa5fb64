package session

import (
	"context"
	"strings"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// What a session has done for a subscription and has to undo (hub.Subscription.Own).
const (
	serverSide hub.Own = 1 << iota // the server subscribed the client; no undoing, but other ends
	present                        // entered into presence
	announced                      // its join was published
)

// presenceTTL is how long a remote engine keeps an entry that is not refreshed.
const presenceTTL = 60 * time.Second

// appear enters the client into the channel's presence.
func (s *Session) appear(sub *hub.Subscription) error {
	info := engine.PresenceInfo{User: s.user}
	if s.extra != nil {
		info.ConnInfo, info.ChanInfo = s.extra.info, s.extra.infoOf(sub)
	}
	if err := s.node.Presence.AddPresence(context.Background(), sub.Name(), s.id(), info, presenceTTL); err != nil {
		s.node.Log.Error("presence could not be entered", "channel", sub.Name(), "error", err)
		return codec.ErrorInternal
	}
	sub.Own |= present
	return nil
}

// announce publishes the client's join. The client gets its own after the reply, which is noted already.
func (s *Session) announce(sub *hub.Subscription, permit *policy.Subscription) {
	if !permit.JoinLeave || s.state != connected {
		return
	}
	sub.Own |= announced
	if err := s.node.Broker.PublishJoin(context.Background(), sub.Name(), s.info(sub)); err != nil {
		s.tellUnpublished("a join was not published", sub, err)
		return
	}
	s.node.Metrics.MessageSent(s.handle.Loop(), metrics.Namespace(permit.Options.Label), metrics.MessageJoin)
}

// tellUnpublished logs a join or leave that nobody hears of. While the loops have too much to do, each client that comes or goes has
// one.
func (s *Session) tellUnpublished(what string, sub *hub.Subscription, err error) {
	if suppressed, ok := s.worker().unpublished.due(s.loop().Now()); ok {
		s.node.Log.Warn(what, "channel", sub.Name(), "error", err, "suppressed", suppressed)
	}
}

// disappear undoes what was done for a subscription.
func (s *Session) disappear(sub *hub.Subscription) {
	done := sub.Own
	sub.Own &^= present | announced
	if done&present != 0 {
		if err := s.node.Presence.RemovePresence(context.Background(), sub.Name(), s.id(), s.user); err != nil {
			s.node.Log.Error("presence could not be left", "channel", sub.Name(), "error", err)
		}
	}
	if done&announced != 0 {
		if err := s.node.Broker.PublishLeave(context.Background(), sub.Name(), s.info(sub)); err != nil {
			s.tellUnpublished("a leave was not published", sub, err)
			return
		}
		s.node.Metrics.MessageSent(s.handle.Loop(), s.node.Metrics.NamespaceOf(sub.Name()), metrics.MessageLeave)
	}
}

// presence answers with the clients that are subscribed to a channel (spec: client-protocol, section 11).
func (s *Session) presence(id uint32, req *codec.PresenceRequest) error {
	stats, err := s.readPresence(req.Channel)
	if err != nil {
		return err
	}
	if stats.Clients*memberBytesMin > s.node.Settings.ReplyBytesMax {
		return codec.ErrorLimitExceeded
	}
	channel, members, log := strings.Clone(req.Channel), s.node.Presence, s.node.Log
	return s.replyWith(codec.MethodPresence, id, stats.Clients > entriesMax, func() (codec.Reply, error) {
		all, err := members.Presence(context.Background(), channel)
		if err != nil {
			log.Error("presence could not be read", "channel", channel, "error", err)
			return codec.Reply{}, codec.ErrorInternal
		}
		return codec.Reply{Presence: &codec.PresenceResult{Presence: all}}, nil
	})
}

// presenceStats answers with their numbers.
func (s *Session) presenceStats(id uint32, req *codec.PresenceStatsRequest) error {
	stats, err := s.readPresence(req.Channel)
	if err != nil {
		return err
	}
	result := codec.PresenceStatsResult{NumClients: uint32(stats.Clients), NumUsers: uint32(stats.Users)}
	s.reply(codec.MethodPresenceStats, &codec.Reply{ID: id, PresenceStats: &result})
	return nil
}

// readPresence checks the right to a channel's presence and says how much of it there is.
func (s *Session) readPresence(channel string) (engine.PresenceStats, error) {
	if err := s.policy().Presence(s.client(), channel, s.find(channel) != nil); err != nil {
		return engine.PresenceStats{}, err
	}
	stats, err := s.node.Presence.PresenceStats(context.Background(), channel)
	if err != nil {
		s.node.Log.Error("presence could not be read", "channel", channel, "error", err)
		return stats, codec.ErrorInternal
	}
	return stats, nil
}
