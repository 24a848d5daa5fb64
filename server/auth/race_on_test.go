//go:build race

package auth

// raceEnabled skips what counts allocations: the race detector makes some of its own.
const raceEnabled = true
