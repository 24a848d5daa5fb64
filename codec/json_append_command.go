package codec

// Only clients write commands: the load generator and tests.

func (w *jsonWriter) command(c *Command) {
	w.begin()
	w.uint(`"id":`, uint64(c.ID))
	switch c.Method {
	case MethodConnect:
		w.connectRequest(&c.Connect)
	case MethodSubscribe:
		w.subscribeRequest(`"subscribe":`, &c.Subscribe)
	case MethodUnsubscribe:
		w.onlyText(`"unsubscribe":`, `"channel":`, c.Unsubscribe.Channel)
	case MethodPublish:
		w.publishRequest(&c.Publish)
	case MethodPresence:
		w.onlyText(`"presence":`, `"channel":`, c.Presence.Channel)
	case MethodPresenceStats:
		w.onlyText(`"presence_stats":`, `"channel":`, c.PresenceStats.Channel)
	case MethodHistory:
		w.historyRequest(&c.History)
	case MethodPing:
		w.enter(`"ping":`)
		w.leave()
	case MethodSend:
		w.enter(`"send":`)
		w.raw(`"data":`, c.Send.Data)
		w.leave()
	case MethodRPC:
		w.rpcRequest(&c.RPC)
	case MethodRefresh:
		w.onlyText(`"refresh":`, `"token":`, c.Refresh.Token)
	case MethodSubRefresh:
		w.subRefreshRequest(&c.SubRefresh)
	}
	w.leave()
}

// onlyText writes a message with one field, a string.
func (w *jsonWriter) onlyText(key, field, v string) {
	w.enter(key)
	w.text(field, v)
	w.leave()
}

func (w *jsonWriter) connectRequest(m *ConnectRequest) {
	w.enter(`"connect":`)
	w.connectRequestFields(m)
	w.leave()
}

// wholeConnectRequest writes a connect request that nothing delimits.
func (w *jsonWriter) wholeConnectRequest(m *ConnectRequest) {
	w.begin()
	w.connectRequestFields(m)
	w.leave()
}

// wholeEmulationRequest writes an emulation request that nothing delimits.
func (w *jsonWriter) wholeEmulationRequest(m *EmulationRequest) {
	w.begin()
	w.text(`"node":`, m.Node)
	w.text(`"session":`, m.Session)
	w.textAlways(`"data":`, alias(m.Data))
	w.leave()
}

func (w *jsonWriter) connectRequestFields(m *ConnectRequest) {
	w.text(`"token":`, m.Token)
	w.raw(`"data":`, m.Data)
	if len(m.Subs) > 0 {
		w.enter(`"subs":`)
		for k, v := range m.Subs {
			w.name(k)
			w.subscribeRequest("", v)
		}
		w.leave()
	}
	w.text(`"name":`, m.Name)
	w.text(`"version":`, m.Version)
	w.texts(`"headers":`, m.Headers)
	w.int(`"flag":`, m.Flag)
}

func (w *jsonWriter) subscribeRequest(key string, m *SubscribeRequest) {
	w.enter(key)
	w.text(`"channel":`, m.Channel)
	w.text(`"token":`, m.Token)
	w.bool(`"recover":`, m.Recover)
	w.text(`"epoch":`, m.Epoch)
	w.uint(`"offset":`, m.Offset)
	w.raw(`"data":`, m.Data)
	w.bool(`"positioned":`, m.Positioned)
	w.bool(`"recoverable":`, m.Recoverable)
	w.bool(`"join_leave":`, m.JoinLeave)
	w.text(`"delta":`, m.Delta)
	if m.TF != nil {
		w.filterNode(`"tf":`, m.TF)
	}
	w.int(`"flag":`, m.Flag)
	w.int(`"type":`, int64(m.Type))
	w.int(`"phase":`, int64(m.Phase))
	w.text(`"cursor":`, m.Cursor)
	w.int(`"limit":`, int64(m.Limit))
	w.bool(`"asc":`, m.Asc)
	w.leave()
}

func (w *jsonWriter) filterNode(key string, m *FilterNode) {
	w.enter(key)
	w.text(`"op":`, m.Op)
	w.text(`"key":`, m.Key)
	w.text(`"cmp":`, m.Cmp)
	w.text(`"val":`, m.Val)
	w.textList(`"vals":`, m.Vals)
	if len(m.Nodes) > 0 {
		w.enterList(`"nodes":`)
		for _, node := range m.Nodes {
			w.filterNode("", node)
		}
		w.leaveList()
	}
	w.leave()
}

// textList writes a list of strings unless it is empty.
func (w *jsonWriter) textList(key string, list []string) {
	if len(list) == 0 {
		return
	}
	w.enterList(key)
	for _, v := range list {
		w.textAlways("", v)
	}
	w.leaveList()
}

func (w *jsonWriter) publishRequest(m *PublishRequest) {
	w.enter(`"publish":`)
	w.text(`"channel":`, m.Channel)
	w.raw(`"data":`, m.Data)
	w.int(`"type":`, int64(m.Type))
	w.text(`"key":`, m.Key)
	w.bool(`"removed":`, m.Removed)
	w.leave()
}

func (w *jsonWriter) historyRequest(m *HistoryRequest) {
	w.enter(`"history":`)
	w.text(`"channel":`, m.Channel)
	w.int(`"limit":`, int64(m.Limit))
	if m.Since != nil {
		w.enter(`"since":`)
		w.uint(`"offset":`, m.Since.Offset)
		w.text(`"epoch":`, m.Since.Epoch)
		w.leave()
	}
	w.bool(`"reverse":`, m.Reverse)
	w.leave()
}

func (w *jsonWriter) rpcRequest(m *RPCRequest) {
	w.enter(`"rpc":`)
	w.raw(`"data":`, m.Data)
	w.text(`"method":`, m.Method)
	w.leave()
}

func (w *jsonWriter) subRefreshRequest(m *SubRefreshRequest) {
	w.enter(`"sub_refresh":`)
	w.text(`"channel":`, m.Channel)
	w.text(`"token":`, m.Token)
	w.int(`"type":`, int64(m.Type))
	if len(m.Track) > 0 {
		w.enterList(`"track":`)
		for _, batch := range m.Track {
			w.trackBatch(batch)
		}
		w.leaveList()
	}
	w.textList(`"untrack":`, m.Untrack)
	w.leave()
}

func (w *jsonWriter) trackBatch(m *TrackBatch) {
	w.enter("")
	w.text(`"signature":`, m.Signature)
	if len(m.Items) > 0 {
		w.enterList(`"items":`)
		for _, item := range m.Items {
			w.enter("")
			w.text(`"key":`, item.Key)
			w.uint(`"version":`, item.Version)
			w.leave()
		}
		w.leaveList()
	}
	w.leave()
}
