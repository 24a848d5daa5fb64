// Package talk is a test of the client protocol over every transport. It has no code of its own, only tests: a real server in the
// test's process, real sockets, and conversations in testdata that run unchanged over each transport and in each of its forms.
//
//	testdata/both     for transports on which clients send commands: WebSocket, HTTP streaming, SSE
//	testdata/listen   for those on which they only listen: uni_websocket, uni_sse, uni_http_stream
//
// What a transport does in its own way (the statuses of HTTP, the headers, the first bytes, which close frame) has tests beside them.
package talk
