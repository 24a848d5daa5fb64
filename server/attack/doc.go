// Package attack is a test of the whole server against clients that mean harm. It has no code of its own, only tests: a real
// server in the test's process, real sockets, real event loops, and everything that the network may send to it.
//
//	house     one server that most attacks share, with a witness from the first to the last
//	witness   a healthy client beside each attack: it hears every publication, in order, and nothing else
//	client    the attacker: a socket that says whatever the test wants
//
// Each test function is one group of attacks and each row one attack. A row says what the attacker sees; that nobody else sees
// anything is what the witness is for. After the last test nothing may be left: no connection, no subscription, no queued byte,
// no goroutine, no error in the log, and not more memory than before, within 15 percent.
//
// No test depends on how fast the machine is. Deadlines of the server that take seconds run out while other tests do their work:
// see deadline_test.go.
package attack
