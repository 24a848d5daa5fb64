package codec

import (
	"errors"

	"stentor/codec/ws"
)

// Form is how messages to a client are written: their encoding, and whether pushes are wrapped in replies.
type Form uint8

// The forms of the protocol. A client that sends commands has one of the first two: it gets replies, and pushes as replies without
// an id. One that only listens has one of the others: all it ever gets is pushes, so that nothing is around them.
const (
	JSON        Form = iota // JSON texts, each ended by a newline
	Protobuf                // Protobuf messages, each preceded by its length as an unsigned varint
	UniJSON                 // as JSON, but bare pushes
	UniProtobuf             // as Protobuf, but bare pushes

	NumForms    = 2 // in which clients send commands
	NumAllForms = 4 // in which servers send pushes
)

// Uni reports a form of bare pushes.
func (f Form) Uni() bool { return f&UniJSON != 0 }

// Encoding is JSON or Protobuf: the form, wrapped.
func (f Form) Encoding() Form { return f &^ UniJSON }

// Bare is the form of the same encoding whose pushes are bare.
func (f Form) Bare() Form { return f | UniJSON }

var formNames = [NumAllForms]string{"json", "protobuf", "uni_json", "uni_protobuf"}

// String names the form.
func (f Form) String() string { return formNames[f%NumAllForms] }

// isProtobuf reports the encoding.
func (f Form) isProtobuf() bool { return f&Protobuf != 0 }

// opCode tells in which kind of ws frame messages of this form travel.
func (f Form) opCode() ws.OpCode {
	if f.isProtobuf() {
		return ws.OpBinary
	}
	return ws.OpText
}

// ErrMalformed is what every decoding error wraps: the bytes are not a message of their form. The protocol ends a client
// that sends such bytes with [DisconnectBadRequest].
var ErrMalformed = errors.New("malformed message")

// ErrNotJSON says that a payload which JSON embeds as it is (data, info, …) is not valid JSON, as happens when a
// publisher uses Protobuf and a subscriber JSON. The protocol ends such a subscriber with
// [DisconnectInappropriateProtocol].
var ErrNotJSON = errors.New("payload is not JSON")

// DecodeCommand reads the first command of data into c, which it resets, and returns what follows that command. Data must
// not be empty: an empty ws message is an error of the session, not of the codec.
//
// Strings and bytes in c alias data. Ordinary subscribe, publish and unsubscribe commands and pongs allocate nothing. An
// error wraps [ErrMalformed] and leaves c in no particular state.
func DecodeCommand(f Form, data []byte, c *Command) (rest []byte, err error) {
	c.reset()
	if f.isProtobuf() {
		return decodeCommandProtobuf(data, c)
	}
	return decodeCommandJSON(data, c)
}

// AppendReply appends r, delimited, to dst. On an error, which can only be [ErrNotJSON], dst comes back as it was. Bare forms have no
// replies: f must be one of the first two.
func AppendReply(dst []byte, f Form, r *Reply) ([]byte, error) {
	if f.isProtobuf() {
		w := protobufWriter{buf: dst}
		w.reply(r)
		return w.buf, nil
	}
	w := jsonWriter{buf: dst}
	w.reply(r)
	return w.line(dst)
}

// AppendPush appends p, delimited, to dst: in a reply, or bare. Errors as in [AppendReply].
func AppendPush(dst []byte, f Form, p *Push) ([]byte, error) {
	switch f {
	case Protobuf:
		w := protobufWriter{buf: dst}
		w.pushReply(p)
		return w.buf, nil
	case UniProtobuf:
		w := protobufWriter{buf: dst}
		w.barePush(p)
		return w.buf, nil
	}
	w := jsonWriter{buf: dst}
	if f == UniJSON {
		w.barePush(p)
	} else {
		w.pushReply(p)
	}
	return w.line(dst)
}

// AppendPublication appends the push of p on channel, delimited, to dst: the same bytes as [AppendPush] of a Push with
// that channel and publication. It allocates nothing as long as dst has room. Errors as in [AppendReply].
func AppendPublication(dst []byte, f Form, channel string, p *Publication) ([]byte, error) {
	push := Push{Channel: channel, Pub: p}
	return AppendPush(dst, f, &push)
}

// AppendPing appends the server's ping, an empty reply or an empty push, delimited, to dst.
func AppendPing(dst []byte, f Form) []byte {
	if f.isProtobuf() {
		return append(dst, 0)
	}
	return append(dst, "{}\n"...)
}

// DecodeReply is the client's side of [AppendReply] and [AppendPush]: it reads the first reply of data into r, which it
// resets, and returns what follows. A bare push comes as a reply that carries it; without one it is a ping, here too. Strings and
// bytes in r may alias data. An error wraps [ErrMalformed].
func DecodeReply(f Form, data []byte, r *Reply) (rest []byte, err error) {
	*r = Reply{}
	switch f {
	case Protobuf:
		return decodeReplyProtobuf(data, r)
	case UniJSON:
		return decodeBareJSON(data, r)
	case UniProtobuf:
		return decodeBareProtobuf(data, r)
	}
	return decodeReplyJSON(data, r)
}

// AppendCommand is the client's side of [DecodeCommand]: it appends c, delimited, to dst. Errors as in [AppendReply].
func AppendCommand(dst []byte, f Form, c *Command) ([]byte, error) {
	if f.isProtobuf() {
		w := protobufWriter{buf: dst}
		w.command(c)
		return w.buf, nil
	}
	w := jsonWriter{buf: dst}
	w.command(c)
	return w.line(dst)
}
