// Package reactor moves bytes between sockets and receivers, on gnet's event loops.
//
//	                       ┌ hand-off ─► HTTPListener ─► net/http ─► AdoptHandler ─┐ (what is for a loop, on a kept-alive conn)
//	                       │                                                       ▼
//	socket ─► head ─► Router.Route ─► upgrade ─► ws frames ─► Receiver.Receive     back on a loop
//	           ▲           │
//	           │           ├ exchange ─► body ─► Verdict.Serve ─► Conn.Respond ─┐
//	           │           │                                └ Conn.Stream       │
//	           └───────────│────────────────────────────────────────────────────┘
//	                       └ refuse: a response, then the end
//
//	Conn.Write ─► noted ─► (end of the callback or turn) one write per conn ─► socket
//	                                     └ the socket is full ─► queue of references ─► swept every 10 ms ─► socket
//
//	socket ─► 0x16 ─► hello ─► handshake on a goroutine ─► h2: HTTPListener
//	                                       └► all else: back on its loop, as a socket that speaks TLS
//
// Every conn lives on one loop for its whole life, and all that happens to it happens on that loop's goroutine: there is no
// lock, goroutine, timer or map per conn. A driver ties a loop.Loop to one of gnet's loops; other goroutines reach it by the
// loop's mailbox, whose bell is a socketpair that takes its turn in epoll like any client (driver.go, bell.go).
//
// Frames are shared and immutable: a conn keeps references to them until the socket takes them (write.go, queue.go). What is
// owed to one client, and what all unsent and incomplete messages hold together, is bounded (slow.go); frames that a slow client
// may miss make room for others (drop.go). Compressed messages are inflated, and frames compressed, with what all conns of a loop
// share; what that may cost is bounded, too (inflate.go). Everything that a client can begin and not finish has a deadline: its hello
// and TLS handshake, a TLS record, its head, its body, a ws frame or message, the closing handshake.
//
// An exchange is a request of HTTP/1.1 that needs no goroutine (exchange.go): its body is read as it comes (chunk.go), and one
// request after the other is answered, each when the answer before it is with the socket. A stream (stream.go) is a conn like a
// WebSocket, whose frames are chunks.
//
// A port may speak TLS (tls.go): below the conns, which are the same with and without it.
//
// On Linux each loop accepts from a socket of its own (SO_REUSEPORT), so that conns spread evenly and a refusal over MaxConns
// is exact. On other systems gnet's single acceptor may run ahead of the refusal by what one burst brings.
//
// gnet's hazards that shaped this package, each from its source (v2.10.0):
//
//   - Write, Writev and EventLoop.Close run OnClose before they return. Receiver.Closed is put off while a receiver could
//     still be inside Write.
//   - Its outbound buffer copies and has no bound. It is given more only while it is empty, 64 KiB at most.
//   - Discard(0) discards everything, and Peek copies whatever spans two reads: drop and Conn.need see to both.
//   - Discard gives back the memory of what Peek has copied: nothing of a head is looked at after consume.
//   - Enroll reports success for a socket that its poller has not taken, and panics for one whose peer has gone: see enrollOn.
//   - An error of accept other than EAGAIN ends the engine, and Run then returns nil. MaxConns keeps clear of the descriptor
//     limit, and Run turns an end that nobody asked for into an error.
package reactor
