//go:build race

package hub

// raceEnabled is set where allocations cannot be counted.
const raceEnabled = true
