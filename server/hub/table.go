package hub

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
)

// stripesCount is how many locks share the channels of a node, a power of two.
const stripesCount = 256

// Table knows, for the whole node, which loops listen to which channel. Any goroutine may use it.
type Table struct {
	loops   []*loop.Loop
	locals  []local
	seed    maphash.Seed // random per process: nobody can aim channel names at one stripe
	stripes [stripesCount]stripe
	records atomic.Uint32 // made so far
	slow    atomic.Pointer[SlowPolicy]
	lag     maxLag
	wild    wildcards
	life    Life      // nil without one
	up      *upstream // nil with a local broker
	missed  missed
}

// SlowPolicy tells what may become of the publications of a channel at clients that do not take what they are owed. It is called
// for each publication, on any goroutine, and must be quick.
type SlowPolicy func(channel string) codec.SlowPolicy

type stripe struct {
	mu       sync.Mutex
	channels map[string]*record   // nil while there are none
	waiting  map[*record][]waiter // for their channels to be live; nil while there are none

	_ [40]byte // a cache line of its own
}

// record is a channel that someone on this node listens to. It is never reused, nor is a Channel that all of its loop have left: mail
// that arrives late there finds no members and ends.
type record struct {
	name        string
	subscribers uint32
	number      uint32  // no other record of the table has it, unless four billion lie between them
	home        Channel // of the loop that came first; most channels are listened to by one loop only
}

// local is what belongs to one loop. Only that loop touches it, or others read what is atomic.
type local struct {
	spare []*pending // emptied, to be used again
	stats Stats

	// What waits in the channels of the loop, no longer in its mailbox: publications, and what they weigh. Markers are not
	// counted: each follows a publication.
	items, bytes atomic.Int64

	collecting map[*Channel]*collected // nil while there are none
	collected  int                     // bytes in them
	fences     map[*Channel]int        // that are under way; nil while there are none

	_ [40]byte // cache lines of its own
}

// Limits of what waits in the channels of one loop. The mailbox, which has the same, is emptied at every turn; a walk over a
// million members takes longer than that.
const (
	waitingItemsMax = loop.MailboxItemsMax
	waitingBytesMax = loop.MailboxBytesMax
)

// admits reports whether there is room for one more publication.
func (o *local) admits() bool {
	return o.items.Load() < waitingItemsMax && o.bytes.Load() < waitingBytesMax
}

// hold counts n publications of so many bytes in, or out if negative. Only the loop writes, so that no update is lost.
func (o *local) hold(n, bytes int) {
	o.items.Store(o.items.Load() + int64(n))
	o.bytes.Store(o.bytes.Load() + int64(bytes))
}

// NewTable makes the table of a node with these loops.
func NewTable(loops []*loop.Loop) *Table {
	return &Table{loops: loops, locals: make([]local, len(loops)), seed: maphash.MakeSeed()}
}

func (t *Table) stripe(channel string) *stripe {
	return &t.stripes[maphash.String(t.seed, channel)%stripesCount]
}

// epoch folds an epoch into a number that is cheap to keep and compare; only the empty epoch is 0.
func (t *Table) epoch(s string) uint64 {
	if s == "" {
		return 0
	}
	return maphash.String(t.seed, s) | 1
}

// listen finds or makes the Channel of loop id and counts one more subscriber.
func (t *Table) listen(id int, name string, o Options) *Channel {
	st := t.stripe(name)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.channels[name]
	if st.channels == nil {
		st.channels = make(map[string]*record)
	}
	if r == nil {
		r = &record{name: strings.Clone(name), number: t.records.Add(1)} // the name may alias a read buffer
		r.home = Channel{record: r, loop: uint8(id), marks: listening}
		st.channels[r.name] = r
	}
	if r.subscribers == 0 {
		t.occupied(id, r.name)
	}
	r.subscribers++
	if t.up != nil {
		t.up.want(r)
	}
	c := r.channel(id)
	if o.Positioned {
		c.marks |= withPositions
	}
	if o.JoinLeave {
		c.joining++
		c.marks |= withJoiners
	}
	return c
}

// channel finds the Channel of loop id that has members, or makes one.
func (r *record) channel(id int) *Channel {
	last := &r.home
	for c := last; c != nil; last, c = c, c.next {
		if int(c.loop) == id && c.marks&listening != 0 {
			return c
		}
	}
	last.next = &Channel{record: r, loop: uint8(id), marks: listening}
	return last.next
}

// desert takes c, which all of its loop have left, out of use. What was published before may still be on its way there; whoever listens
// on that loop next must not get it, because what came since is missing behind it. The home stays, for the marks of its upstream.
func (r *record) desert(c *Channel) {
	c.marks &= upstreamMarks
	for at := &r.home; at != nil; at = at.next {
		if at.next == c {
			at.next, c.next = c.next, nil
			return
		}
	}
}

// leave counts one subscriber less; deaf tells that it was the last one on its loop.
func (t *Table) leave(c *Channel, deaf, joinLeave bool) {
	r := c.record
	st := t.stripe(r.name)
	st.mu.Lock()
	defer st.mu.Unlock()
	r.subscribers--
	if joinLeave {
		if c.joining--; c.joining == 0 {
			c.marks &^= withJoiners
		}
	}
	if deaf {
		r.desert(c)
	}
	if r.subscribers > 0 {
		return
	}
	t.vacated(int(c.loop), r.name)
	if t.up != nil {
		t.up.left(r)
		return
	}
	st.forget(r)
}

// forget takes r out, for good. The stripe is locked.
func (st *stripe) forget(r *record) {
	delete(st.channels, r.name)
	if len(st.channels) == 0 {
		st.channels = nil // a map never gives memory back by itself
	}
}

// Admit reports whether every loop that listens to channel has room for one more publication, join or
// leave.
func (t *Table) Admit(channel string) bool {
	return t.admits(channel) && (t.wild.count.Load() == 0 || t.patternsAdmit(channel))
}

func (t *Table) admits(channel string) bool {
	st := t.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.channels[channel]
	if r == nil {
		return true
	}
	for c := &r.home; c != nil; c = c.next {
		if c.marks&listening != 0 && !(t.loops[c.loop].Admit() && t.locals[c.loop].admits()) {
			return false
		}
	}
	return true
}

// Publication leaves p with every loop that listens to channel, or to a pattern that it matches. The caller passes the result to
// Wake after it has released its locks. prev is nil or the publication before p in the channel's stream, to be the base of a patch.
func (t *Table) Publication(channel string, p, prev *codec.Publication, sp codec.StreamPosition) engine.Wake {
	wake := t.deliver(channel, p, prev, t.epoch(sp.Epoch))
	if t.wild.count.Load() > 0 {
		wake |= t.toPatterns(channel, p)
	}
	return wake
}

func (t *Table) deliver(channel string, p, prev *codec.Publication, epoch uint64) engine.Wake {
	st := t.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.channels[channel]
	if r == nil {
		return 0
	}
	e := &event{table: t, channel: r.name, kind: codec.Publications, pub: p, prev: prev, epoch: epoch, number: r.number, at: t.lag.stamp()}
	if policy := t.slow.Load(); policy != nil {
		e.slow = (*policy)(r.name)
	}
	return t.post(r, listening, e, e.cost())
}

// post leaves what, which weighs so many bytes, with the loops where r has one of the marks. The stripe of r is locked.
func (t *Table) post(r *record, where marks, what any, bytes int) (wake engine.Wake) {
	for c := &r.home; c != nil; c = c.next {
		if c.marks&where != 0 && t.loops[c.loop].Post(c, what, bytes) {
			wake |= 1 << c.loop
		}
	}
	return wake
}

// Join leaves a join with every loop where somebody wants to hear of it. The caller passes the result to Wake after it has
// released its locks.
func (t *Table) Join(channel string, info *codec.ClientInfo) engine.Wake {
	return t.tell(channel, codec.Joins, info)
}

// Leave is Join of a leave.
func (t *Table) Leave(channel string, info *codec.ClientInfo) engine.Wake {
	return t.tell(channel, codec.Leaves, info)
}

func (t *Table) tell(channel string, kind codec.Kind, info *codec.ClientInfo) engine.Wake {
	st := t.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.channels[channel]
	if r == nil {
		return 0
	}
	e := &event{table: t, channel: r.name, kind: kind, info: info}
	return t.post(r, withJoiners, e, e.cost())
}

// SetSlow replaces the policies for what is published from now on; nil is codec.SlowDisconnect for all. Any goroutine may call it.
func (t *Table) SetSlow(p SlowPolicy) {
	if p == nil {
		t.slow.Store(nil)
		return
	}
	t.slow.Store(&p)
}

// Wake rings the loops that w names.
func (t *Table) Wake(w engine.Wake) {
	for w != 0 {
		id := bits.TrailingZeros64(uint64(w))
		t.loops[id].Wake()
		w &^= 1 << id
	}
}

// Subscribers is how many sessions of this node are subscribed to channel.
func (t *Table) Subscribers(channel string) int {
	st := t.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	if r := st.channels[channel]; r != nil {
		return int(r.subscribers)
	}
	return 0
}

// Channels calls each for every channel with subscribers on this node. It holds one stripe at a time, so each must be quick.
func (t *Table) Channels(each func(name string, subscribers int)) {
	for i := range t.stripes {
		st := &t.stripes[i]
		st.mu.Lock()
		for name, r := range st.channels {
			if r.subscribers > 0 {
				each(name, int(r.subscribers))
			}
		}
		st.mu.Unlock()
	}
}

// Count is how many channels and subscriptions this node has.
func (t *Table) Count() (channels, subscriptions int) {
	for i := range t.stripes {
		st := &t.stripes[i]
		st.mu.Lock()
		for _, r := range st.channels {
			if r.subscribers > 0 {
				channels++
				subscriptions += int(r.subscribers)
			}
		}
		st.mu.Unlock()
	}
	return channels, subscriptions
}
