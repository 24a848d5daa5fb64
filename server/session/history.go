package session

import (
	"context"
	"errors"
	"strings"

	"stentor/codec"
	"stentor/engine"
)

// history answers with what was published into a channel (spec: client-protocol, section 11).
func (s *Session) history(id uint32, req *codec.HistoryRequest) error {
	sub := s.find(req.Channel)
	options, err := s.policy().History(s.client(), req, sub != nil)
	if err != nil {
		return err
	}
	filter := engine.HistoryFilter{Limit: int(req.Limit), Reverse: req.Reverse, MetaTTL: options.HistoryMetaTTL}
	if most := s.node.Settings.HistoryLimit; most >= 0 && (filter.Limit < 0 || filter.Limit > most) {
		filter.Limit = most
	}
	if since := req.Since; since != nil {
		filter.Since = &codec.StreamPosition{Offset: since.Offset, Epoch: strings.Clone(since.Epoch)} // as the channel, it outlives the message
	}
	channel, broker := strings.Clone(req.Channel), s.node.Broker
	large := filter.Limit < 0 || filter.Limit > entriesMax
	return s.replyWith(codec.MethodHistory, id, large, func(ctx context.Context) (codec.Reply, error) {
		pubs, top, err := broker.History(ctx, channel, filter)
		if errors.Is(err, engine.ErrEpoch) {
			err = codec.ErrorUnrecoverablePosition
		}
		if err != nil {
			return codec.Reply{}, err
		}
		return codec.Reply{History: &codec.HistoryResult{Publications: pubs, Epoch: top.Epoch, Offset: top.Offset}}, nil
	})
}
