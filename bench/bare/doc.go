// Package bare is the yardstick of a fan-out: a process that does nothing but a loop of write(2) of the same bytes to every socket.
//
//	Start ─► Send(frames) ──► child: for each frame, for each socket: write(2)
//	                                   │
//	receivers of the same swarm ◄──────┘
//
// It has no protocol: whoever connects is a receiver.
package bare
