package codec

import (
	"maps"
	"slices"
)

func (w *jsonWriter) reply(m *Reply) {
	w.begin()
	w.uint(`"id":`, uint64(m.ID))
	if m.Error != nil {
		w.error(m.Error)
	}
	if m.Push != nil {
		w.push(m.Push)
	}
	if m.Connect != nil {
		w.connectResult(m.Connect)
	}
	if m.Subscribe != nil {
		w.subscribeResult(`"subscribe":`, m.Subscribe)
	}
	if m.Unsubscribe != nil {
		w.enter(`"unsubscribe":`)
		w.leave()
	}
	if m.Publish != nil {
		w.enter(`"publish":`)
		w.leave()
	}
	if m.Presence != nil {
		w.presenceResult(m.Presence)
	}
	if m.PresenceStats != nil {
		w.presenceStatsResult(m.PresenceStats)
	}
	if m.History != nil {
		w.historyResult(m.History)
	}
	if m.RPC != nil {
		w.enter(`"rpc":`)
		w.raw(`"data":`, m.RPC.Data)
		w.leave()
	}
	if m.Refresh != nil {
		w.refreshResult(m.Refresh)
	}
	if m.SubRefresh != nil {
		w.subRefreshResult(m.SubRefresh)
	}
	w.leave()
}

// pushReply writes a reply that carries m and nothing else.
func (w *jsonWriter) pushReply(m *Push) {
	w.begin()
	w.push(m)
	w.leave()
}

// barePush writes m and nothing around it.
func (w *jsonWriter) barePush(m *Push) {
	w.begin()
	w.pushFields(m)
	w.leave()
}

func (w *jsonWriter) error(m *Error) {
	w.enter(`"error":`)
	w.uintAlways(`"code":`, uint64(m.Code))
	w.textAlways(`"message":`, m.Message)
	w.bool(`"temporary":`, m.Temporary)
	w.leave()
}

func (w *jsonWriter) push(m *Push) {
	w.enter(`"push":`)
	w.pushFields(m)
	w.leave()
}

func (w *jsonWriter) pushFields(m *Push) {
	w.int(`"id":`, m.ID)
	w.text(`"channel":`, m.Channel)
	if m.Pub != nil {
		w.publication(`"pub":`, m.Pub)
	}
	if m.Join != nil {
		w.enter(`"join":`)
		w.clientInfo(`"info":`, m.Join.Info)
		w.leave()
	}
	if m.Leave != nil {
		w.enter(`"leave":`)
		w.clientInfo(`"info":`, m.Leave.Info)
		w.leave()
	}
	if m.Unsubscribe != nil {
		w.unsubscribe(m.Unsubscribe)
	}
	if m.Message != nil {
		w.enter(`"message":`)
		w.raw(`"data":`, m.Message.Data)
		w.leave()
	}
	if m.Subscribe != nil {
		w.subscribe(m.Subscribe)
	}
	if m.Connect != nil {
		w.connect(m.Connect)
	}
	if m.Disconnect != nil {
		w.disconnect(m.Disconnect)
	}
	if m.Refresh != nil {
		w.enter(`"refresh":`)
		w.bool(`"expires":`, m.Refresh.Expires)
		w.uint(`"ttl":`, uint64(m.Refresh.TTL))
		w.leave()
	}
}

func (w *jsonWriter) publication(key string, m *Publication) {
	w.enter(key)
	w.raw(`"data":`, m.Data)
	w.clientInfo(`"info":`, m.Info)
	w.uint(`"offset":`, m.Offset)
	w.texts(`"tags":`, m.Tags)
	w.bool(`"delta":`, m.Delta)
	w.int(`"time":`, m.Time)
	w.text(`"channel":`, m.Channel)
	w.text(`"key":`, m.Key)
	w.bool(`"removed":`, m.Removed)
	w.int(`"score":`, m.Score)
	w.text(`"epoch":`, m.Epoch)
	w.raw(`"prev_data":`, m.PrevData)
	w.uint(`"version":`, m.Version)
	w.leave()
}

// publications writes a list unless it is empty.
func (w *jsonWriter) publications(key string, list []*Publication) {
	if len(list) > 0 {
		w.publicationsAlways(key, list)
	}
}

func (w *jsonWriter) publicationsAlways(key string, list []*Publication) {
	w.enterList(key)
	for _, m := range list {
		w.publication("", m)
	}
	w.leaveList()
}

// clientInfo writes m unless it is nil.
func (w *jsonWriter) clientInfo(key string, m *ClientInfo) {
	if m == nil {
		return
	}
	w.enter(key)
	w.textAlways(`"user":`, m.User)
	w.textAlways(`"client":`, m.Client)
	w.raw(`"conn_info":`, m.ConnInfo)
	w.raw(`"chan_info":`, m.ChanInfo)
	w.leave()
}

// texts writes a map of strings unless it is empty.
func (w *jsonWriter) texts(key string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	w.enter(key)
	for k, v := range m {
		w.name(k)
		w.textAlways("", v)
	}
	w.leave()
}

func (w *jsonWriter) unsubscribe(m *Unsubscribe) {
	w.enter(`"unsubscribe":`)
	w.uint(`"code":`, uint64(m.Code))
	w.text(`"reason":`, m.Reason)
	w.leave()
}

func (w *jsonWriter) subscribe(m *Subscribe) {
	w.enter(`"subscribe":`)
	w.bool(`"recoverable":`, m.Recoverable)
	w.text(`"epoch":`, m.Epoch)
	w.uint(`"offset":`, m.Offset)
	w.bool(`"positioned":`, m.Positioned)
	w.raw(`"data":`, m.Data)
	w.leave()
}

func (w *jsonWriter) connect(m *Connect) {
	w.enter(`"connect":`)
	w.text(`"client":`, m.Client)
	w.text(`"version":`, m.Version)
	w.raw(`"data":`, m.Data)
	w.subscribeResults(m.Subs)
	w.bool(`"expires":`, m.Expires)
	w.uint(`"ttl":`, uint64(m.TTL))
	w.uint(`"ping":`, uint64(m.Ping))
	w.bool(`"pong":`, m.Pong)
	w.text(`"session":`, m.Session)
	w.text(`"node":`, m.Node)
	w.int(`"time":`, m.Time)
	w.leave()
}

func (w *jsonWriter) disconnect(m *DisconnectPush) {
	w.enter(`"disconnect":`)
	w.uint(`"code":`, uint64(m.Code))
	w.text(`"reason":`, m.Reason)
	w.bool(`"reconnect":`, m.Reconnect)
	w.leave()
}

func (w *jsonWriter) connectResult(m *ConnectResult) {
	w.enter(`"connect":`)
	w.text(`"client":`, m.Client)
	w.text(`"version":`, m.Version)
	w.bool(`"expires":`, m.Expires)
	w.uint(`"ttl":`, uint64(m.TTL))
	w.raw(`"data":`, m.Data)
	w.subscribeResults(m.Subs)
	w.uint(`"ping":`, uint64(m.Ping))
	w.bool(`"pong":`, m.Pong)
	w.text(`"session":`, m.Session)
	w.text(`"node":`, m.Node)
	w.int(`"time":`, m.Time)
	w.leave()
}

func (w *jsonWriter) subscribeResults(m map[string]*SubscribeResult) {
	if len(m) == 0 {
		return
	}
	w.enter(`"subs":`)
	for _, k := range slices.Sorted(maps.Keys(m)) { // in order, so that equal results are equal bytes
		w.name(k)
		w.subscribeResult("", m[k])
	}
	w.leave()
}

func (w *jsonWriter) subscribeResult(key string, m *SubscribeResult) {
	w.enter(key)
	w.bool(`"expires":`, m.Expires)
	w.uint(`"ttl":`, uint64(m.TTL))
	w.bool(`"recoverable":`, m.Recoverable)
	w.text(`"epoch":`, m.Epoch)
	w.publications(`"publications":`, m.Publications)
	w.bool(`"recovered":`, m.Recovered)
	w.uint(`"offset":`, m.Offset)
	w.bool(`"positioned":`, m.Positioned)
	w.raw(`"data":`, m.Data)
	w.bool(`"was_recovering":`, m.WasRecovering)
	w.bool(`"delta":`, m.Delta)
	w.int(`"id":`, m.ID)
	w.int(`"type":`, int64(m.Type))
	w.int(`"phase":`, int64(m.Phase))
	w.text(`"cursor":`, m.Cursor)
	w.publications(`"state":`, m.State)
	w.uint(`"publish_debounce":`, uint64(m.PublishDebounce))
	w.leave()
}

func (w *jsonWriter) presenceResult(m *PresenceResult) {
	w.enter(`"presence":`)
	w.enter(`"presence":`)
	for _, k := range slices.Sorted(maps.Keys(m.Presence)) {
		w.name(k)
		w.clientInfo("", m.Presence[k])
	}
	w.leave()
	w.leave()
}

func (w *jsonWriter) presenceStatsResult(m *PresenceStatsResult) {
	w.enter(`"presence_stats":`)
	w.uintAlways(`"num_clients":`, uint64(m.NumClients))
	w.uintAlways(`"num_users":`, uint64(m.NumUsers))
	w.leave()
}

func (w *jsonWriter) historyResult(m *HistoryResult) {
	w.enter(`"history":`)
	w.publicationsAlways(`"publications":`, m.Publications)
	w.textAlways(`"epoch":`, m.Epoch)
	w.uintAlways(`"offset":`, m.Offset)
	w.leave()
}

func (w *jsonWriter) refreshResult(m *RefreshResult) {
	w.enter(`"refresh":`)
	w.text(`"client":`, m.Client)
	w.text(`"version":`, m.Version)
	w.bool(`"expires":`, m.Expires)
	w.uint(`"ttl":`, uint64(m.TTL))
	w.leave()
}

func (w *jsonWriter) subRefreshResult(m *SubRefreshResult) {
	w.enter(`"sub_refresh":`)
	w.bool(`"expires":`, m.Expires)
	w.uint(`"ttl":`, uint64(m.TTL))
	w.publications(`"items":`, m.Items)
	w.leave()
}
