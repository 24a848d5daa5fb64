package session

import (
	"maps"
	"slices"
	"sync"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

// farLink is a node's connection for what it subscribes to: requests go out in order, answers come back at any time, and messages of
// the channels that are subscribed come through a feed, in order and late. While it is down they are lost.
type farLink struct {
	house *farHouse
	table *hub.Table

	mu       sync.Mutex      // channels are given up on another goroutine
	asked    map[string]bool // what the node has asked for; true when it knows that it has it
	requests []farRequest

	effective map[string]bool // what the servers deliver
	answers   []farAnswer
	feed      []farMessage
	down      bool
}

type farRequest struct {
	channel string
	ends    bool
}

type farAnswer struct {
	channel string
	err     error
}

// farMessage is one on its way: a publication, or a client that joins or leaves.
type farMessage struct {
	channel string
	sent    loop.Time
	post    *farPost // nil for the others
	pub     *codec.Publication
	prev    *codec.Publication
	at      codec.StreamPosition
	info    *codec.ClientInfo
	leaves  bool
}

func newFarLink(h *farHouse, table *hub.Table) *farLink {
	return &farLink{house: h, table: table, asked: map[string]bool{}, effective: map[string]bool{}}
}

// Subscribe implements engine.Broker.
func (l *farLink) Subscribe(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.asked[channel]; there {
		l.house.crowd.fault("node %d subscribes to %s again", l.house.number, channel)
	}
	l.asked[channel] = false
	l.requests = append(l.requests, farRequest{channel, false})
}

// Unsubscribe implements engine.Broker.
func (l *farLink) Unsubscribe(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.asked[channel] {
		l.house.crowd.fault("node %d unsubscribes from %s, which it does not have", l.house.number, channel)
	}
	delete(l.asked, channel)
	l.requests = append(l.requests, farRequest{channel, true})
}

// request takes what the node has asked for first, if there is anything.
func (l *farLink) request() (r farRequest, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.requests) == 0 {
		return r, false
	}
	r = l.requests[0]
	l.requests = l.requests[1:]
	return r, true
}

// asks is what the node has asked for.
func (l *farLink) asks() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.asked)
}

// goOn does one of the things that are due, and reports whether there was any.
func (l *farLink) goOn() bool {
	c := l.house.crowd
	switch {
	case len(l.feed) > 0 && (c.calm || !c.one(3)):
		l.deliver(1 + c.rnd.IntN(min(len(l.feed), 8)))
	case len(l.answers) > 0 && c.one(2):
		l.answer()
	default:
		if r, ok := l.request(); ok {
			l.handle(r)
		} else if len(l.answers) > 0 {
			l.answer()
		} else {
			return false
		}
	}
	return true
}

// handle is the servers doing what the node has asked for.
func (l *farLink) handle(r farRequest) {
	c := l.house.crowd
	switch {
	case r.ends:
		delete(l.effective, r.channel)
	case l.down && !c.one(3) || c.mishap(12):
		l.answers = append(l.answers, farAnswer{r.channel, engine.ErrUnreachable})
	default:
		l.effective[r.channel] = true
		l.answers = append(l.answers, farAnswer{r.channel, nil})
	}
}

// answer tells the node what came of one of its requests.
func (l *farLink) answer() {
	c := l.house.crowd
	i := c.rnd.IntN(len(l.answers))
	a := l.answers[i]
	l.answers = slices.Delete(l.answers, i, i+1)
	l.mu.Lock()
	if l.asked[a.channel] = true; a.err != nil {
		delete(l.asked, a.channel)
		c.byName[a.channel].refused[l.house.number] = c.moment
		c.trace.Refused++
	}
	l.mu.Unlock()
	l.table.Subscribed(a.channel, a.err)
}

// send is a message of the servers to the node.
func (l *farLink) send(m farMessage) {
	switch {
	case l.house.crowd.near == nearBroker:
		l.hand(m)
	case !l.effective[m.channel]:
	case l.down:
		l.lose(m)
	default:
		l.feed = append(l.feed, m)
	}
}

func (l *farLink) lose(m farMessage) {
	if m.post != nil {
		m.post.lost[l.house.number] = true
		m.post.stream.missed[l.house.number] = l.house.crowd.now
		l.house.crowd.trace.Vanished++
	}
}

// deliver gives the node n messages.
func (l *farLink) deliver(n int) {
	for range n {
		m := l.feed[0]
		l.feed[0], l.feed = farMessage{}, l.feed[1:]
		l.hand(m)
	}
}

func (l *farLink) hand(m farMessage) {
	var wake engine.Wake
	switch {
	case m.post != nil:
		wake = l.table.Publication(m.channel, m.pub, m.prev, m.at)
	case m.leaves:
		wake = l.table.Leave(m.channel, m.info)
	default:
		wake = l.table.Join(m.channel, m.info)
	}
	l.table.Wake(wake)
}

// deliverOld gives the node what was sent up to a moment.
func (l *farLink) deliverOld(until loop.Time) {
	for len(l.feed) > 0 && l.feed[0].sent <= until {
		l.deliver(1)
	}
}

// flap is the loss of the connection, or its return.
func (l *farLink) flap() {
	if l.down {
		l.comeBack()
		return
	}
	if l.house.crowd.one(3) {
		l.house.crowd.trace.Losses++
		l.down = true
		for _, m := range l.feed {
			l.lose(m)
		}
		l.feed = nil
	}
}

// comeBack restores what the servers delivered before, and tells the node so.
func (l *farLink) comeBack() {
	if l.down {
		l.down = false
		l.table.Resumed(slices.Sorted(maps.Keys(l.effective)))
	}
}
