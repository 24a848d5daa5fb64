// Package bench is the load generator: it measures a server of the client protocol from outside, ours or another, and imports nothing of
// the server.
//
//	stentor bench idle, idlesub   what a connected, a subscribed client costs in memory
//	stentor bench ping            CPU of pings and pongs
//	stentor bench fanout          latency, losses and CPU of one channel with many subscribers, up to the knee
//	stentor bench many            the same of many channels with few
//	stentor bench api             publications per second through the HTTP API
//	stentor bench engines         what a publication costs through engines on other machines, beside memory
//	stentor bench connect         storms of connects
//	stentor bench recover         all clients drop, miss publications and come back for them
//	stentor bench churn           clients that come and go
//	stentor bench presence        joins, leaves and questions about presence
//	stentor bench slow, trickle   what healthy clients feel of those that stop reading, or send one byte per second
//	stentor bench handshakes      what clients feel of TLS handshakes that others make
//	stentor bench mixed, soak     requests beside a fan-out; everything at once for a long time
//	stentor bench compare, page   ratios between results; a page with charts
//	stentor bench --calibrate     coefficients for stentor plan
//
// A scenario is options that become flags, a plan that checks them, and a run that fills one result. The clients live in worker
// processes: the program starts itself again with a hidden sub-command.
//
//	scenario ─► rig: servers (node, package launch), watch, progress
//	     │
//	     ├── fleet ──► workers ── swarm: epoll, thousands of conns ──► the server
//	     ├── publish: HTTP API ──────────────────────────────────────────▲ ▲
//	     ├── probe: /proc, /debug/pprof, /metrics of the server ───────────┘
//	     ├── bare: floors, processes that do nothing but the system calls
//	     └── measure: percentiles, slopes, paired ratios ──► result ──► text, JSON line, page
//
// Every latency counts from the moment at which its message was due by the schedule (package measure says why). A run whose conns do not
// all get live, or whose messages are missing, come twice or out of order, ends with an error. What shows that the generator and not
// the server was the limit stands in the result.
//
// Target says what carries the messages: WebSocket, HTTP streams, server-sent events, with TLS or without. All scenarios run on all
// transports, but those whose clients send requests need one in both directions.
//
// Linux only: other systems have neither epoll nor /proc.
package bench
