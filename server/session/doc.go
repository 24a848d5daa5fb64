// Package session is one client of the protocol: a state machine that takes messages and a clock and answers with frames.
//
//	Receive ──► decode ──► dispatch ──► connect, subscribe, publish, … ──► reply
//	Expire  ──► ping, no pong, stale, expired
//	Order   ──► what other goroutines want: disconnect, unsubscribe, a reply that waited behind a publication
//
// There are clients that only listen (uni.go), and others whose pipe goes one way and whose commands come from elsewhere (emulation.go).
//
// All methods of a Session run on its loop. It knows its pipe as Conn and never sees a socket, so that a test can drive
// thousands of them with a fake pipe and a loop that it turns by hand.
//
// The order of checks and every code and text are those of the protocol (spec: client-protocol, sections 2 to 8, 11 and 12).
package session
