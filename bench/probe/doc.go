// Package probe looks at a server process from outside: resident memory, threads, CPU time and descriptor limit from /proc
// (Process), heap and goroutines from its /debug/pprof pages (Pprof). The server needs to know nothing of it.
package probe
