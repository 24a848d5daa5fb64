package session

import (
	"context"
	"strconv"

	"stentor/codec"
	"stentor/engine"
)

// witness is the engine with the oracle beside it.
type witness struct {
	engine.Broker
	crowd *crowd
}

func (w *witness) Publish(ctx context.Context, name string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	number := numberOf(p.Data)
	got, err := w.Broker.Publish(ctx, name, p, o)
	if err == nil {
		w.crowd.byName[name].published(number, o, got.StreamPosition)
	}
	return got, err
}

func (w *witness) History(ctx context.Context, name string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	missed, top, err := w.Broker.History(ctx, name, f)
	w.crowd.byName[name].read(f, top)
	return missed, top, err
}

func (w *witness) RemoveHistory(ctx context.Context, name string) error {
	w.crowd.byName[name].removed()
	return w.Broker.RemoveHistory(ctx, name)
}

func (w *witness) PublishJoin(ctx context.Context, name string, info *codec.ClientInfo) error {
	return w.Broker.PublishJoin(ctx, name, numbered(info, w.crowd.byName[name].moved(joins, info)))
}

func (w *witness) PublishLeave(ctx context.Context, name string, info *codec.ClientInfo) error {
	return w.Broker.PublishLeave(ctx, name, numbered(info, w.crowd.byName[name].moved(leaves, info)))
}

// numbered puts the number of a move where the info of the channel would be, so that whoever hears of it knows which one it is:
// one client may join and leave a channel many times.
func numbered(info *codec.ClientInfo, x *post) *codec.ClientInfo {
	i := *info
	i.ChanInfo = strconv.AppendInt(nil, int64(x.number), 10)
	return &i
}
