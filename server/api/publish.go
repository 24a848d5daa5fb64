package api

import (
	"context"
	"encoding/base64"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/channel"
	"stentor/server/metrics"
)

// Publish publishes into a channel. Its result is zero where nothing is kept, also when there is nobody to hear.
func (a *API) Publish(ctx context.Context, req *PublishRequest) (res *PublishResult, err *Error) {
	defer a.done(methodPublish, a.now(), &err)
	if req.Channel == "" {
		return nil, a.bad(methodPublish, "the channel is missing")
	}
	data, err := a.data(methodPublish, &req.Message)
	if err != nil {
		return nil, err
	}
	ch, err := a.resolve(req.Channel)
	if err != nil {
		return nil, err
	}
	if ch.Options.Type != channel.TypeStream {
		return nil, a.bad(methodPublish, "a map or shared poll channel has publish methods of its own", "channel", req.Channel)
	}
	res = new(PublishResult)
	if err := a.publish(ctx, methodPublish, ch, &req.Message, data, res); err != nil {
		return nil, err
	}
	return res, nil
}

// data is the payload of a message, or error 107.
func (a *API) data(m int, msg *Message) ([]byte, *Error) {
	data := []byte(msg.Data)
	if msg.B64Data != "" {
		var err error
		if data, err = base64.StdEncoding.DecodeString(msg.B64Data); err != nil {
			return nil, a.bad(m, "b64data is not base64")
		}
	}
	if len(data) == 0 {
		return nil, a.bad(m, "data is missing")
	}
	return data, nil
}

// publish puts one message into one channel and fills in res. A broadcast calls it with the same data for each channel, which
// is why they share it: nobody writes to it any more.
func (a *API) publish(ctx context.Context, m int, ch channel.Channel, msg *Message, data []byte, res *PublishResult) *Error {
	if ch.IsPattern() {
		return a.bad(m, "the name has wildcards, which are for subscriptions", "channel", ch.Name)
	}
	if ch.Options.CheckData(data) != nil {
		return a.bad(m, "the data is not in the channel's publication_data_format", "channel", ch.Name)
	}
	if size := msg.size() + len(ch.Name) + len(data); size > a.publicationBytesMax {
		return a.bad(m, "the publication is too large", "channel", ch.Name, "bytes", size, "limit", a.publicationBytesMax)
	}
	p := &codec.Publication{Data: data, Tags: msg.Tags}
	got, err := a.cfg.Broker.Publish(ctx, ch.Name, p, msg.options(ch.Options))
	if err != nil {
		return a.failure("publish", ch.Name, err)
	}
	namespace := metrics.Namespace(ch.Options.Label)
	a.cfg.Metrics.Suppressed(namespace, got.Suppressed)
	a.cfg.Metrics.MessageSent(-1, namespace, metrics.MessagePublication)
	res.Offset, res.Epoch = got.Offset, got.Epoch
	return nil
}

// size is how many bytes go along with the data.
func (msg *Message) size() int {
	n := len(msg.IdempotencyKey) + len(msg.VersionEpoch)
	for k, v := range msg.Tags {
		n += len(k) + len(v)
	}
	return n
}

// options joins what the channel keeps with what the request wants.
func (msg *Message) options(o *channel.Options) engine.PublishOptions {
	out := engine.PublishOptions{
		HistorySize:    o.HistorySize,
		HistoryTTL:     o.HistoryTTL,
		HistoryMetaTTL: o.HistoryMetaTTL,
		IdempotencyKey: msg.IdempotencyKey,
		Version:        msg.Version,
		VersionEpoch:   msg.VersionEpoch,
		Delta:          msg.Delta || o.DeltaPublish,
	}
	if msg.SkipHistory {
		out.HistorySize, out.HistoryTTL = 0, 0
	}
	return out
}

// Broadcast publishes the same into many channels; each has a response of its own. It does not ask for the subscription type
// of a channel, as the reference does not.
func (a *API) Broadcast(ctx context.Context, req *BroadcastRequest) (res *BroadcastResult, err *Error) {
	defer a.done(methodBroadcast, a.now(), &err)
	if len(req.Channels) == 0 {
		return nil, a.bad(methodBroadcast, "the channels are missing")
	}
	if len(req.Channels) > BroadcastChannelsMax {
		return nil, a.bad(methodBroadcast, "too many channels", "channels", len(req.Channels), "limit", BroadcastChannelsMax)
	}
	data, err := a.data(methodBroadcast, &req.Message)
	if err != nil {
		return nil, err
	}
	responses := make([]PublishResponse, len(req.Channels))
	a.spread(len(responses), !a.cfg.Broker.Local(), func(i int) {
		responses[i] = a.broadcast(ctx, req.Channels[i], &req.Message, data)
	})
	return &BroadcastResult{Responses: responses}, nil
}

// broadcast serves one channel.
func (a *API) broadcast(ctx context.Context, name string, msg *Message, data []byte) PublishResponse {
	res, err := new(PublishResult), (*Error)(nil)
	if name == "" {
		err = a.bad(methodBroadcastPublish, "a channel is empty")
	} else if ch, unknown := a.resolve(name); unknown != nil {
		err = unknown
	} else {
		err = a.publish(ctx, methodBroadcastPublish, ch, msg, data, res)
	}
	if err != nil {
		a.counts.Error(methodBroadcastPublish, err.Code)
		return PublishResponse{Error: err}
	}
	return PublishResponse{Result: res}
}
