package codec

// What a client sends that is no command: how it connects where it only listens, and the commands of one that listens on another
// connection. Both are whole bodies, so nothing delimits them.

// DecodeConnectRequest reads what a client that only listens sends, in the encoding of f, into m, which it resets. There may be white
// space around JSON. Strings and bytes in m alias data. An error wraps [ErrMalformed] and leaves m in no particular state.
func DecodeConnectRequest(f Form, data []byte, m *ConnectRequest) error {
	*m = ConnectRequest{}
	if f.isProtobuf() {
		r := protobufReader{data: data}
		r.wholeConnectRequest(m)
		return r.end()
	}
	r := jsonReader{data: data}
	r.wholeConnectRequest(m)
	return r.end()
}

// AppendConnectRequest is the client's side of [DecodeConnectRequest]. Errors as in [AppendReply].
func AppendConnectRequest(dst []byte, f Form, m *ConnectRequest) ([]byte, error) {
	if f.isProtobuf() {
		w := protobufWriter{buf: dst}
		w.wholeConnectRequest(m)
		return w.buf, nil
	}
	w := jsonWriter{buf: dst}
	w.wholeConnectRequest(m)
	return w.whole(dst)
}

// DecodeEmulationRequest reads the commands of a client that listens on another connection, in the encoding of f, into m, which it
// resets. In JSON they are a string; what is none comes as no commands, as the protocol does not tell such a client. Strings and bytes
// in m alias data. An error wraps [ErrMalformed] and leaves m in no particular state.
func DecodeEmulationRequest(f Form, data []byte, m *EmulationRequest) error {
	*m = EmulationRequest{}
	if f.isProtobuf() {
		r := protobufReader{data: data}
		r.wholeEmulationRequest(m)
		return r.end()
	}
	r := jsonReader{data: data}
	r.wholeEmulationRequest(m)
	return r.end()
}

// AppendEmulationRequest is the client's side of [DecodeEmulationRequest].
func AppendEmulationRequest(dst []byte, f Form, m *EmulationRequest) []byte {
	if f.isProtobuf() {
		w := protobufWriter{buf: dst}
		w.wholeEmulationRequest(m)
		return w.buf
	}
	w := jsonWriter{buf: dst}
	w.wholeEmulationRequest(m)
	return w.buf
}
