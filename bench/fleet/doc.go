// Package fleet spreads the clients of a benchmark over worker processes, because one process may open only so many descriptors and one
// goroutine can receive only so much.
//
//	Fleet.Open(group) ─► each worker process, its share ─► swarm
//	Fleet.Stats, Tally ◄─ merged ◄─────────────────────────┘
//
// Work is what runs inside such a process.
package fleet
