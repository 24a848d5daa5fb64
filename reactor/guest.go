package reactor

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
)

// Guest is a client that lives on a loop, while its bytes are moved by goroutines of another library: a stream of HTTP/2, gRPC or
// WebTransport. Its methods run on its loop.
type Guest interface {
	// Weight is how many bytes the client is yet to get.
	Weight() int
	// Shed ends the client with Config.Slow and forgets what it is yet to get.
	Shed()
}

// Guests counts guests with the clients of the reactor's own sockets: in Config.MaxConns, in the memory of what is unsent, and in
// Stats.
type Guests struct {
	reactor *Reactor
	present atomic.Int64
}

// Guests are those of this reactor.
func (r *Reactor) Guests() *Guests { return &r.guests }

// Done is closed when the loops have ended and no code runs on them any more.
func (r *Reactor) Done() <-chan struct{} { return r.done }

// Enter takes a place among Config.MaxConns. It reports false, and counts that, if all are taken or the reactor does not listen yet.
// Any goroutine may call it.
func (g *Guests) Enter() bool {
	if !g.EnterSocket() {
		return false
	}
	g.present.Add(1)
	return true
}

// Leave gives the place back. It is called on the guest's loop.
func (g *Guests) Leave(loop int, guest Guest) {
	delete(g.reactor.drivers[loop].burdens, guest)
	g.present.Add(-1)
	g.LeaveSocket()
}

// Present is how many there are.
func (g *Guests) Present() int { return int(g.present.Load()) }

// Owe adds to the memory that unsent messages hold. Any goroutine may call it. When all loops together hold too much, those clients
// that hold the most are ended in the turn of their loop; see shed.
func (g *Guests) Owe(bytes int64) { g.reactor.owed.Add(bytes) }

// Burden tells that a guest has a weight, so that it may be shed. It is called on the guest's loop.
func (g *Guests) Burden(loop int, guest Guest) {
	g.reactor.drivers[loop].burdens[guest] = struct{}{}
}

// Slow counts a guest that is ended because it does not take what it is owed.
func (g *Guests) Slow() { g.reactor.stats.slow.Add(1) }

// WriteError counts one that is ended because a write failed.
func (g *Guests) WriteError() { g.reactor.stats.writeErrors.Add(1) }

// Dropped counts frames that a slow guest does not get.
func (g *Guests) Dropped(stale, oldest int) {
	g.reactor.stats.droppedStale.Add(uint64(stale))
	g.reactor.stats.droppedOldest.Add(uint64(oldest))
}

// Panicked counts and logs what was recovered from a panic in the code of a guest. It is called where that was recovered.
func (g *Guests) Panicked(loop int, during string, value any) {
	g.reactor.stats.panics.Add(1)
	g.reactor.panicLine.Say(g.reactor.cfg.Log, slog.LevelError, "panic in a handler; its connection is closed, the loop goes on",
		"loop", loop, "during", during, "panic", fmt.Sprint(value), "stack", string(debug.Stack()))
}

// EnterSocket takes a place among Config.MaxConns for a socket that was accepted elsewhere: it has a descriptor, too. It reports false
// as Enter does. Any goroutine may call it.
func (g *Guests) EnterSocket() bool {
	r := g.reactor
	if r.conns.Add(1) > r.connsMax.Load() {
		r.conns.Add(-1)
		r.stats.refusedConns.Add(1)
		return false
	}
	return true
}

// LeaveSocket gives the place back.
func (g *Guests) LeaveSocket() { g.reactor.conns.Add(-1) }
