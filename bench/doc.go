// Package bench is the load generator: it measures a server of the client protocol from outside, ours or another, and imports nothing of
// the server.
//
//	stentor bench idle     what a connected client costs in memory
//	stentor bench fanout   latency, losses and CPU of one channel with many subscribers; also against a bare loop of write(2)
//	stentor bench mixed    what requests feel while a fan-out goes over the same server, also under overload
//	stentor bench slow     what healthy clients feel of clients that send one byte per second
//
// The clients live in worker processes: the program starts itself again with a hidden sub-command.
//
//	Idle, Fanout, Mixed, Slow (this process) ── fleet ──► workers ── swarm: epoll, thousands of conns ──► the server
//	     │                                                                                                  ▲
//	     ├── publish: HTTP API ─────────────────────────────────────────────────────────────────────────────┤
//	     ├── probe: /proc, /debug/pprof of the server ──────────────────────────────────────────────────────┘
//	     └── measure: percentiles, slopes, paired ratios ──► report
//
// Every latency counts from the moment at which its message was due by the schedule (package measure says why). A run whose conns do not
// all get live, or whose publications are missing or come twice, ends with an error.
//
// Linux only: other systems have neither epoll nor /proc.
package bench
