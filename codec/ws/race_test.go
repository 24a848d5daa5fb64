//go:build race

package ws

// raceEnabled: the race detector allocates where the program does not, and empties
// pools at random.
const raceEnabled = true
