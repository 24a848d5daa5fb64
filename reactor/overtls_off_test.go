//go:build !overtls

package reactor

const overTLS = false
