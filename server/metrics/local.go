package metrics

import (
	"sync/atomic"
	"time"
)

// local is what one loop counts. Others only read it, at a scrape.
type local struct {
	_ [128]byte // the neighbour's last counters, and what the prefetcher takes along

	sent     [numTransports][numFrameTypes]traffic
	received [numTransports][numFrameTypes]traffic

	classes [ClassesMax]flow

	first  space                    // of namespace 0
	spaces atomic.Pointer[[]*space] // of all namespaces by number, that of 0 included; nil while they are not told apart

	broadcasts [numMessageTypes]histogram
	pongs      [numTransports]histogram

	_ [128]byte
}

// traffic is messages on the wire.
type traffic struct{ messages, bytes atomic.Uint64 }

func (t *traffic) add(messages, bytes int) {
	t.messages.Add(uint64(messages))
	t.bytes.Add(uint64(bytes))
}

// loop is the block of a loop; whoever is on no loop (number -1) shares the last one.
func (m *Metrics) loop(n int) *local {
	if uint(n) >= uint(len(m.locals)) {
		n = len(m.locals) - 1
	}
	return &m.locals[n]
}

// Sent counts messages written to clients, bytes in all.
func (m *Metrics) Sent(loop int, t Transport, f FrameType, messages, bytes int) {
	m.loop(loop).sent[t][f].add(messages, bytes)
}

// Received counts one message from a client.
func (m *Metrics) Received(loop int, t Transport, f FrameType, bytes int) {
	m.loop(loop).received[t][f].add(1, bytes)
}

// Broadcast counts the hand-out of one publication, join or leave to the subscribers of a loop.
func (m *Metrics) Broadcast(loop int, t MessageType, took time.Duration) {
	m.loop(loop).broadcasts[t].observe(took)
}

// Pong counts the time between a ping and its pong.
func (m *Metrics) Pong(loop int, t Transport, took time.Duration) {
	m.loop(loop).pongs[t].observe(took)
}

// Joined counts a client in and names its class, which the session keeps for Left, Subscribed and Unsubscribed. The strings of
// c may die after the call.
func (m *Metrics) Joined(loop int, c Client) Class {
	class := m.classes.of(c)
	m.loop(loop).classes[class.index()].in.Add(1)
	return class
}

// Left counts a client out. code is that of the disconnect or close frame which ended it, whoever sent it first; that of an error
// if its connect came to nothing after all; 0 if the connection was just gone.
func (m *Metrics) Left(loop int, c Class, code uint32) {
	m.loop(loop).classes[c.index()].out.Add(1)
	m.ends[endCodes.index(code)].Add(1)
}
