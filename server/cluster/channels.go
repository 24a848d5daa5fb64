package cluster

import (
	"context"
	"fmt"
	"strings"

	"stentor/server/api"
	"stentor/server/cluster/control"
)

// opChannels asks for the channels that have subscribers on a node.
const opChannels = "channels"

// channelsWorkers is how many such questions are answered at once: one can make as much work as there are channels.
const channelsWorkers = 1

// Channels are the channels with subscribers that match a glob pattern, and how many those are on all nodes together (api.Node).
func (n *Node) Channels(ctx context.Context, pattern string) (map[string]int, error) {
	match, err := api.CompilePattern(pattern)
	if err != nil {
		return nil, err
	}
	if n.cfg.Bus == nil {
		return n.cfg.Local.Channels(match), nil
	}
	ctx, cancel := context.WithTimeout(ctx, SurveyTimeout)
	defer cancel()
	select {
	case n.places <- struct{}{}: // the place is kept until the answers are merged: they may be large
		defer func() { <-n.places }()
	case <-ctx.Done():
		return nil, ErrBusy
	}
	question, err := (&control.ChannelsRequest{Pattern: pattern}).MarshalVT()
	if err != nil {
		return nil, err
	}
	answers, err := n.survey(ctx, opChannels, question)
	if err != nil {
		return nil, err
	}
	all := n.cfg.Local.Channels(match)
	for uid, answer := range answers {
		if err := addChannels(all, answer); err != nil {
			return nil, fmt.Errorf("node %s: %w", uid, err)
		}
	}
	return all, nil
}

// addChannels adds what another node has.
func addChannels(all map[string]int, answer Answer) error {
	if answer.Code != 0 {
		return fmt.Errorf("%w: code %d", ErrRefused, answer.Code)
	}
	var theirs control.ChannelsResult
	if err := theirs.UnmarshalVT(answer.Data); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	for name, channel := range theirs.Channels {
		all[strings.ToValidUTF8(name, "\ufffd")] += int(channel.GetNumClients())
	}
	return nil
}

// answerChannels answers another node.
func (n *Node) answerChannels(_ context.Context, data []byte) (code uint32, answer []byte) {
	var question control.ChannelsRequest
	if question.UnmarshalVT(data) != nil {
		return AnswerInvalid, nil
	}
	match, err := api.CompilePattern(question.Pattern)
	if err != nil {
		return AnswerInvalid, nil
	}
	counts := n.cfg.Local.Channels(match)
	result := control.ChannelsResult{Channels: make(map[string]*control.ChannelInfo, len(counts))}
	for name, subscribers := range counts {
		result.Channels[name] = &control.ChannelInfo{NumClients: uint32(subscribers)}
	}
	answer, err = result.MarshalVT()
	if err != nil {
		return AnswerInternal, nil
	}
	return 0, answer
}
