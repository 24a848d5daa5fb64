package codec

import "stentor/codec/wire"

// fromReply turns a reply of package wire into ours, sharing its bytes.
func fromReply(w *wire.Reply) Reply {
	m := Reply{ID: w.Id}
	if e := w.Error; e != nil {
		m.Error = &Error{Code: e.Code, Message: e.Message, Temporary: e.Temporary}
	}
	if w.Push != nil {
		m.Push = fromPush(w.Push)
	}
	if c := w.Connect; c != nil {
		m.Connect = &ConnectResult{
			Client: c.Client, Version: c.Version, Expires: c.Expires, TTL: c.Ttl, Data: c.Data,
			Subs: fromSubscribeResults(c.Subs), Ping: c.Ping, Pong: c.Pong, Session: c.Session, Node: c.Node, Time: c.Time,
		}
	}
	if w.Subscribe != nil {
		m.Subscribe = fromSubscribeResult(w.Subscribe)
	}
	if w.Unsubscribe != nil {
		m.Unsubscribe = &UnsubscribeResult{}
	}
	if w.Publish != nil {
		m.Publish = &PublishResult{}
	}
	if w.Presence != nil {
		m.Presence = fromPresenceResult(w.Presence)
	}
	if s := w.PresenceStats; s != nil {
		m.PresenceStats = &PresenceStatsResult{NumClients: s.NumClients, NumUsers: s.NumUsers}
	}
	if h := w.History; h != nil {
		m.History = &HistoryResult{Publications: fromPublications(h.Publications), Epoch: h.Epoch, Offset: h.Offset}
	}
	if w.Rpc != nil {
		m.RPC = &RPCResult{Data: w.Rpc.Data}
	}
	if f := w.Refresh; f != nil {
		m.Refresh = &RefreshResult{Client: f.Client, Version: f.Version, Expires: f.Expires, TTL: f.Ttl}
	}
	if s := w.SubRefresh; s != nil {
		m.SubRefresh = &SubRefreshResult{Expires: s.Expires, TTL: s.Ttl, Items: fromPublications(s.Items)}
	}
	return m
}

func fromPush(w *wire.Push) *Push {
	m := &Push{ID: w.Id, Channel: w.Channel}
	if w.Pub != nil {
		m.Pub = fromPublication(w.Pub)
	}
	if w.Join != nil {
		m.Join = &Join{Info: fromClientInfo(w.Join.Info)}
	}
	if w.Leave != nil {
		m.Leave = &Leave{Info: fromClientInfo(w.Leave.Info)}
	}
	if w.Unsubscribe != nil {
		m.Unsubscribe = &Unsubscribe{Code: w.Unsubscribe.Code, Reason: w.Unsubscribe.Reason}
	}
	if w.Message != nil {
		m.Message = &Message{Data: w.Message.Data}
	}
	if s := w.Subscribe; s != nil {
		m.Subscribe = &Subscribe{
			Recoverable: s.Recoverable, Epoch: s.Epoch, Offset: s.Offset, Positioned: s.Positioned, Data: s.Data,
		}
	}
	if c := w.Connect; c != nil {
		m.Connect = &Connect{
			Client: c.Client, Version: c.Version, Data: c.Data, Subs: fromSubscribeResults(c.Subs), Expires: c.Expires,
			TTL: c.Ttl, Ping: c.Ping, Pong: c.Pong, Session: c.Session, Node: c.Node, Time: c.Time,
		}
	}
	if d := w.Disconnect; d != nil {
		m.Disconnect = &DisconnectPush{Code: d.Code, Reason: d.Reason, Reconnect: d.Reconnect}
	}
	if w.Refresh != nil {
		m.Refresh = &Refresh{Expires: w.Refresh.Expires, TTL: w.Refresh.Ttl}
	}
	return m
}

func fromPublication(w *wire.Publication) *Publication {
	return &Publication{
		Offset:   w.Offset,
		Data:     w.Data,
		Info:     fromClientInfo(w.Info),
		Tags:     w.Tags,
		Delta:    w.Delta,
		Time:     w.Time,
		Channel:  w.Channel,
		Key:      w.Key,
		Removed:  w.Removed,
		Score:    w.Score,
		Epoch:    w.Epoch,
		PrevData: w.PrevData,
		Version:  w.Version,
	}
}

func fromPublications(list []*wire.Publication) []*Publication {
	var m []*Publication
	for _, w := range list {
		m = append(m, fromPublication(w))
	}
	return m
}

func fromClientInfo(w *wire.ClientInfo) *ClientInfo {
	if w == nil {
		return nil
	}
	return &ClientInfo{User: w.User, Client: w.Client, ConnInfo: w.ConnInfo, ChanInfo: w.ChanInfo}
}

func fromSubscribeResults(w map[string]*wire.SubscribeResult) map[string]*SubscribeResult {
	if w == nil {
		return nil
	}
	m := make(map[string]*SubscribeResult, len(w))
	for k, v := range w {
		m[k] = fromSubscribeResult(v)
	}
	return m
}

// fromSubscribeResult takes a nil for an empty result: so the generated code reads a map entry without a value.
func fromSubscribeResult(w *wire.SubscribeResult) *SubscribeResult {
	if w == nil {
		return &SubscribeResult{}
	}
	return &SubscribeResult{
		Expires:         w.Expires,
		TTL:             w.Ttl,
		Recoverable:     w.Recoverable,
		Epoch:           w.Epoch,
		Publications:    fromPublications(w.Publications),
		Recovered:       w.Recovered,
		Offset:          w.Offset,
		Positioned:      w.Positioned,
		Data:            w.Data,
		WasRecovering:   w.WasRecovering,
		Delta:           w.Delta,
		ID:              w.Id,
		Type:            w.Type,
		Phase:           w.Phase,
		Cursor:          w.Cursor,
		State:           fromPublications(w.State),
		PublishDebounce: w.PublishDebounce,
	}
}

func fromPresenceResult(w *wire.PresenceResult) *PresenceResult {
	m := &PresenceResult{}
	if w.Presence != nil {
		m.Presence = make(map[string]*ClientInfo, len(w.Presence))
	}
	for k, v := range w.Presence {
		if v == nil { // a map entry without a value
			v = &wire.ClientInfo{}
		}
		m.Presence[k] = fromClientInfo(v)
	}
	return m
}
