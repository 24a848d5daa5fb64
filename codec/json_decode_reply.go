package codec

// Only clients read replies: the load generator and tests.

func (r *jsonReader) reply(m *Reply) {
	for r.enter(); r.member(); {
		switch r.key {
		case "id":
			r.uint32(&m.ID)
		case "error":
			m.Error = new(Error)
			r.error(m.Error)
		case "push":
			m.Push = new(Push)
			r.push(m.Push)
		case "connect":
			m.Connect = new(ConnectResult)
			r.connectResult(m.Connect)
		case "subscribe":
			m.Subscribe = new(SubscribeResult)
			r.subscribeResult(m.Subscribe)
		case "unsubscribe":
			m.Unsubscribe = new(UnsubscribeResult)
			r.nothing()
		case "publish":
			m.Publish = new(PublishResult)
			r.nothing()
		case "presence":
			m.Presence = new(PresenceResult)
			r.presenceResult(m.Presence)
		case "presence_stats":
			m.PresenceStats = new(PresenceStatsResult)
			r.presenceStatsResult(m.PresenceStats)
		case "history":
			m.History = new(HistoryResult)
			r.historyResult(m.History)
		case "rpc":
			m.RPC = new(RPCResult)
			r.onlyRaw("data", &m.RPC.Data)
		case "refresh":
			m.Refresh = new(RefreshResult)
			r.refreshResult(m.Refresh)
		case "sub_refresh":
			m.SubRefresh = new(SubRefreshResult)
			r.subRefreshResult(m.SubRefresh)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) error(m *Error) {
	for r.enter(); r.member(); {
		switch r.key {
		case "code":
			r.uint32(&m.Code)
		case "message":
			r.text(&m.Message)
		case "temporary":
			r.bool(&m.Temporary)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) push(m *Push) {
	for r.enter(); r.member(); {
		switch r.key {
		case "id":
			r.int64(&m.ID)
		case "channel":
			r.text(&m.Channel)
		case "pub":
			m.Pub = new(Publication)
			r.publication(m.Pub)
		case "join":
			m.Join = new(Join)
			r.onlyInfo(&m.Join.Info)
		case "leave":
			m.Leave = new(Leave)
			r.onlyInfo(&m.Leave.Info)
		case "unsubscribe":
			m.Unsubscribe = new(Unsubscribe)
			r.unsubscribe(m.Unsubscribe)
		case "message":
			m.Message = new(Message)
			r.onlyRaw("data", &m.Message.Data)
		case "subscribe":
			m.Subscribe = new(Subscribe)
			r.subscribe(m.Subscribe)
		case "connect":
			m.Connect = new(Connect)
			r.connect(m.Connect)
		case "disconnect":
			m.Disconnect = new(DisconnectPush)
			r.disconnect(m.Disconnect)
		case "refresh":
			m.Refresh = new(Refresh)
			r.refresh(m.Refresh)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) publication(m *Publication) {
	for r.enter(); r.member(); {
		switch r.key {
		case "data":
			r.raw(&m.Data)
		case "info":
			m.Info = new(ClientInfo)
			r.clientInfo(m.Info)
		case "offset":
			r.uint64(&m.Offset)
		case "tags":
			r.texts(&m.Tags)
		case "delta":
			r.bool(&m.Delta)
		case "time":
			r.int64(&m.Time)
		case "channel":
			r.text(&m.Channel)
		case "key":
			r.text(&m.Key)
		case "removed":
			r.bool(&m.Removed)
		case "score":
			r.int64(&m.Score)
		case "epoch":
			r.text(&m.Epoch)
		case "prev_data":
			r.raw(&m.PrevData)
		case "version":
			r.uint64(&m.Version)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) publications(m *[]*Publication) {
	for r.enterList(); r.element(']'); {
		p := new(Publication)
		r.publication(p)
		*m = append(*m, p)
	}
}

func (r *jsonReader) clientInfo(m *ClientInfo) {
	for r.enter(); r.member(); {
		switch r.key {
		case "user":
			r.text(&m.User)
		case "client":
			r.text(&m.Client)
		case "conn_info":
			r.raw(&m.ConnInfo)
		case "chan_info":
			r.raw(&m.ChanInfo)
		default:
			r.skip()
		}
	}
}

// onlyInfo reads a message with one field, a client's info.
func (r *jsonReader) onlyInfo(m **ClientInfo) {
	for r.enter(); r.member(); {
		switch r.key {
		case "info":
			*m = new(ClientInfo)
			r.clientInfo(*m)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) unsubscribe(m *Unsubscribe) {
	for r.enter(); r.member(); {
		switch r.key {
		case "code":
			r.uint32(&m.Code)
		case "reason":
			r.text(&m.Reason)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) subscribe(m *Subscribe) {
	for r.enter(); r.member(); {
		switch r.key {
		case "recoverable":
			r.bool(&m.Recoverable)
		case "epoch":
			r.text(&m.Epoch)
		case "offset":
			r.uint64(&m.Offset)
		case "positioned":
			r.bool(&m.Positioned)
		case "data":
			r.raw(&m.Data)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) connect(m *Connect) {
	var result ConnectResult // the same fields, and in JSON the same keys
	r.connectResult(&result)
	*m = Connect{
		Client: result.Client, Version: result.Version, Data: result.Data, Subs: result.Subs,
		Expires: result.Expires, TTL: result.TTL, Ping: result.Ping, Pong: result.Pong,
		Session: result.Session, Node: result.Node, Time: result.Time,
	}
}

func (r *jsonReader) disconnect(m *DisconnectPush) {
	for r.enter(); r.member(); {
		switch r.key {
		case "code":
			r.uint32(&m.Code)
		case "reason":
			r.text(&m.Reason)
		case "reconnect":
			r.bool(&m.Reconnect)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) refresh(m *Refresh) {
	for r.enter(); r.member(); {
		switch r.key {
		case "expires":
			r.bool(&m.Expires)
		case "ttl":
			r.uint32(&m.TTL)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) connectResult(m *ConnectResult) {
	for r.enter(); r.member(); {
		switch r.key {
		case "client":
			r.text(&m.Client)
		case "version":
			r.text(&m.Version)
		case "expires":
			r.bool(&m.Expires)
		case "ttl":
			r.uint32(&m.TTL)
		case "data":
			r.raw(&m.Data)
		case "subs":
			r.subscribeResults(&m.Subs)
		case "ping":
			r.uint32(&m.Ping)
		case "pong":
			r.bool(&m.Pong)
		case "session":
			r.text(&m.Session)
		case "node":
			r.text(&m.Node)
		case "time":
			r.int64(&m.Time)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) subscribeResults(m *map[string]*SubscribeResult) {
	*m = map[string]*SubscribeResult{}
	for r.enter(); r.member(); {
		key, value := r.key, new(SubscribeResult)
		r.subscribeResult(value)
		(*m)[key] = value
	}
}

func (r *jsonReader) subscribeResult(m *SubscribeResult) {
	for r.enter(); r.member(); {
		switch r.key {
		case "expires":
			r.bool(&m.Expires)
		case "ttl":
			r.uint32(&m.TTL)
		case "recoverable":
			r.bool(&m.Recoverable)
		case "epoch":
			r.text(&m.Epoch)
		case "publications":
			r.publications(&m.Publications)
		case "recovered":
			r.bool(&m.Recovered)
		case "offset":
			r.uint64(&m.Offset)
		case "positioned":
			r.bool(&m.Positioned)
		case "data":
			r.raw(&m.Data)
		case "was_recovering":
			r.bool(&m.WasRecovering)
		case "delta":
			r.bool(&m.Delta)
		case "id":
			r.int64(&m.ID)
		case "type":
			r.int32(&m.Type)
		case "phase":
			r.int32(&m.Phase)
		case "cursor":
			r.text(&m.Cursor)
		case "state":
			r.publications(&m.State)
		case "publish_debounce":
			r.uint32(&m.PublishDebounce)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) presenceResult(m *PresenceResult) {
	for r.enter(); r.member(); {
		switch r.key {
		case "presence":
			r.clientInfos(&m.Presence)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) clientInfos(m *map[string]*ClientInfo) {
	*m = map[string]*ClientInfo{}
	for r.enter(); r.member(); {
		key, value := r.key, new(ClientInfo)
		r.clientInfo(value)
		(*m)[key] = value
	}
}

func (r *jsonReader) presenceStatsResult(m *PresenceStatsResult) {
	for r.enter(); r.member(); {
		switch r.key {
		case "num_clients":
			r.uint32(&m.NumClients)
		case "num_users":
			r.uint32(&m.NumUsers)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) historyResult(m *HistoryResult) {
	for r.enter(); r.member(); {
		switch r.key {
		case "publications":
			r.publications(&m.Publications)
		case "epoch":
			r.text(&m.Epoch)
		case "offset":
			r.uint64(&m.Offset)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) refreshResult(m *RefreshResult) {
	for r.enter(); r.member(); {
		switch r.key {
		case "client":
			r.text(&m.Client)
		case "version":
			r.text(&m.Version)
		case "expires":
			r.bool(&m.Expires)
		case "ttl":
			r.uint32(&m.TTL)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) subRefreshResult(m *SubRefreshResult) {
	for r.enter(); r.member(); {
		switch r.key {
		case "expires":
			r.bool(&m.Expires)
		case "ttl":
			r.uint32(&m.TTL)
		case "items":
			r.publications(&m.Items)
		default:
			r.skip()
		}
	}
}
