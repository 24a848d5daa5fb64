//go:build !poison

package reactor

// poisoned is set by the build tag poison: messages are overwritten as soon as Receive has returned, so that a receiver which
// keeps a slice of one is found out by its tests.
const poisoned = false
