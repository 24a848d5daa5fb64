// Package swarm turns thousands of client conns on one epoll descriptor and one goroutine, in under a hundred bytes each.
//
//	Open(Group) ─► dial, paced ─► TLS ─► upgrade ─► connect ─► subscribe ─► live ─► Opened
//	                              │      or HTTP request with both             │
//	                              │                                            │
//	  read ─► TLS ─► ws.Reader or response.Body ─► messages ─► ping: pong ◄────┤
//	                                   publication: Window, Latency ◄──────────┤
//	                                   reply: next request ◄───────────────────┘
//
// A Group is a number of like clients in one Role on one Transport; a Swarm holds several. Everything is owned by the goroutine in Run;
// others leave functions with Do. The swarm measures as it receives: latency from the moment a publication was due, as its payload
// tells (measure.Stamp), and numbers that are missing or came twice, in fixed memory per client.
//
// What clients on emulated transports say after their first request goes to the emulation endpoint on a few kept-alive conns for all of
// them (posts). With TLS, crypto/tls reads what the swarm has read; only handshakes run on goroutines of their own (secure). Groups
// without either never come near them.
//
// It runs on Linux only (epoll, timerfd); elsewhere only the types that describe groups are here.
package swarm
