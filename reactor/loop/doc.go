// Package loop is one event loop without any I/O.
//
// A loop owns its residents (one per conn) and whatever hangs on them; all of their code runs on the loop's own goroutine, so
// none of it needs a lock. Everything that other goroutines want from them is a value left in the loop's mailbox:
//
//	any goroutine ── Post, Order ──► mailbox ── bell ──► driver ── Turn ──► deadlines, mail, tasks, then flush
//
// A driver turns the loop: gnet's loop in package reactor, a plain goroutine for transports that have goroutines of their own,
// the test's hand in a simulation. The driver rings itself through Config.Ring and calls Turn when that ring arrives.
//
// A turn never holds the goroutine for long: deadlines, tasks and flushes share a budget (TurnVisitsMax, TurnTimeMax), and what
// is left over keeps its place, rings the bell and lets the sockets have their turn first. A loop that is flooded with
// publications therefore still reads pongs and answers requests.
package loop
