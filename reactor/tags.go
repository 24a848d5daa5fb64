//go:build gc_opt || poll_opt

package reactor

// gnet's build tags gc_opt (closing a conn costs 35 times as much) and poll_opt (needs the callbacks that addr_drop.go drops) must
// not be used: this does not compile.
var _ = gnetMustBeBuiltWithoutGcOptAndPollOpt
