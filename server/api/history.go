package api

import (
	"context"
	"errors"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/channel"
)

// History reads what a channel keeps, and its position.
func (a *API) History(ctx context.Context, req *HistoryRequest) (_ *HistoryResult, err *Error) {
	defer a.done(methodHistory, a.now(), &err)
	ch, err := a.kept(methodHistory, req.Channel)
	if err != nil {
		return nil, err
	}
	f := engine.HistoryFilter{
		Since:   req.Since.position(),
		Limit:   int(req.Limit),
		Reverse: req.Reverse,
		MetaTTL: ch.Options.HistoryMetaTTL,
	}
	if f.Reverse && f.Since != nil && f.Since.Offset == 0 {
		return nil, a.bad(methodHistory, "nothing is before offset 0", "channel", req.Channel)
	}
	pubs, at, fault := a.cfg.Broker.History(ctx, ch.Name, f)
	if errors.Is(fault, engine.ErrEpoch) {
		return nil, ErrorUnrecoverablePosition
	}
	if fault != nil {
		return nil, a.failure("history", ch.Name, fault)
	}
	res := &HistoryResult{Publications: make([]Publication, len(pubs)), Offset: at.Offset, Epoch: at.Epoch}
	for i, p := range pubs {
		res.Publications[i] = publicationOf(p)
	}
	return res, nil
}

// HistoryRemove drops what a channel keeps. Its position stays.
func (a *API) HistoryRemove(ctx context.Context, req *HistoryRemoveRequest) (_ *EmptyResult, err *Error) {
	defer a.done(methodHistoryRemove, a.now(), &err)
	ch, err := a.kept(methodHistoryRemove, req.Channel)
	if err != nil {
		return nil, err
	}
	if fault := a.cfg.Broker.RemoveHistory(ctx, ch.Name); fault != nil {
		return nil, a.failure("history_remove", ch.Name, fault)
	}
	return &EmptyResult{}, nil
}

// kept finds a channel that has history.
func (a *API) kept(m int, name string) (channel.Channel, *Error) {
	ch, err := a.named(m, name)
	if err == nil && !ch.Options.HasHistory() {
		err = ErrorNotAvailable
	}
	return ch, err
}

// named finds the channel that a request names: error 107 if it names none, 102 if the namespace is unknown.
func (a *API) named(m int, name string) (channel.Channel, *Error) {
	if name == "" {
		return channel.Channel{}, a.bad(m, "the channel is missing")
	}
	return a.resolve(name)
}

func publicationOf(p *codec.Publication) Publication {
	out := Publication{Offset: p.Offset, Tags: p.Tags}
	out.Data, out.B64Data = embed(p.Data)
	if p.Info != nil {
		out.Info = clientInfoOf(p.Info)
	}
	return out
}
