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
		filter.Since = &codec.StreamPosition{Offset: since.Offset, Epoch: since.Epoch}
	}
	pubs, top, err := s.node.Broker.History(context.Background(), strings.Clone(req.Channel), filter)
	switch {
	case errors.Is(err, engine.ErrEpoch):
		return codec.ErrorUnrecoverablePosition
	case err != nil:
		s.node.Log.Error("history could not be read", "channel", req.Channel, "error", err)
		return codec.ErrorInternal
	}
	result := codec.HistoryResult{Publications: pubs, Epoch: top.Epoch, Offset: top.Offset}
	return s.replyLarge(codec.MethodHistory, &codec.Reply{ID: id, History: &result}, len(pubs))
}
