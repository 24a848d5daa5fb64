//go:build poison

package reactor

const poisoned = true
