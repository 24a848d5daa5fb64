package codec

import "bytes"

// decodeCommandJSON is DecodeCommand for JSON. The first newline ends a command, wherever it stands: a newline inside an
// object breaks it, and an empty line is not a command.
func decodeCommandJSON(data []byte, c *Command) (rest []byte, err error) {
	line, rest, _ := bytes.Cut(data, newline)
	r := jsonReader{data: line}
	r.command(c)
	c.settle()
	return rest, r.end()
}

// decodeReplyJSON is DecodeReply for JSON.
func decodeReplyJSON(data []byte, m *Reply) (rest []byte, err error) {
	line, rest, _ := bytes.Cut(data, newline)
	r := jsonReader{data: line}
	r.reply(m)
	return rest, r.end()
}

// decodeBareJSON is DecodeReply for bare pushes in JSON.
func decodeBareJSON(data []byte, m *Reply) (rest []byte, err error) {
	line, rest, _ := bytes.Cut(data, newline)
	r := jsonReader{data: line}
	var p Push
	r.push(&p)
	m.carry(&p)
	return rest, r.end()
}

var newline = []byte{'\n'}

// method tells whether the request of method m follows, and notes it. A null takes back what an equal key said before.
func (r *jsonReader) method(c *Command, m Method) bool {
	if r.null() {
		c.found &^= 1 << m
		c.clear(m)
		return false
	}
	c.found |= 1 << m
	return true
}

func (r *jsonReader) command(c *Command) {
	for r.enter(); r.member(); {
		switch r.key {
		case "id":
			r.uint32(&c.ID)
		case "connect":
			if r.method(c, MethodConnect) {
				r.connectRequest(&c.Connect)
			}
		case "subscribe":
			if r.method(c, MethodSubscribe) {
				r.subscribeRequest(&c.Subscribe)
			}
		case "unsubscribe":
			if r.method(c, MethodUnsubscribe) {
				r.onlyText("channel", &c.Unsubscribe.Channel)
			}
		case "publish":
			if r.method(c, MethodPublish) {
				r.publishRequest(&c.Publish)
			}
		case "presence":
			if r.method(c, MethodPresence) {
				r.onlyText("channel", &c.Presence.Channel)
			}
		case "presence_stats":
			if r.method(c, MethodPresenceStats) {
				r.onlyText("channel", &c.PresenceStats.Channel)
			}
		case "history":
			if r.method(c, MethodHistory) {
				r.historyRequest(&c.History)
			}
		case "ping":
			if r.method(c, MethodPing) {
				r.nothing()
			}
		case "send":
			if r.method(c, MethodSend) {
				r.onlyRaw("data", &c.Send.Data)
			}
		case "rpc":
			if r.method(c, MethodRPC) {
				r.rpcRequest(&c.RPC)
			}
		case "refresh":
			if r.method(c, MethodRefresh) {
				r.onlyText("token", &c.Refresh.Token)
			}
		case "sub_refresh":
			if r.method(c, MethodSubRefresh) {
				r.subRefreshRequest(&c.SubRefresh)
			}
		default:
			r.skip()
		}
	}
}

// nothing reads a message without fields.
func (r *jsonReader) nothing() {
	for r.enter(); r.member(); {
		r.skip()
	}
}

// onlyText reads a message with one field, a string.
func (r *jsonReader) onlyText(field string, v *string) {
	for r.enter(); r.member(); {
		if r.key == field {
			r.text(v)
		} else {
			r.skip()
		}
	}
}

// onlyRaw reads a message with one field, a payload.
func (r *jsonReader) onlyRaw(field string, v *[]byte) {
	for r.enter(); r.member(); {
		if r.key == field {
			r.raw(v)
		} else {
			r.skip()
		}
	}
}

func (r *jsonReader) connectRequest(m *ConnectRequest) {
	for r.enter(); r.member(); {
		switch r.key {
		case "token":
			r.text(&m.Token)
		case "data":
			r.raw(&m.Data)
		case "subs":
			r.subscribeRequests(&m.Subs)
		case "name":
			r.text(&m.Name)
		case "version":
			r.text(&m.Version)
		case "headers":
			r.texts(&m.Headers)
		case "flag":
			r.int64(&m.Flag)
		default:
			r.skip()
		}
	}
}

// wholeConnectRequest reads a connect request that nothing delimits.
func (r *jsonReader) wholeConnectRequest(m *ConnectRequest) { r.connectRequest(m) }

// wholeEmulationRequest reads an emulation request, whose commands are a string.
func (r *jsonReader) wholeEmulationRequest(m *EmulationRequest) {
	for r.enter(); r.member(); {
		switch r.key {
		case "node":
			r.text(&m.Node)
		case "session":
			r.text(&m.Session)
		case "data":
			m.Data = nil
			if r.peek() == '"' {
				m.Data = []byte(r.quoted())
			} else {
				r.skip()
			}
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) subscribeRequests(m *map[string]*SubscribeRequest) {
	if r.null() {
		*m = nil
		return
	}
	if *m == nil {
		*m = map[string]*SubscribeRequest{}
	}
	for r.enter(); r.member(); {
		key, value := r.key, new(SubscribeRequest)
		if !r.null() {
			r.subscribeRequest(value)
		}
		(*m)[key] = value
	}
}

// texts reads a map of strings.
func (r *jsonReader) texts(m *map[string]string) {
	if r.null() {
		*m = nil
		return
	}
	if *m == nil {
		*m = map[string]string{}
	}
	for r.enter(); r.member(); {
		key, value := r.key, ""
		r.text(&value)
		(*m)[key] = value
	}
}

// textList reads a list of strings.
func (r *jsonReader) textList(m *[]string) {
	*m = nil
	if r.null() {
		return
	}
	for r.enterList(); r.element(']'); {
		value := ""
		r.text(&value)
		*m = append(*m, value)
	}
}

func (r *jsonReader) subscribeRequest(m *SubscribeRequest) {
	for r.enter(); r.member(); {
		switch r.key {
		case "channel":
			r.text(&m.Channel)
		case "token":
			r.text(&m.Token)
		case "recover":
			r.bool(&m.Recover)
		case "epoch":
			r.text(&m.Epoch)
		case "offset":
			r.uint64(&m.Offset)
		case "data":
			r.raw(&m.Data)
		case "positioned":
			r.bool(&m.Positioned)
		case "recoverable":
			r.bool(&m.Recoverable)
		case "join_leave":
			r.bool(&m.JoinLeave)
		case "delta":
			r.text(&m.Delta)
		case "tf":
			r.filter(&m.TF)
		case "flag":
			r.int64(&m.Flag)
		case "type":
			r.int32(&m.Type)
		case "phase":
			r.int32(&m.Phase)
		case "cursor":
			r.text(&m.Cursor)
		case "limit":
			r.int32(&m.Limit)
		case "asc":
			r.bool(&m.Asc)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) filter(m **FilterNode) {
	if r.null() {
		*m = nil
		return
	}
	if *m == nil {
		*m = new(FilterNode)
	}
	r.filterNode(*m)
}

func (r *jsonReader) filterNode(m *FilterNode) {
	if r.depth++; r.depth > FilterDepthMax {
		r.fail("filter nested too deep")
	}
	for r.enter(); r.member(); {
		switch r.key {
		case "op":
			r.text(&m.Op)
		case "key":
			r.text(&m.Key)
		case "cmp":
			r.text(&m.Cmp)
		case "val":
			r.text(&m.Val)
		case "vals":
			r.textList(&m.Vals)
		case "nodes":
			r.filterNodes(&m.Nodes)
		default:
			r.skip()
		}
	}
	r.depth--
}

func (r *jsonReader) filterNodes(m *[]*FilterNode) {
	*m = nil
	if r.null() {
		return
	}
	for r.enterList(); r.element(']'); {
		node := new(FilterNode)
		if !r.null() {
			r.filterNode(node)
		}
		*m = append(*m, node)
	}
}

func (r *jsonReader) publishRequest(m *PublishRequest) {
	for r.enter(); r.member(); {
		switch r.key {
		case "channel":
			r.text(&m.Channel)
		case "data":
			r.raw(&m.Data)
		case "type":
			r.int32(&m.Type)
		case "key":
			r.text(&m.Key)
		case "removed":
			r.bool(&m.Removed)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) historyRequest(m *HistoryRequest) {
	for r.enter(); r.member(); {
		switch r.key {
		case "channel":
			r.text(&m.Channel)
		case "limit":
			r.int32(&m.Limit)
		case "since":
			r.since(&m.Since)
		case "reverse":
			r.bool(&m.Reverse)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) since(m **StreamPosition) {
	if r.null() {
		*m = nil
		return
	}
	if *m == nil {
		*m = new(StreamPosition)
	}
	r.streamPosition(*m)
}

func (r *jsonReader) streamPosition(m *StreamPosition) {
	for r.enter(); r.member(); {
		switch r.key {
		case "offset":
			r.uint64(&m.Offset)
		case "epoch":
			r.text(&m.Epoch)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) rpcRequest(m *RPCRequest) {
	for r.enter(); r.member(); {
		switch r.key {
		case "data":
			r.raw(&m.Data)
		case "method":
			r.text(&m.Method)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) subRefreshRequest(m *SubRefreshRequest) {
	for r.enter(); r.member(); {
		switch r.key {
		case "channel":
			r.text(&m.Channel)
		case "token":
			r.text(&m.Token)
		case "type":
			r.int32(&m.Type)
		case "track":
			r.trackBatches(&m.Track)
		case "untrack":
			r.textList(&m.Untrack)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) trackBatches(m *[]*TrackBatch) {
	*m = nil
	if r.null() {
		return
	}
	for r.enterList(); r.element(']'); {
		batch := new(TrackBatch)
		if !r.null() {
			r.trackBatch(batch)
		}
		*m = append(*m, batch)
	}
}

func (r *jsonReader) trackBatch(m *TrackBatch) {
	for r.enter(); r.member(); {
		switch r.key {
		case "signature":
			r.text(&m.Signature)
		case "items":
			r.keyedItems(&m.Items)
		default:
			r.skip()
		}
	}
}

func (r *jsonReader) keyedItems(m *[]*KeyedItem) {
	*m = nil
	if r.null() {
		return
	}
	for r.enterList(); r.element(']'); {
		item := new(KeyedItem)
		if !r.null() {
			r.keyedItem(item)
		}
		*m = append(*m, item)
	}
}

func (r *jsonReader) keyedItem(m *KeyedItem) {
	for r.enter(); r.member(); {
		switch r.key {
		case "key":
			r.text(&m.Key)
		case "version":
			r.uint64(&m.Version)
		default:
			r.skip()
		}
	}
}
