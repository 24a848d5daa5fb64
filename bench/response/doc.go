// Package response reads HTTP/1 responses out of whatever bytes have arrived so far, for conns that cannot wait: heads, and bodies of any
// length in a few bytes of state.
package response
