//go:build race

package filter

// raceEnabled is set where allocations cannot be counted.
const raceEnabled = true
