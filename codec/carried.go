package codec

// What brokers carry from node to node is the Protobuf form of the protocol's messages, without a length before them.

// AppendCarried appends the message Push that tells of a publication, join or leave to dst. It allocates nothing as long as dst has
// room.
func AppendCarried(dst []byte, m *Push) []byte {
	w := protobufWriter{buf: dst}
	w.text(2, m.Channel)
	w.news(m)
	return w.buf
}

// news is what a push has of a publication, join or leave.
func (w *protobufWriter) news(m *Push) {
	if m.Pub != nil {
		w.publication(4, m.Pub)
	}
	if m.Join != nil {
		join := w.enter(5, m.Join.Info.guess())
		w.clientInfo(1, m.Join.Info)
		w.leave(join)
	}
	if m.Leave != nil {
		leave := w.enter(6, m.Leave.Info.guess())
		w.clientInfo(1, m.Leave.Info)
		w.leave(leave)
	}
}

// DecodeCarried reads a message Push into m, which it resets: its channel and the publication, join or leave, any other kind is left
// out. Strings and bytes in m alias data. An error wraps [ErrMalformed] and leaves m in no particular state.
func DecodeCarried(data []byte, m *Push) error {
	*m = Push{}
	r := protobufReader{data: data}
	for r.field(data) {
		switch r.number {
		case 2:
			r.text(&m.Channel)
		case 4:
			if m.Pub == nil {
				m.Pub = new(Publication)
			}
			r.publication(m.Pub)
		case 5:
			if m.Join == nil {
				m.Join = new(Join)
			}
			r.onlyClientInfo(&m.Join.Info)
		case 6:
			if m.Leave == nil {
				m.Leave = new(Leave)
			}
			r.onlyClientInfo(&m.Leave.Info)
		default:
			r.skip()
		}
	}
	return r.end()
}

func (r *protobufReader) publication(m *Publication) {
	for outer := r.enter(); r.field(outer); {
		r.publicationField(m)
	}
}

// publicationField takes the current field of a publication.
func (r *protobufReader) publicationField(m *Publication) {
	switch r.number {
	case 4:
		r.raw(&m.Data)
	case 5:
		r.clientInfo(&m.Info)
	case 6:
		r.uint64(&m.Offset)
	case 7:
		r.texts(&m.Tags)
	case 8:
		r.bool(&m.Delta)
	case 9:
		r.int64(&m.Time)
	case 10:
		r.text(&m.Channel)
	case 11:
		r.text(&m.Key)
	case 12:
		r.bool(&m.Removed)
	case 13:
		r.sint64(&m.Score)
	case 14:
		r.text(&m.Epoch)
	case 15:
		r.raw(&m.PrevData)
	case 16:
		r.uint64(&m.Version)
	default:
		r.skip()
	}
}

// onlyClientInfo reads a message with one field, a ClientInfo.
func (r *protobufReader) onlyClientInfo(m **ClientInfo) {
	for outer := r.enter(); r.field(outer); {
		if r.number == 1 {
			r.clientInfo(m)
		} else {
			r.skip()
		}
	}
}

func (r *protobufReader) clientInfo(m **ClientInfo) {
	if *m == nil {
		*m = new(ClientInfo)
	}
	for outer := r.enter(); r.field(outer); {
		r.clientInfoField(*m)
	}
}

// clientInfoField takes the current field of a client's info.
func (r *protobufReader) clientInfoField(m *ClientInfo) {
	switch r.number {
	case 1:
		r.text(&m.User)
	case 2:
		r.text(&m.Client)
	case 3:
		r.raw(&m.ConnInfo)
	case 4:
		r.raw(&m.ChanInfo)
	default:
		r.skip()
	}
}

// sint64 takes an integer with its sign in the lowest bit.
func (r *protobufReader) sint64(v *int64) {
	var u uint64
	r.uint64(&u)
	if r.why == "" {
		*v = int64(u>>1) ^ -int64(u&1)
	}
}
