// Package server puts the parts together, runs them and takes them down in order. This page tells the whole house.
//
// # The parts
//
//	cmd/stentor      flags, sub-commands; names the engine
//	server           this package: assembles, runs, reloads, drains
//	server/config    the option tree from file, environment and flags
//	server/certs     the certificates that clients see: from files, or from an ACME authority
//	server/transport bytes of one transport into messages, frames into bytes
//	server/session   one client: commands in, frames out
//	server/policy    may it? joins configuration (server/channel) and tokens (server/auth)
//	server/hub       who listens to what; fan-out; who the sessions of a user are
//	server/api       what backends call
//	server/cluster   the other nodes: who they are, orders, questions
//	server/swagger   a page that describes it
//	server/probe     sends something through the broker and every loop, to see whether delivery is alive
//	engine           the contract: broker, presence, bus. Below it memory, Redis, NATS, and Redis with NATS
//	reactor          event loops: sockets, request heads, ws frames, queues
//	reactor/loop     one loop without I/O: mailbox, slots, deadlines, tasks
//	reactor/quiet    lines of the log that strangers can cause, once in a while; for all of us
//	codec            the protocol's words and their two forms
//	bench            the load generator; knows the server only from outside
//	bench/doctor     which limit of a machine comes first
//	bench/plan       what a number of clients takes, by the coefficients of bench/cost
//
// # Who owns what
//
// A loop owns its conns, sessions and subscriptions: all their code runs on that loop's goroutine and takes no lock. Two striped
// tables are shared: the engine's channels (history, offsets) and hub.Table (which loops listen). Everything else that crosses
// from one goroutine to another is a value in a loop's mailbox, addressed to a channel or to a session's handle.
//
// # The way of one publication
//
//  1. reactor.(*events).OnTraffic      bytes came; ws frames become messages
//  2. session.(*Session).Receive       a message becomes commands
//  3. session.(*Session).dispatch      one command finds its method
//  4. session.(*Session).publish       asks the policy; an API publish joins here, from api.(*API).Publish
//  5. memengine.(*Engine).Publish      gives the offset, keeps history, under the stripe's lock
//  6. hub.(*Table).Publication         finds the loops that listen
//  7. loop.(*Loop).Post                leaves it in each one's mailbox and rings the bell
//  8. loop.(*Loop).Turn                the loop empties its mailbox
//  9. hub.(*Channel).Take              the publication waits in its channel
//  10. hub.(*pending).Turn              all that wait are joined into one frame per form
//  11. hub.(*pending).hand              each subscription gets it, if its position asks for it
//  12. session.(*Session).Send          counts it and hands it to the pipe
//  13. reactor.(*Conn).Write            notes the frame; the conn is dirty
//  14. reactor.(*resident).Flush        one write to the socket at the end of the turn
//
// With a broker on other machines steps 4 and 5 part: session.(*Session).publishFar leaves the call to a lane (loop.Lanes), because it
// waits for a network. The broker's reading goroutine, of redisengine.(*shard).receive for example, goes on with step 6, on this node and on
// every other that hub.(*Table) has asked the broker to deliver the channel to. What sessions do far away is in session/far.go.
package server
