package codec

// What a store keeps is one message of the protocol in its Protobuf form, without a length and without a push around it: a publication,
// or the info of a client.

// AppendStoredPublication appends the message Publication to dst. It allocates nothing as long as dst has room.
func AppendStoredPublication(dst []byte, m *Publication) []byte {
	w := protobufWriter{buf: dst}
	w.publicationFields(m)
	return w.buf
}

// DecodeStoredPublication reads a message Publication into m, which it resets. Strings and bytes in m alias data. An error wraps
// [ErrMalformed] and leaves m in no particular state.
func DecodeStoredPublication(data []byte, m *Publication) error {
	*m = Publication{}
	r := protobufReader{data: data}
	for r.field(data) {
		r.publicationField(m)
	}
	return r.end()
}

// AppendStoredClientInfo appends the message ClientInfo to dst. It allocates nothing as long as dst has room.
func AppendStoredClientInfo(dst []byte, m *ClientInfo) []byte {
	w := protobufWriter{buf: dst}
	w.clientInfoFields(m)
	return w.buf
}

// DecodeStoredClientInfo is DecodeStoredPublication for the message ClientInfo.
func DecodeStoredClientInfo(data []byte, m *ClientInfo) error {
	*m = ClientInfo{}
	r := protobufReader{data: data}
	for r.field(data) {
		r.clientInfoField(m)
	}
	return r.end()
}
