//go:build race

package codec

// raceDetector is set where allocations cannot be counted.
const raceDetector = true
