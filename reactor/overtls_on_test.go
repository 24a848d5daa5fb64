//go:build overtls

package reactor

// overTLS has the tests that know nothing of TLS speak it: what a conn does is the same.
const overTLS = true
