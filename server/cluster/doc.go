// Package cluster makes several nodes one server: they know of each other, carry out each other's orders and answer each other's
// questions.
//
//	Run ── every 3 s: who I am ──► bus ──► registry of every node ──► API info
//	API ── order ──► Node ──► sessions of this node
//	                  └─────► bus ──► inbox of every other node ──► their sessions
//	API ── channels ──► Node ── question ──► bus ──► inbox of every other node ── answer ──► bus ──► Node ──► one list
//
// Messages are those of the reference (package control, and spec: engines, section 6), so that nodes of both kinds may be in one
// cluster. The bus loses what it is told while a node cannot be reached, hence nothing here depends on a single message: who a node
// is comes again in three seconds; an order that was lost is lost, which is all that the reference promises, too; a question that is
// not answered is an error for whoever asked.
//
// The bus calls receive on its own goroutines, for several senders at once. There a message is looked at, decoded and left in a
// queue; whatever may wait happens on the goroutines that Run starts, a fixed number of them. Everything has a limit (limits.go):
// what comes beyond it is dropped, counted and complained about. Other applications may write to the control channel what they like.
//
// Orders are carried out by one goroutine, in the order in which they came. The caller of one does not wait for other nodes; nothing
// is promised about an order and a publication that takes another way.
//
// A node that says Shutdown, or is silent for 7 seconds, is forgotten, and nobody waits for its answers any more. A node that hears
// of one it does not know tells that one about itself, so that newcomers know the others at once.
//
// Without a bus a Node is all there is, and everything here is a call of what it stands on.
package cluster
