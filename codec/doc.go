// Package codec turns the words of the client protocol into bytes and back.
//
//	ws message ──► DecodeCommand ──► Command ──► session
//	session ──► Reply, Push ──► AppendReply, AppendPush ──► Frame ──► conn
//
// The protocol has two forms, [JSON] and [Protobuf], with the same messages: plain structs in command.go, reply.go,
// push.go and publication.go, and the three tables of codes in error.go, disconnect.go and unsubscribe.go. Each form has
// four files, twins of those of the other form: a reader (json_reader.go, protobuf_reader.go) that knows the grammar and
// no message, the messages read with it (json_decode.go, protobuf_decode.go), and likewise a writer and the messages
// written with it (json_writer.go, json_append.go and so on). Twins hold the same functions in the same order, so that a
// diff of the two reviews them.
//
// The commands that come all day and the publications that go out all day are read and written by hand, without
// allocating. In Protobuf the rare replies go through package wire, which is generated (wire_to.go, wire_from.go). In
// JSON only strings with escapes or with broken UTF-8 leave the scanner, for sonic.
//
// Everything decoded aliases the bytes it was decoded from: it is valid until the caller reuses them, and what has to
// stay must be cloned. Nothing here waits, does I/O, takes a lock or keeps state.
package codec
