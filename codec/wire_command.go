package codec

import "stentor/codec/wire"

// toCommand turns the request that c.Method names into a command of package wire, sharing its bytes. Broken UTF-8 in
// strings becomes U+FFFD.
func toCommand(c *Command) *wire.Command {
	w := &wire.Command{Id: c.ID}
	switch c.Method {
	case MethodConnect:
		w.Connect = toConnectRequest(&c.Connect)
	case MethodSubscribe:
		w.Subscribe = toSubscribeRequest(&c.Subscribe)
	case MethodUnsubscribe:
		w.Unsubscribe = &wire.UnsubscribeRequest{Channel: validText(c.Unsubscribe.Channel)}
	case MethodPublish:
		w.Publish = toPublishRequest(&c.Publish)
	case MethodPresence:
		w.Presence = &wire.PresenceRequest{Channel: validText(c.Presence.Channel)}
	case MethodPresenceStats:
		w.PresenceStats = &wire.PresenceStatsRequest{Channel: validText(c.PresenceStats.Channel)}
	case MethodHistory:
		w.History = toHistoryRequest(&c.History)
	case MethodPing:
		w.Ping = &wire.PingRequest{}
	case MethodSend:
		w.Send = &wire.SendRequest{Data: c.Send.Data}
	case MethodRPC:
		w.Rpc = &wire.RPCRequest{Data: c.RPC.Data, Method: validText(c.RPC.Method)}
	case MethodRefresh:
		w.Refresh = &wire.RefreshRequest{Token: validText(c.Refresh.Token)}
	case MethodSubRefresh:
		w.SubRefresh = toSubRefreshRequest(&c.SubRefresh)
	}
	return w
}

func toConnectRequest(m *ConnectRequest) *wire.ConnectRequest {
	w := &wire.ConnectRequest{
		Token: validText(m.Token), Data: m.Data, Name: validText(m.Name), Version: validText(m.Version), Flag: m.Flag,
	}
	if len(m.Subs) > 0 {
		w.Subs = make(map[string]*wire.SubscribeRequest, len(m.Subs))
		for k, v := range m.Subs {
			w.Subs[validText(k)] = toSubscribeRequest(v)
		}
	}
	if len(m.Headers) > 0 {
		w.Headers = make(map[string]string, len(m.Headers))
		for k, v := range m.Headers {
			w.Headers[validText(k)] = validText(v)
		}
	}
	return w
}

func toSubscribeRequest(m *SubscribeRequest) *wire.SubscribeRequest {
	w := &wire.SubscribeRequest{
		Channel:     validText(m.Channel),
		Token:       validText(m.Token),
		Recover:     m.Recover,
		Epoch:       validText(m.Epoch),
		Offset:      m.Offset,
		Data:        m.Data,
		Positioned:  m.Positioned,
		Recoverable: m.Recoverable,
		JoinLeave:   m.JoinLeave,
		Delta:       validText(m.Delta),
		Flag:        m.Flag,
		Type:        m.Type,
		Phase:       m.Phase,
		Cursor:      validText(m.Cursor),
		Limit:       m.Limit,
		Asc:         m.Asc,
	}
	if m.TF != nil {
		w.Tf = toFilterNode(m.TF)
	}
	return w
}

func toFilterNode(m *FilterNode) *wire.FilterNode {
	w := &wire.FilterNode{
		Op: validText(m.Op), Key: validText(m.Key), Cmp: validText(m.Cmp), Val: validText(m.Val), Vals: toTexts(m.Vals),
	}
	for _, node := range m.Nodes {
		w.Nodes = append(w.Nodes, toFilterNode(node))
	}
	return w
}

func toTexts(list []string) []string {
	var w []string
	for _, v := range list {
		w = append(w, validText(v))
	}
	return w
}

func toPublishRequest(m *PublishRequest) *wire.PublishRequest {
	return &wire.PublishRequest{
		Channel: validText(m.Channel), Data: m.Data, Type: m.Type, Key: validText(m.Key), Removed: m.Removed,
	}
}

func toHistoryRequest(m *HistoryRequest) *wire.HistoryRequest {
	w := &wire.HistoryRequest{Channel: validText(m.Channel), Limit: m.Limit, Reverse: m.Reverse}
	if m.Since != nil {
		w.Since = &wire.StreamPosition{Offset: m.Since.Offset, Epoch: validText(m.Since.Epoch)}
	}
	return w
}

func toSubRefreshRequest(m *SubRefreshRequest) *wire.SubRefreshRequest {
	w := &wire.SubRefreshRequest{
		Channel: validText(m.Channel), Token: validText(m.Token), Type: m.Type, Untrack: toTexts(m.Untrack),
	}
	for _, b := range m.Track {
		batch := &wire.TrackBatch{Signature: validText(b.Signature)}
		for _, item := range b.Items {
			batch.Items = append(batch.Items, &wire.KeyedItem{Key: validText(item.Key), Version: item.Version})
		}
		w.Track = append(w.Track, batch)
	}
	return w
}
