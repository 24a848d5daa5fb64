package codec

import "stentor/codec/wire"

func (w *protobufWriter) reply(m *Reply) {
	all := w.begin(0)
	w.uint(1, uint64(m.ID))
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
		w.subscribeResult(6, m.Subscribe)
	}
	if m.Unsubscribe != nil {
		w.leave(w.enter(7, 0))
	}
	if m.Publish != nil {
		w.leave(w.enter(8, 0))
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
		w.generated(13, &wire.RPCResult{Data: m.RPC.Data})
	}
	if m.Refresh != nil {
		w.refreshResult(m.Refresh)
	}
	if m.SubRefresh != nil {
		w.subRefreshResult(m.SubRefresh)
	}
	w.leave(all)
}

// pushReply writes a reply that carries m and nothing else.
func (w *protobufWriter) pushReply(m *Push) {
	all := w.begin(m.guess())
	w.push(m)
	w.leave(all)
}

// barePush writes m and nothing around it.
func (w *protobufWriter) barePush(m *Push) {
	all := w.begin(m.guess())
	w.pushFields(m)
	w.leave(all)
}

func (w *protobufWriter) error(m *Error) {
	body := w.enter(2, len(m.Message))
	w.uint(1, uint64(m.Code))
	w.text(2, m.Message)
	w.bool(3, m.Temporary)
	w.leave(body)
}

func (w *protobufWriter) push(m *Push) {
	body := w.enter(4, m.guess())
	w.pushFields(m)
	w.leave(body)
}

func (w *protobufWriter) pushFields(m *Push) {
	w.int(1, m.ID)
	w.text(2, m.Channel)
	w.news(m)
	if m.Unsubscribe != nil {
		w.unsubscribe(m.Unsubscribe)
	}
	if m.Message != nil {
		w.generated(8, &wire.Message{Data: m.Message.Data})
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
		w.generated(12, &wire.Refresh{Expires: m.Refresh.Expires, Ttl: m.Refresh.TTL})
	}
}

// guess estimates the encoded size of m from below.
func (m *Push) guess() int {
	return len(m.Channel) + m.Pub.guess()
}

func (w *protobufWriter) publication(field uint32, m *Publication) {
	body := w.enter(field, m.guess())
	w.publicationFields(m)
	w.leave(body)
}

func (w *protobufWriter) publicationFields(m *Publication) {
	w.raw(4, m.Data)
	w.clientInfo(5, m.Info)
	w.uint(6, m.Offset)
	w.texts(7, m.Tags)
	w.bool(8, m.Delta)
	w.int(9, m.Time)
	w.text(10, m.Channel)
	w.text(11, m.Key)
	w.bool(12, m.Removed)
	w.sint(13, m.Score)
	w.text(14, m.Epoch)
	w.raw(15, m.PrevData)
	w.uint(16, m.Version)
}

// guess estimates the encoded size of m from below.
func (m *Publication) guess() int {
	if m == nil {
		return 0
	}
	return len(m.Data) + m.Info.guess()
}

// publications writes a list.
func (w *protobufWriter) publications(field uint32, list []*Publication) {
	for _, m := range list {
		w.publication(field, m)
	}
}

// clientInfo writes m unless it is nil.
func (w *protobufWriter) clientInfo(field uint32, m *ClientInfo) {
	if m == nil {
		return
	}
	body := w.enter(field, m.guess())
	w.clientInfoFields(m)
	w.leave(body)
}

func (w *protobufWriter) clientInfoFields(m *ClientInfo) {
	w.text(1, m.User)
	w.text(2, m.Client)
	w.raw(3, m.ConnInfo)
	w.raw(4, m.ChanInfo)
}

// guess estimates the encoded size of m from below.
func (m *ClientInfo) guess() int {
	if m == nil {
		return 0
	}
	return len(m.User) + len(m.Client) + len(m.ConnInfo) + len(m.ChanInfo)
}

// texts writes a map of strings.
func (w *protobufWriter) texts(field uint32, m map[string]string) {
	for k, v := range m {
		entry := w.enter(field, len(k)+len(v))
		w.textAlways(1, k)
		w.textAlways(2, v)
		w.leave(entry)
	}
}

func (w *protobufWriter) unsubscribe(m *Unsubscribe) {
	w.generated(7, &wire.Unsubscribe{Code: m.Code, Reason: validText(m.Reason)})
}

func (w *protobufWriter) subscribe(m *Subscribe) {
	w.generated(9, &wire.Subscribe{
		Recoverable: m.Recoverable, Epoch: validText(m.Epoch), Offset: m.Offset, Positioned: m.Positioned, Data: m.Data,
	})
}

func (w *protobufWriter) connect(m *Connect) {
	body := w.enter(10, 0)
	w.text(1, m.Client)
	w.text(2, m.Version)
	w.raw(3, m.Data)
	w.subscribeResults(4, m.Subs)
	w.bool(5, m.Expires)
	w.uint(6, uint64(m.TTL))
	w.uint(7, uint64(m.Ping))
	w.bool(8, m.Pong)
	w.text(9, m.Session)
	w.text(10, m.Node)
	w.int(11, m.Time)
	w.leave(body)
}

func (w *protobufWriter) disconnect(m *DisconnectPush) {
	w.generated(11, &wire.Disconnect{Code: m.Code, Reason: validText(m.Reason), Reconnect: m.Reconnect})
}

func (w *protobufWriter) connectResult(m *ConnectResult) {
	body := w.enter(5, 0)
	w.text(1, m.Client)
	w.text(2, m.Version)
	w.bool(3, m.Expires)
	w.uint(4, uint64(m.TTL))
	w.raw(5, m.Data)
	w.subscribeResults(6, m.Subs)
	w.uint(7, uint64(m.Ping))
	w.bool(8, m.Pong)
	w.text(9, m.Session)
	w.text(10, m.Node)
	w.int(11, m.Time)
	w.leave(body)
}

func (w *protobufWriter) subscribeResults(field uint32, m map[string]*SubscribeResult) {
	for k, v := range m {
		entry := w.enter(field, len(k))
		w.textAlways(1, k)
		w.subscribeResult(2, v)
		w.leave(entry)
	}
}

func (w *protobufWriter) subscribeResult(field uint32, m *SubscribeResult) {
	body := w.enter(field, 0)
	w.bool(1, m.Expires)
	w.uint(2, uint64(m.TTL))
	w.bool(3, m.Recoverable)
	w.text(6, m.Epoch)
	w.publications(7, m.Publications)
	w.bool(8, m.Recovered)
	w.uint(9, m.Offset)
	w.bool(10, m.Positioned)
	w.raw(11, m.Data)
	w.bool(12, m.WasRecovering)
	w.bool(13, m.Delta)
	w.int(14, m.ID)
	w.int(15, int64(m.Type))
	w.int(16, int64(m.Phase))
	w.text(17, m.Cursor)
	w.publications(18, m.State)
	w.uint(19, uint64(m.PublishDebounce))
	w.leave(body)
}

func (w *protobufWriter) presenceResult(m *PresenceResult) {
	body := w.enter(9, 0)
	for k, v := range m.Presence {
		entry := w.enter(1, len(k)+v.guess())
		w.textAlways(1, k)
		w.clientInfo(2, v)
		w.leave(entry)
	}
	w.leave(body)
}

func (w *protobufWriter) presenceStatsResult(m *PresenceStatsResult) {
	w.generated(10, &wire.PresenceStatsResult{NumClients: m.NumClients, NumUsers: m.NumUsers})
}

func (w *protobufWriter) historyResult(m *HistoryResult) {
	body := w.enter(11, 0)
	w.publications(1, m.Publications)
	w.text(2, m.Epoch)
	w.uint(3, m.Offset)
	w.leave(body)
}

func (w *protobufWriter) refreshResult(m *RefreshResult) {
	w.generated(14, &wire.RefreshResult{
		Client: validText(m.Client), Version: validText(m.Version), Expires: m.Expires, Ttl: m.TTL,
	})
}

func (w *protobufWriter) subRefreshResult(m *SubRefreshResult) {
	body := w.enter(15, 0)
	w.bool(1, m.Expires)
	w.uint(2, uint64(m.TTL))
	w.publications(3, m.Items)
	w.leave(body)
}

// command writes a command. Only clients do, so the generated code does.
func (w *protobufWriter) command(c *Command) {
	w.delimited(toCommand(c))
}

// wholeConnectRequest writes a connect request that nothing delimits.
func (w *protobufWriter) wholeConnectRequest(m *ConnectRequest) {
	message := toConnectRequest(m)
	w.undelimited(message, message.SizeVT())
}

// wholeEmulationRequest writes an emulation request that nothing delimits.
func (w *protobufWriter) wholeEmulationRequest(m *EmulationRequest) {
	w.text(1, m.Node)
	w.text(2, m.Session)
	w.raw(3, m.Data)
}
