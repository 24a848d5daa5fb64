//go:build race

package memengine

const raceEnabled = true
