package redisengine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// ProbeInterval is how long a connection for subscriptions may be silent before it is probed. It answers a ping although nothing arrives
// on it any more if it leads to a server that was left behind by a failover: so a message is published to a topic of its own,
// the way all messages go, and has to come within another interval.
const ProbeInterval = 5 * time.Second

// errSilent is why a connection is given up although it answers.
var errSilent = errors.New("what is published does not arrive on this connection: the server behind it is out of date")

// probe is what a line knows of its silence. Only the line's goroutine touches it; the answers of publishing come on published.
type probe struct {
	topic     string
	off       bool      // Redis does not allow it
	heard     uint64    // at the last look
	next      time.Time // of the next look
	busy      bool      // one is being published
	sent      bool      // one was published since something was heard
	published chan error
}

// openProbe subscribes to the topic of the probe. As the first command of a connection it also shows that it works. Without the
// permission for that topic there is no probe.
func (l *line) openProbe(ctx context.Context) error {
	l.probe = probe{topic: l.names.prefix + probePart + fmt.Sprintf("%016x", rand.Uint64()), published: make(chan error, 1)}
	if l.sharded {
		if list := l.list(); len(list) > 0 {
			l.probe.topic += "{" + partitionTag(list[0].partition) + "}"
		}
	}
	l.probe.next = time.Now().Add(l.shard.broker.cfg.probeInterval)
	limited, cancel := context.WithTimeout(ctx, l.shard.link.IOTimeout())
	defer cancel()
	answer := l.conn.Do(limited, l.command(true, []string{l.probe.topic}))
	if err := answer.NonRedisError(); err != nil {
		return err
	}
	if err := answer.Error(); err != nil {
		if l.shard.broker.refusedLog.due() {
			l.log().Warn("Redis refuses a subscription of our own; a server that is left behind by a failover is not noticed",
				"topic", l.probe.topic, "error", err)
		}
		l.probe.off = true
	}
	return nil
}

// checkProbe looks whether something was heard, and is an error if a probe was not. It returns when to look again.
func (l *line) checkProbe(ctx context.Context, now time.Time) (time.Duration, error) {
	p := &l.probe
	select {
	case err := <-p.published:
		p.told(now, l.shard.broker.cfg.probeInterval, err)
	default:
	}
	publish, err := p.look(now, l.shard.broker.cfg.probeInterval, l.heard.Load())
	if publish {
		l.shard.broker.working.Go(func() { l.publishProbe(ctx, p.topic, p.published) })
	}
	return p.next.Sub(now), err
}

// told notes what came of publishing: from now on the probe has an interval to arrive.
func (p *probe) told(now time.Time, interval time.Duration, err error) {
	p.busy, p.sent = false, err == nil
	p.next = now.Add(interval)
}

// look decides what to do, given the number of messages that were heard so far.
func (p *probe) look(now time.Time, interval time.Duration, heard uint64) (publish bool, err error) {
	if now.Before(p.next) {
		return false, nil
	}
	p.next = now.Add(interval)
	switch {
	case p.off:
	case heard != p.heard:
		p.heard, p.sent = heard, false
	case p.sent:
		return false, errSilent
	case !p.busy:
		p.busy = true
		return true, nil
	}
	return false, nil
}

// publishProbe publishes to the topic of a probe. It has a goroutine of its own, one for a line at a time, since it may take as long as
// the I/O time limit.
func (l *line) publishProbe(ctx context.Context, topic string, published chan<- error) {
	limited, cancel := context.WithTimeout(ctx, l.shard.link.IOTimeout())
	defer cancel()
	client, err := l.shard.link.Client()
	if err == nil {
		command := "PUBLISH"
		if l.sharded {
			command = "SPUBLISH"
		}
		err = client.Do(limited, client.B().Arbitrary(command).Keys(topic).Args("").Build()).Error()
	}
	select {
	case published <- err:
	default: // of an earlier connection
	}
	l.kick()
}
