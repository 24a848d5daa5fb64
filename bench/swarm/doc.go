// Package swarm turns thousands of client conns on one epoll descriptor and one goroutine, in under a hundred bytes each.
//
//	Open(Group) ─► dial, paced ─► upgrade ─► connect ─► subscribe ─► live ─► Opened
//	                                                                  │
//	  read ─► ws.Reader ─► messages ─► ping: pong at once ◄───────────┤
//	                                   publication: Window, Latency ◄─┤
//	                                   reply: next request ◄──────────┘
//
// A Group is a number of like clients in one Role; a Swarm holds several. Everything is owned by the goroutine in Run; others leave
// functions with Do. The swarm measures as it receives: latency from the moment a publication was due, as its payload
// tells (measure.Stamp), and numbers that are missing or came twice, in fixed memory per client.
//
// It runs on Linux only (epoll, timerfd); elsewhere only the types that describe groups are here.
package swarm
