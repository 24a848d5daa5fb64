// Package ws speaks WebSocket (RFC 6455) on byte slices: it reads and writes no
// socket, starts no goroutine and looks at no clock.
//
//	request head ── UpgradeRequest.Check ── Choose, ChooseDeflate ── AppendUpgradeResponse ──► 101
//
//	bytes in ──► ParseHeader ──► Header.Check ──► Unmask ──► Reader.Next ──► message, ping, pong, close
//	messages ──► PutHeader, AppendHeader, AppendFrame, AppendClose ──► bytes out
//
// One [Reader] belongs to one conn. It is 16 bytes, holds no buffer while no
// fragmented message is under way, and unmasks whole ws frames in place, in the
// caller's buffer. The caller shows it what has arrived, drops what it consumed,
// and does not come back before the bytes it asked for are there.
//
// Everything that a peer can make us hold has a bound: a message (the caller's
// limit, checked on the declared length), the number of its fragments
// ([MessageFragmentsMax]), subprotocol offers ([ProtocolsMax],
// [ProtocolsBytesMax]). What the peer does wrong comes back as an [*Error], whose
// code and reason go into our close frame, or before the upgrade as a
// [*HandshakeError], whose status goes into the HTTP response.
//
// Header rules and masking are those of gobwas/ws. Incremental parsing and the
// joining of fragments are ours, because gobwas/ws reads from a blocking reader and a
// loop must never wait for half a frame.
//
// One extension can be negotiated, permessage-deflate (RFC 7692) without context takeover:
//
//	offers ── ChooseDeflate ──► answer
//	compressed message ──► Inflater.Inflate ──► message
//	payload ──► Deflater.Frame ──► bytes out
//
// A conn keeps one bit for it, in Reader.Peer. What costs memory, the windows, is in an
// [Inflater] and a [Deflater] that all conns of a loop share.
//
// The client's side ([AppendClientFrame], [ClientRequest], [ParseUpgradeResponse],
// a Reader with Peer set to [FromServer]) is for tests and for the load generator.
package ws
