package redisengine

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stentor/engine"
)

// interest is what a node listens to: all channels of a shard, or with sharded pub/sub those of one partition, or its control topics. It
// says what is wanted; a line makes Redis agree. Any goroutine may change what is wanted, only the line does the rest.
//
// A subscription costs an entry of a map: its name, two words and the map's own.
type interest struct {
	reporter  engine.Reporter // nil for control topics
	topics    bool            // the names are topics already
	partition int

	line atomic.Pointer[line] // who works for it; nil while nobody does
	wake func()               // tells whoever finds one

	mu       sync.Mutex
	channels map[string]entry
	queue    queue     // channels that are wanted otherwise than Redis has them
	epoch    uint32    // of the subscriptions: with a new connection all older ones are gone
	down     time.Time // since when there is no connection; zero while there is one
}

// entry is one channel.
type entry struct {
	epoch  uint32 // the one in which Redis has it; never 0 if so
	wanted bool
	sure   bool   // wanted for ever: it was confirmed since it is wanted
	queued bool   // it is in the queue
	owed   uint16 // how many outcomes are to be told
}

// queue is names in order. Its memory is given back when it is empty.
type queue struct {
	names []string
	next  int
}

func (q *queue) put(name string) { q.names = append(q.names, name) }
func (q *queue) len() int        { return len(q.names) - q.next }

func (q *queue) take() string {
	name := q.names[q.next]
	q.names[q.next] = ""
	if q.next++; q.next == len(q.names) {
		*q = queue{}
	}
	return name
}

func newInterest(reporter engine.Reporter, partition int, wake func()) *interest {
	return &interest{
		reporter: reporter, topics: reporter == nil, partition: partition, wake: wake,
		channels: make(map[string]entry), epoch: 1, down: time.Now(),
	}
}

// subscribe wants a channel, and owes an outcome.
func (p *interest) subscribe(channel string) {
	p.change(channel, func(e *entry) {
		e.wanted = true
		e.owed++
	})
}

// insist wants a channel whatever happens, and tells nothing.
func (p *interest) insist(channel string) {
	p.change(channel, func(e *entry) { e.wanted, e.sure = true, true })
}

// unsubscribe wants a channel no more.
func (p *interest) unsubscribe(channel string) {
	p.change(channel, func(e *entry) { e.wanted, e.sure = false, false })
}

// change alters an entry and queues its channel.
func (p *interest) change(channel string, alter func(e *entry)) {
	p.mu.Lock()
	e, known := p.channels[channel]
	alter(&e)
	if !known && !e.wanted {
		p.mu.Unlock()
		return
	}
	if !known {
		channel = strings.Clone(channel) // the caller may have it in a buffer
	}
	if !e.queued {
		e.queued = true
		p.queue.put(channel)
	}
	p.channels[channel] = e
	waiting := p.queue.len()
	p.mu.Unlock()
	if waiting == 1 || waiting == batchMax {
		p.kick()
	}
}

// kick tells the line that there is something to do.
func (p *interest) kick() {
	if l := p.line.Load(); l != nil {
		l.kick()
	} else {
		p.wake()
	}
}

func (p *interest) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.len()
}

// batch is channels of one interest that go to Redis together.
type batch struct {
	of          *interest
	epoch       uint32
	subscribe   []string
	unsubscribe []string
}

func (b *batch) empty() bool { return len(b.subscribe)+len(b.unsubscribe) == 0 }

// outcome is to be told to the node.
type outcome struct {
	channel string
	err     error
}

// take takes up to batchMax channels from the queue and looks what has to be done with them. What is settled without Redis is told. A
// channel that check refuses is forgotten.
func (p *interest) take(check func(channel string) error) batch {
	var told []outcome
	p.mu.Lock()
	b := batch{of: p, epoch: p.epoch}
	for p.queue.len() > 0 && len(b.subscribe)+len(b.unsubscribe) < batchMax {
		channel := p.queue.take()
		e, known := p.channels[channel]
		if !known {
			continue
		}
		e.queued = false
		has := e.epoch == p.epoch
		err := check(channel)
		switch {
		case e.wanted && !has && err == nil:
			b.subscribe = append(b.subscribe, channel)
		case e.wanted && has: // it was unwanted for a moment
			told = e.tell(told, channel, nil)
			e.sure = true
		case has:
			b.unsubscribe = append(b.unsubscribe, channel)
		default:
			told = e.tell(told, channel, err)
			delete(p.channels, channel)
			continue
		}
		p.channels[channel] = e
	}
	p.mu.Unlock()
	p.report(told)
	return b
}

// tell notes all outcomes that are owed.
func (e *entry) tell(told []outcome, channel string, err error) []outcome {
	for ; e.owed > 0; e.owed-- {
		told = append(told, outcome{channel, err})
	}
	return told
}

func (p *interest) report(told []outcome) {
	if p.reporter == nil {
		return
	}
	for _, o := range told {
		p.reporter.Subscribed(o.channel, o.err)
	}
}

// confirm notes that Redis has the channels of b, and tells it: as a first success, or as a success after a loss. If the connection
// they were made on is not ours any more they are queued again.
func (p *interest) confirm(b batch) (resumed int) {
	var told []outcome
	var again []string
	p.mu.Lock()
	if b.epoch != p.epoch {
		p.requeue(b.subscribe)
		p.mu.Unlock()
		p.kick() // it may be another line's now
		return 0
	}
	for _, channel := range b.subscribe {
		e := p.channels[channel]
		e.epoch = p.epoch
		told = e.tell(told, channel, nil)
		if e.wanted && e.sure {
			again = append(again, channel)
		}
		e.sure = e.wanted
		p.channels[channel] = e
	}
	p.mu.Unlock()
	p.report(told)
	if len(again) > 0 && p.reporter != nil {
		p.reporter.Resumed(again)
	}
	return len(again)
}

// left notes that Redis no longer has the channels of b that were to go.
func (p *interest) left(b batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, channel := range b.unsubscribe {
		e, known := p.channels[channel]
		switch {
		case known && e.wanted: // again: it is in the queue
			e.epoch = 0
			p.channels[channel] = e
		case known && e.owed == 0:
			delete(p.channels, channel)
		case known:
			e.epoch = 0
			p.channels[channel] = e
		}
	}
}

// refuse notes that Redis does not take the channels of b. Those that were confirmed once are still wanted, the others are forgotten.
func (p *interest) refuse(b batch, err error) {
	var told []outcome
	p.mu.Lock()
	for _, channel := range b.subscribe {
		e, known := p.channels[channel]
		if !known {
			continue
		}
		told = e.tell(told, channel, err)
		if e.sure {
			p.channels[channel] = e
			p.requeue([]string{channel})
		} else {
			delete(p.channels, channel)
		}
	}
	p.mu.Unlock()
	p.report(told)
}

// requeue puts channels back. p.mu is held.
func (p *interest) requeue(channels []string) {
	for _, channel := range channels {
		if e, known := p.channels[channel]; known && !e.queued {
			e.queued = true
			p.channels[channel] = e
			p.queue.put(channel)
		}
	}
}

// lost notes that a batch was sent and no answer came.
func (p *interest) lost(b batch) {
	p.mu.Lock()
	p.requeue(b.subscribe)
	p.requeue(b.unsubscribe)
	p.mu.Unlock()
	p.kick() // it may be another line's now
}

// gone notes that Redis has unsubscribed a channel by itself, as it does when a slot moves to another node. It is wanted again
// unless that was asked for.
func (p *interest) gone(channel string) (unasked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, known := p.channels[channel]
	if !known || !e.wanted || e.epoch != p.epoch {
		return false
	}
	e.epoch = 0
	p.channels[channel] = e
	p.requeue([]string{channel})
	return true
}

// renew notes that all subscriptions are gone, and with up that there is a new connection to make them on.
func (p *interest) renew(up bool) (epoch uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	if up {
		p.down = time.Time{}
	} else if p.down.IsZero() {
		p.down = time.Now()
	}
	return p.epoch
}

// current is the epoch of the subscriptions.
func (p *interest) current() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

// giveUp tells the outcome of everything that waits, if there was no connection for as long as patience. What was confirmed once
// stays wanted.
func (p *interest) giveUp(patience time.Duration, err error) {
	var told []outcome
	p.mu.Lock()
	if p.down.IsZero() || time.Since(p.down) < patience {
		p.mu.Unlock()
		return
	}
	for n := p.queue.len(); n > 0; n-- {
		channel := p.queue.take()
		e, known := p.channels[channel]
		if !known {
			continue
		}
		e.queued = false
		if !e.wanted {
			told = e.tell(told, channel, nil)
			delete(p.channels, channel)
			continue
		}
		told = e.tell(told, channel, err)
		if e.sure {
			p.channels[channel] = e // restore will find it
		} else {
			delete(p.channels, channel)
		}
	}
	p.mu.Unlock()
	p.report(told)
}

// restoreMax is how many channels are subscribed to anew in one go, in several commands.
const restoreMax = 8 * batchMax

// restore gives send all channels that were confirmed and that Redis no longer has. The lock is held for a part of the way at a time:
// who subscribes meanwhile does not wait for the rest.
func (p *interest) restore(send func(b batch) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := batch{of: p, epoch: p.epoch}
	flush := func() error {
		p.mu.Unlock()
		defer p.mu.Lock()
		full := b
		b.subscribe = nil
		return send(full)
	}
	seen := 0
	for channel, e := range p.channels {
		if seen++; seen%restoreMax == 0 {
			p.mu.Unlock() // others may have waited
			p.mu.Lock()
		}
		if p.epoch != b.epoch {
			return nil // whoever made it so restores
		}
		if !e.wanted || !e.sure || e.epoch == p.epoch {
			continue
		}
		if b.subscribe = append(b.subscribe, channel); len(b.subscribe) == restoreMax {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(b.subscribe) == 0 {
		return nil
	}
	return flush()
}

// size is how many channels are wanted or were.
func (p *interest) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.channels)
}
