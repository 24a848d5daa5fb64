//go:build race

package session

// raceEnabled is set where allocations cannot be counted.
const raceEnabled = true
