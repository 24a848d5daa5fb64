package codec

import (
	"fmt"

	"stentor/codec/wire"
)

// decodeCommandProtobuf is DecodeCommand for Protobuf. The declared length is only compared with what is there, never
// believed.
func decodeCommandProtobuf(data []byte, c *Command) (rest []byte, err error) {
	message, rest, err := cutProtobuf(data)
	if err != nil {
		return rest, err
	}
	r := protobufReader{data: message}
	r.command(c)
	c.settle()
	return rest, r.end()
}

// decodeReplyProtobuf is DecodeReply for Protobuf. Only clients read replies, so the generated code does.
func decodeReplyProtobuf(data []byte, m *Reply) (rest []byte, err error) {
	message, rest, err := cutProtobuf(data)
	if err != nil {
		return rest, err
	}
	var reply wire.Reply
	if err := reply.UnmarshalVT(message); err != nil {
		return rest, fmt.Errorf("%w: Protobuf: %w", ErrMalformed, err)
	}
	*m = fromReply(&reply)
	return rest, nil
}

// decodeBareProtobuf is DecodeReply for bare pushes in Protobuf.
func decodeBareProtobuf(data []byte, m *Reply) (rest []byte, err error) {
	message, rest, err := cutProtobuf(data)
	if err != nil {
		return rest, err
	}
	var push wire.Push
	if err := push.UnmarshalVT(message); err != nil {
		return rest, fmt.Errorf("%w: Protobuf: %w", ErrMalformed, err)
	}
	m.carry(fromPush(&push))
	return rest, nil
}

// cutProtobuf cuts data after its first delimited message.
func cutProtobuf(data []byte) (message, rest []byte, err error) {
	size, n := uvarint(data)
	if n == 0 {
		return nil, nil, fmt.Errorf("%w: Protobuf: invalid length", ErrMalformed)
	}
	data = data[n:]
	if size > uint64(len(data)) {
		return nil, nil, fmt.Errorf("%w: Protobuf: length %d, but %d bytes follow", ErrMalformed, size, len(data))
	}
	return data[:size:size], data[size:], nil
}

// method notes that the request of method m follows.
func (r *protobufReader) method(c *Command, m Method) {
	c.found |= 1 << m
}

func (r *protobufReader) command(c *Command) {
	for r.field(r.data) {
		switch r.number {
		case 1:
			r.uint32(&c.ID)
		case 4:
			r.method(c, MethodConnect)
			r.connectRequest(&c.Connect)
		case 5:
			r.method(c, MethodSubscribe)
			r.subscribeRequest(&c.Subscribe)
		case 6:
			r.method(c, MethodUnsubscribe)
			r.onlyText(1, &c.Unsubscribe.Channel)
		case 7:
			r.method(c, MethodPublish)
			r.publishRequest(&c.Publish)
		case 8:
			r.method(c, MethodPresence)
			r.onlyText(1, &c.Presence.Channel)
		case 9:
			r.method(c, MethodPresenceStats)
			r.onlyText(1, &c.PresenceStats.Channel)
		case 10:
			r.method(c, MethodHistory)
			r.historyRequest(&c.History)
		case 11:
			r.method(c, MethodPing)
			r.nothing()
		case 12:
			r.method(c, MethodSend)
			r.onlyRaw(1, &c.Send.Data)
		case 13:
			r.method(c, MethodRPC)
			r.rpcRequest(&c.RPC)
		case 14:
			r.method(c, MethodRefresh)
			r.onlyText(1, &c.Refresh.Token)
		case 15:
			r.method(c, MethodSubRefresh)
			r.subRefreshRequest(&c.SubRefresh)
		default:
			r.skip()
		}
	}
}

// nothing reads a message without fields.
func (r *protobufReader) nothing() {
	for outer := r.enter(); r.field(outer); {
		r.skip()
	}
}

// onlyText reads a message with one field, a string.
func (r *protobufReader) onlyText(field uint32, v *string) {
	for outer := r.enter(); r.field(outer); {
		if r.number == field {
			r.text(v)
		} else {
			r.skip()
		}
	}
}

// onlyRaw reads a message with one field, a payload.
func (r *protobufReader) onlyRaw(field uint32, v *[]byte) {
	for outer := r.enter(); r.field(outer); {
		if r.number == field {
			r.raw(v)
		} else {
			r.skip()
		}
	}
}

func (r *protobufReader) connectRequest(m *ConnectRequest) {
	r.connectRequestFields(r.enter(), m)
}

// wholeConnectRequest reads a connect request that nothing delimits.
func (r *protobufReader) wholeConnectRequest(m *ConnectRequest) {
	r.connectRequestFields(r.data, m)
}

// wholeEmulationRequest reads an emulation request that nothing delimits.
func (r *protobufReader) wholeEmulationRequest(m *EmulationRequest) {
	for r.field(r.data) {
		switch r.number {
		case 1:
			r.text(&m.Node)
		case 2:
			r.text(&m.Session)
		case 3:
			r.raw(&m.Data)
		default:
			r.skip()
		}
	}
}

func (r *protobufReader) connectRequestFields(outer []byte, m *ConnectRequest) {
	for r.field(outer) {
		switch r.number {
		case 1:
			r.text(&m.Token)
		case 2:
			r.raw(&m.Data)
		case 3:
			r.subscribeRequests(&m.Subs)
		case 4:
			r.text(&m.Name)
		case 5:
			r.text(&m.Version)
		case 6:
			r.texts(&m.Headers)
		case 7:
			r.int64(&m.Flag)
		default:
			r.skip()
		}
	}
}

// subscribeRequests reads one entry of a map.
func (r *protobufReader) subscribeRequests(m *map[string]*SubscribeRequest) {
	if *m == nil {
		*m = map[string]*SubscribeRequest{}
	}
	key, value := "", new(SubscribeRequest)
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&key)
		case 2:
			r.subscribeRequest(value)
		default:
			r.skip()
		}
	}
	(*m)[key] = value
}

// texts reads one entry of a map of strings.
func (r *protobufReader) texts(m *map[string]string) {
	if *m == nil {
		*m = map[string]string{}
	}
	key, value := "", ""
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&key)
		case 2:
			r.text(&value)
		default:
			r.skip()
		}
	}
	(*m)[key] = value
}

// textList reads one element of a list of strings.
func (r *protobufReader) textList(m *[]string) {
	value := ""
	r.text(&value)
	*m = append(*m, value)
}

func (r *protobufReader) subscribeRequest(m *SubscribeRequest) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&m.Channel)
		case 2:
			r.text(&m.Token)
		case 3:
			r.bool(&m.Recover)
		case 6:
			r.text(&m.Epoch)
		case 7:
			r.uint64(&m.Offset)
		case 8:
			r.raw(&m.Data)
		case 9:
			r.bool(&m.Positioned)
		case 10:
			r.bool(&m.Recoverable)
		case 11:
			r.bool(&m.JoinLeave)
		case 12:
			r.text(&m.Delta)
		case 13:
			r.filter(&m.TF)
		case 14:
			r.int64(&m.Flag)
		case 15:
			r.int32(&m.Type)
		case 16:
			r.int32(&m.Phase)
		case 17:
			r.text(&m.Cursor)
		case 18:
			r.int32(&m.Limit)
		case 19:
			r.bool(&m.Asc)
		default:
			r.skip()
		}
	}
}

func (r *protobufReader) filter(m **FilterNode) {
	if *m == nil {
		*m = new(FilterNode)
	}
	r.filterNode(*m)
}

func (r *protobufReader) filterNode(m *FilterNode) {
	if r.depth++; r.depth > FilterDepthMax {
		r.fail("filter nested too deep")
	}
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&m.Op)
		case 2:
			r.text(&m.Key)
		case 3:
			r.text(&m.Cmp)
		case 4:
			r.text(&m.Val)
		case 5:
			r.textList(&m.Vals)
		case 6:
			r.filterNodes(&m.Nodes)
		default:
			r.skip()
		}
	}
	r.depth--
}

// filterNodes reads one element of a list.
func (r *protobufReader) filterNodes(m *[]*FilterNode) {
	node := new(FilterNode)
	r.filterNode(node)
	*m = append(*m, node)
}

func (r *protobufReader) publishRequest(m *PublishRequest) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&m.Channel)
		case 2:
			r.raw(&m.Data)
		case 3:
			r.int32(&m.Type)
		case 4:
			r.text(&m.Key)
		case 5:
			r.bool(&m.Removed)
		default:
			r.skip()
		}
	}
}

func (r *protobufReader) historyRequest(m *HistoryRequest) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&m.Channel)
		case 7:
			r.int32(&m.Limit)
		case 8:
			r.since(&m.Since)
		case 9:
			r.bool(&m.Reverse)
		default:
			r.skip()
		}
	}
}

func (r *protobufReader) since(m **StreamPosition) {
	if *m == nil {
		*m = new(StreamPosition)
	}
	r.streamPosition(*m)
}

func (r *protobufReader) streamPosition(m *StreamPosition) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.uint64(&m.Offset)
		case 2:
			r.text(&m.Epoch)
		default:
			r.skip()
		}
	}
}

func (r *protobufReader) rpcRequest(m *RPCRequest) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.raw(&m.Data)
		case 2:
			r.text(&m.Method)
		default:
			r.skip()
		}
	}
}

func (r *protobufReader) subRefreshRequest(m *SubRefreshRequest) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&m.Channel)
		case 2:
			r.text(&m.Token)
		case 3:
			r.int32(&m.Type)
		case 4:
			r.trackBatches(&m.Track)
		case 5:
			r.textList(&m.Untrack)
		default:
			r.skip()
		}
	}
}

// trackBatches reads one element of a list.
func (r *protobufReader) trackBatches(m *[]*TrackBatch) {
	batch := new(TrackBatch)
	r.trackBatch(batch)
	*m = append(*m, batch)
}

func (r *protobufReader) trackBatch(m *TrackBatch) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&m.Signature)
		case 2:
			r.keyedItems(&m.Items)
		default:
			r.skip()
		}
	}
}

// keyedItems reads one element of a list.
func (r *protobufReader) keyedItems(m *[]*KeyedItem) {
	item := new(KeyedItem)
	r.keyedItem(item)
	*m = append(*m, item)
}

func (r *protobufReader) keyedItem(m *KeyedItem) {
	for outer := r.enter(); r.field(outer); {
		switch r.number {
		case 1:
			r.text(&m.Key)
		case 2:
			r.uint64(&m.Version)
		default:
			r.skip()
		}
	}
}
