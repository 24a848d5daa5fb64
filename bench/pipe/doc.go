// Package pipe talks to a child process in JSON lines over its standard input and output: a question has a number, a word and a body; its
// answer has the same number. Questions may overlap.
//
//	Start ─► Child.Call("open", body) ──stdin──► Serve ─► handle
//	                     ▲                                  │
//	                     └────────────stdout────────────────┘
//
// A child ends when its input ends, so that none outlives its parent, however that died.
package pipe
