// Package bare has the yardsticks that a server is held against: processes that do nothing but the system calls which the work needs.
//
//	Start ─► Send(frames) ──► child: for each frame, for each socket: write(2), or the same through an io_uring
//	      ─► Echo(pings)  ──► child: write(2) of a ping to each socket in its turn, read(2) of the pong
//	      ─► Upgrade      ──► child: accept(2), read(2) of the request head, write(2) of the 101
//	                                    │
//	clients of the same swarm ◄─────────┘
//
// Other programs can serve as yardsticks too: whatever calls Serve with a Child of its own.
package bare
