package metrics

import (
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
)

// space is what one loop counts of one namespace.
type space struct {
	messagesSent     [numMessageTypes]atomic.Uint64
	messagesReceived [numMessageTypes]atomic.Uint64
	recovered        [2][2]atomic.Uint64 // by recovered, by whether publications came

	subscriptions     [numClientNames]flow // by name of the client
	occupied, vacated atomic.Uint64        // channels
	filteredOut       atomic.Uint64        // publications, per subscriber

	// A histogram is large, and most namespaces see few of the methods: each is made by the first command.
	commands [numMethods]atomic.Pointer[histogram]
}

// flow is what came and what went.
type flow struct{ in, out atomic.Uint64 }

// command is the histogram of a method.
func (s *space) command(method int) *histogram {
	if h := s.commands[method].Load(); h != nil {
		return h
	}
	s.commands[method].CompareAndSwap(nil, new(histogram)) // only the block of those on no loop has several writers
	return s.commands[method].Load()
}

// space is that of namespace n.
func (l *local) space(n Namespace) *space {
	if n == noNamespace {
		return &l.first
	}
	return (*l.spaces.Load())[n]
}

// grow makes room for n namespaces in all.
func (l *local) grow(n int) {
	spaces := []*space{&l.first}
	if had := l.spaces.Load(); had != nil {
		spaces = append(spaces, (*had)[1:]...)
	}
	for len(spaces) < n {
		spaces = append(spaces, &new(apart).space)
	}
	l.spaces.Store(&spaces)
}

// apart keeps a space away from what other loops write.
type apart struct {
	_ [128]byte
	space
	_ [128]byte
}

// Command counts one command and the time to handle it.
func (m *Metrics) Command(loop int, n Namespace, method codec.Method, took time.Duration) {
	m.loop(loop).space(n).command(min(int(method), numMethods-1)).observe(took)
}

// MessageSent counts what this node publishes or tells other nodes.
func (m *Metrics) MessageSent(loop int, n Namespace, t MessageType) {
	m.loop(loop).space(n).messagesSent[t].Add(1)
}

// MessageReceived counts what the engine hands to this node.
func (m *Metrics) MessageReceived(loop int, n Namespace, t MessageType) {
	m.loop(loop).space(n).messagesReceived[t].Add(1)
}

// Recover counts an attempt to recover a subscription.
func (m *Metrics) Recover(loop int, n Namespace, recovered, publications bool) {
	m.loop(loop).space(n).recovered[bit(recovered)][bit(publications)].Add(1)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Subscribed counts a subscription in.
func (m *Metrics) Subscribed(loop int, n Namespace, c Class) {
	m.loop(loop).space(n).subscriptions[c.name()].in.Add(1)
}

// Unsubscribed counts a subscription out. It must get the number that Subscribed got, which NamespaceOf makes sure of.
func (m *Metrics) Unsubscribed(loop int, n Namespace, c Class) {
	m.loop(loop).space(n).subscriptions[c.name()].out.Add(1)
}

// Occupied counts a channel that got its first subscriber on this node (hub.Life).
func (m *Metrics) Occupied(loop int, channel string) {
	m.loop(loop).space(m.NamespaceOf(channel)).occupied.Add(1)
}

// Vacated counts a channel that lost its last one (hub.Life).
func (m *Metrics) Vacated(loop int, channel string) {
	m.loop(loop).space(m.NamespaceOf(channel)).vacated.Add(1)
}

// FilteredOut counts publications that filters kept from subscribers, per subscriber (hub.Life).
func (m *Metrics) FilteredOut(loop int, channel string, publications int) {
	m.loop(loop).space(m.NamespaceOf(channel)).filteredOut.Add(uint64(publications))
}

// outcomes is what all loops together count of one namespace, because it does not happen often.
type outcomes struct {
	replyErrors  [numMethods][]atomic.Uint64
	unsubscribes []atomic.Uint64
	suppressed   [len(suppressReasons)]atomic.Uint64

	windows [numMethods]*window[counts] // guarded by Metrics.scrape; nil without commands
}

func newOutcomes() *outcomes {
	o := &outcomes{unsubscribes: make([]atomic.Uint64, unsubscribeCodes.size())}
	for i := range o.replyErrors {
		o.replyErrors[i] = make([]atomic.Uint64, errorCodes.size())
	}
	return o
}

// suppressReasons are the values of the label "reason".
var suppressReasons = [...]engine.SuppressReason{engine.SuppressIdempotency, engine.SuppressVersion}

func (m *Metrics) outcome(n Namespace) *outcomes { return (*m.outcomes.Load())[n] }

// Suppressed counts a publication that was not delivered; an empty reason counts nothing.
func (m *Metrics) Suppressed(n Namespace, reason engine.SuppressReason) {
	for i, known := range suppressReasons {
		if reason == known {
			m.outcome(n).suppressed[i].Add(1)
		}
	}
}

// ReplyError counts a command that was answered with an error.
func (m *Metrics) ReplyError(n Namespace, method codec.Method, code uint32) {
	m.outcome(n).replyErrors[min(int(method), numMethods-1)][errorCodes.index(code)].Add(1)
}

// Unsubscribe counts a subscription that the server ended.
func (m *Metrics) Unsubscribe(n Namespace, code uint32) {
	m.outcome(n).unsubscribes[unsubscribeCodes.index(code)].Add(1)
}
