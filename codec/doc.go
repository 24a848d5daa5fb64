// Package codec turns the words of the client protocol into bytes and back.
//
//	ws message ──► DecodeCommand ──► Command ──► session
//	session ──► Reply, Push ──► AppendReply, AppendPush ──► Frame ──► conn
//
// The protocol has two encodings, [JSON] and [Protobuf], with the same messages: plain structs in command.go, reply.go,
// push.go and publication.go, and the three tables of codes in error.go, disconnect.go and unsubscribe.go. Each is a form for
// clients that send commands, and another, of bare pushes, for those that only listen. What is not delimited because it is the whole
// body of a request is in request.go.
//
// Each encoding has four files, twins of those of the other one: a reader (json_reader.go, protobuf_reader.go) that knows
// the grammar and no message, the commands read with it (json_decode.go, protobuf_decode.go), a writer, and the replies
// written with it (json_writer.go, json_append.go and so on). Twins hold the same methods in the same order, so that a
// diff of the two reviews them. The other direction, reading replies and writing commands, is for clients: the load
// generator and tests. JSON does it with the same reader and writer (json_decode_reply.go, json_append_command.go),
// Protobuf with the generated package wire (wire_reply.go, wire_command.go), which also writes our rare, flat replies.
//
// What comes and goes all day is read and written without allocating. In JSON only strings with escapes or broken UTF-8
// leave the scanner (json_scan.go), for sonic: on commands it is several times as fast as sonic, on payloads a bit faster,
// and only on strings of kilobytes slower. BenchmarkDecodeCommand and BenchmarkValidJSON compare them.
//
// A [Frame] is encoded once and sent to many, on any transport: as a ws frame, compressed or one for each message, as a chunk of HTTP,
// as server-sent events, or message by message (variants.go). What only one client gets is framed where it is, by the Seal functions.
//
// Everything decoded aliases the bytes it was decoded from: it is valid until the caller reuses them, and what has to
// stay must be cloned. Nothing here waits, does I/O, takes a lock or keeps state.
package codec
