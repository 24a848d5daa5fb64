// Package launch runs the server that is to be measured, for as long as the measurement takes.
//
//	Start(command) ─► Await: the port answers ─► … ─► Stop: SIGTERM, in the end SIGKILL
//	                      └── Done, Err: it ended by itself, and the last it said
package launch
