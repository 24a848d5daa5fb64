// Package publish feeds a server through its HTTP API: one publication, several that reach it together, one to many channels.
package publish
