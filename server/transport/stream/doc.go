// Package stream is the HTTP mouth of the client protocol, for clients that cannot have a WebSocket (spec: client-protocol, sections
// 1.2 to 1.4 and 1.6): a response that does not end brings what the server has to say, and in the bidirectional transports each batch
// of commands comes as a request of its own.
//
//	GET or POST ── Open ──► Opening  ── (body) ──► session ──► SSE events, JSON lines, Protobuf ──► response
//	                └─────► Answer: preflight, wrong method, no connect command
//	POST /emulation ──► Emulation ──► order in the mailbox of the session's loop, here or on another node
//
// HTTP/1.1 is served on the loops: the pipe under a session is the reactor's conn itself, as it is under a WebSocket, so that an idle
// client costs the same. Requests that net/http has read (HTTP/2, kept-alive conns of a proxy) are served by what is mounted there.
// Both ask the same rules, which are plain values: what a request means (request.go), what pages of other origins may see of the answer
// (cors.go), what is answered and how a stream begins (answer.go).
package stream
