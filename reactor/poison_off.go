//go:build !poison

package reactor

// poisoned is set by the build tag poison: messages are overwritten as soon as Receive has returned, heads and bodies as soon as they
// are consumed, so that whoever keeps a slice of one is found out by the tests.
const poisoned = false
