package natsengine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"stentor/codec"
	"stentor/engine"
)

// Limits of what has come and waits for delivery. One read of a socket brings at most 32 KiB, less than 3,000 messages: if queues are
// half empty before it, they do not overflow.
const (
	deliverersCount = 8
	QueueItemsMax   = 16 << 10 // of one deliverer, and it never gets beyond half of it by much
	QueueBytesMax   = 64 << 20 // of all, read from sockets
	intakePause     = time.Millisecond
)

// AdmitWaitMax is how long a deliverer waits for loops in one go. A quarter of the time that passes is added to what it may wait, so
// under a load that lasts it drops what is too much instead of falling behind until NATS ends the connection.
const AdmitWaitMax = time.Second

const admitWaitShare = 4 // the divisor

// intake holds the socket back while the queues are full.
type intake struct {
	queues []chan *nats.Msg
	bytes  atomic.Int64 // read since the queues were empty, without what was delivered since
}

// full is asked before every read.
func (in *intake) full() bool {
	waiting := 0
	for _, q := range in.queues {
		n := len(q)
		if n > cap(q)/2 {
			return true
		}
		waiting += n
	}
	if waiting == 0 {
		in.bytes.Store(0) // what came besides payloads is not taken off one by one
		return false
	}
	return in.bytes.Load() > QueueBytesMax
}

// deliverer gives what comes to the receiver, in order.
type deliverer struct {
	engine *Engine
	queue  chan *nats.Msg

	// Only its goroutine touches these.
	wake     engine.Wake
	waking   int           // messages since the last wake-up
	budget   time.Duration // that it may wait for loops
	budgetAt time.Time
	push     codec.Push
}

// wakeEvery is after how many messages loops are woken although more are waiting.
const wakeEvery = 64

// run delivers until ctx ends.
func (d *deliverer) run(ctx context.Context) {
	for {
		select {
		case m := <-d.queue:
			d.deliver(ctx, m)
			d.engine.intake.bytes.Add(-int64(len(m.Data) + len(m.Subject)))
			if d.waking++; len(d.queue) == 0 || d.waking >= wakeEvery {
				d.ring()
			}
		case <-ctx.Done():
			return
		}
	}
}

// ring wakes the loops that have got something.
func (d *deliverer) ring() {
	if d.wake != 0 {
		d.engine.node.Wake(d.wake)
	}
	d.wake, d.waking = 0, 0
}

// deliver takes one message. Its subject tells the channel, whatever is written inside.
func (d *deliverer) deliver(ctx context.Context, m *nats.Msg) {
	e := d.engine
	e.stats.received.Add(1)
	channel, published, ok := e.origin(m)
	if !ok {
		return
	}
	if published != "" && e.cfg.Within != nil && !e.cfg.Within(channel, published) {
		return
	}
	if !d.read(m) {
		e.stats.malformed.Add(1)
		if e.quiet.now() {
			e.log.Warn("a message from NATS cannot be read and is left out; something else than nodes of this cluster publishes there?",
				"subject", m.Subject, "bytes", len(m.Data))
		}
		return
	}
	if published != "" && d.push.Pub == nil {
		return // patterns get publications alone
	}
	if !e.node.Admit(channel) && !d.admitted(ctx, channel) {
		e.stats.dropped.Add(1)
		if e.quiet.now() {
			e.log.Warn("loops do not keep up with what comes from NATS; some of it is dropped", "channel", channel)
		}
		return
	}
	switch p := &d.push; {
	case p.Pub != nil:
		p.Pub.Channel = published
		d.wake |= e.node.Publication(channel, p.Pub, nil, d.position())
	case p.Join != nil:
		d.wake |= e.node.Join(channel, p.Join.Info)
	case p.Leave != nil:
		d.wake |= e.node.Leave(channel, p.Leave.Info)
	}
	d.push = codec.Push{}
}

// read decodes m into push, with either a publication, a join or a leave. The bytes are the message's own, for good.
func (d *deliverer) read(m *nats.Msg) bool {
	p := &d.push
	if d.engine.cfg.Raw.Enabled {
		*p = codec.Push{Pub: &codec.Publication{Data: m.Data}}
		return true
	}
	if err := codec.DecodeCarried(m.Data, p); err != nil {
		return false
	}
	switch {
	case p.Pub != nil:
		p.Pub.Delta = false
		return true
	case p.Join != nil:
		return p.Join.Info != nil
	case p.Leave != nil:
		return p.Leave.Info != nil
	}
	return false
}

// position takes the position out of the publication that was read. Without Config.Positions there is no stream that it could be about.
func (d *deliverer) position() codec.StreamPosition {
	p := d.push.Pub
	at := codec.StreamPosition{Offset: p.Offset, Epoch: p.Tags[epochTag]}
	p.Offset, p.Epoch = 0, ""
	if !d.engine.cfg.Positions || at.Offset == 0 {
		return codec.StreamPosition{}
	}
	delete(p.Tags, epochTag)
	if len(p.Tags) == 0 {
		p.Tags = nil
	}
	p.Offset = at.Offset
	if at.Offset == 1 {
		p.Epoch = at.Epoch
	}
	return at
}

// admitPause is how long a deliverer waits before it asks again.
const admitPause = 2 * time.Millisecond

// admitted waits until the loops of channel have room again, for as long as the budget lasts.
func (d *deliverer) admitted(ctx context.Context, channel string) bool {
	d.ring()
	now := time.Now()
	d.budget = min(AdmitWaitMax, d.budget+now.Sub(d.budgetAt)/admitWaitShare)
	defer func() {
		d.budget -= time.Since(now)
		d.budgetAt = time.Now()
	}()
	for time.Since(now) < d.budget && ctx.Err() == nil {
		time.Sleep(admitPause)
		if d.engine.node.Admit(channel) {
			return true
		}
	}
	return false
}
