package metrics

import (
	"sync/atomic"
	"time"

	"stentor/codec"
)

// local is what one loop counts. Others only read it, at a scrape.
type local struct {
	_ [128]byte // the neighbour's last counters, and what the prefetcher takes along

	sent     [numTransports][numFrameTypes]traffic
	received [numTransports][numFrameTypes]traffic

	messagesSent     [numMessageTypes]atomic.Uint64
	messagesReceived [numMessageTypes]atomic.Uint64
	recovered        [2][2]atomic.Uint64 // by recovered, by whether publications came

	classes [ClassesMax]population

	commands   [numMethods]histogram
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

// population is the clients of one class on one loop.
type population struct{ joined, left, subscribed, unsubscribed atomic.Uint64 }

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

// Command counts one command and the time to handle it.
func (m *Metrics) Command(loop int, method codec.Method, took time.Duration) {
	m.loop(loop).commands[min(int(method), numMethods-1)].observe(took)
}

// Broadcast counts the hand-out of one publication, join or leave to the subscribers of a loop.
func (m *Metrics) Broadcast(loop int, t MessageType, took time.Duration) {
	m.loop(loop).broadcasts[t].observe(took)
}

// Pong counts the time between a ping and its pong.
func (m *Metrics) Pong(loop int, t Transport, took time.Duration) {
	m.loop(loop).pongs[t].observe(took)
}

// MessageSent counts what this node publishes or tells other nodes.
func (m *Metrics) MessageSent(loop int, t MessageType) { m.loop(loop).messagesSent[t].Add(1) }

// MessageReceived counts what the engine hands to this node.
func (m *Metrics) MessageReceived(loop int, t MessageType) { m.loop(loop).messagesReceived[t].Add(1) }

// Recover counts an attempt to recover a subscription.
func (m *Metrics) Recover(loop int, recovered, publications bool) {
	m.loop(loop).recovered[bit(recovered)][bit(publications)].Add(1)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Joined counts a client in and names its class, which the session keeps for Left, Subscribed and Unsubscribed. The strings of
// c may die after the call.
func (m *Metrics) Joined(loop int, c Client) Class {
	class := m.classes.of(c)
	m.loop(loop).classes[class].joined.Add(1)
	return class
}

// Left counts a client out.
func (m *Metrics) Left(loop int, c Class) { m.loop(loop).classes[c].left.Add(1) }

// Subscribed counts a subscription in.
func (m *Metrics) Subscribed(loop int, c Class) { m.loop(loop).classes[c].subscribed.Add(1) }

// Unsubscribed counts n subscriptions out.
func (m *Metrics) Unsubscribed(loop int, c Class, n int) {
	m.loop(loop).classes[c].unsubscribed.Add(uint64(n))
}
