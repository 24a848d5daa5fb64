package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/hub"
)

// CheckPositions looks, until ctx ends, for subscriptions that have missed something without noticing it: a stream that was lost and
// made anew, a publication that never came. Every channel with positions is looked at once in client.channel_position_check_delay,
// for all its subscriptions on this node together, so that a channel of a million costs one question to the broker; those of which a
// remote broker says that something may be missing, at once, and also if there is no such delay. It runs on a goroutine of its own,
// because the broker may be remote.
func (n *Node) CheckPositions(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var c positionCheck
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			c.step(ctx, n)
		}
	}
}

// positionCheck goes through the stripes of channels.
type positionCheck struct {
	next     int       // stripe
	again    []string  // channels whose position could not be read
	suspects []suspect // in the order of their reading
}

// suspect is a channel whose position was read from a remote broker. What was published before that may still be on its way, by
// another connection, so subscriptions are compared with it only when that has had time to come.
type suspect struct {
	channel string
	top     codec.StreamPosition
	step    int // steps left to wait
}

// settleSteps is how long that is, in steps of a second: at least one less.
const settleSteps = 3

// checkersMax is how many positions are read from a remote broker at once.
const checkersMax = 64

// step checks as many stripes as a second's share of the delay, and what may have missed something.
func (c *positionCheck) step(ctx context.Context, n *Node) {
	c.compare(n)
	names := n.Table.Missed()
	for _, name := range c.again {
		if n.Table.Subscribers(name) > 0 {
			names = append(names, name)
		}
	}
	c.again = nil
	names = c.share(names, n)
	slices.Sort(names)
	names = slices.Compact(names)
	if n.Broker.Local() {
		for _, name := range names {
			n.checkPosition(ctx, name)
		}
	} else {
		c.ask(ctx, n, names)
	}
}

// share appends the channels with positions that are due in this second to names.
func (c *positionCheck) share(names []string, n *Node) []string {
	if n.Settings.PositionCheckDelay <= 0 {
		return names
	}
	seconds := max(int(n.Settings.PositionCheckDelay/time.Second), 1)
	for range (hub.StripesCount + seconds - 1) / seconds {
		names = n.Table.Positioned(names, c.next)
		c.next = (c.next + 1) % hub.StripesCount
	}
	return names
}

// ask reads positions from a remote broker.
func (c *positionCheck) ask(ctx context.Context, n *Node, names []string) {
	var work sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range min(checkersMax, len(names)) {
		work.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for next < len(names) {
				name := names[next]
				next++
				mu.Unlock()
				top, err := n.readTop(ctx, name)
				mu.Lock()
				switch {
				case err == nil:
					c.suspects = append(c.suspects, suspect{name, top, settleSteps})
				case !errors.Is(err, engine.ErrNotAvailable):
					c.again = append(c.again, name)
				}
			}
		})
	}
	work.Wait()
}

// compare holds subscriptions against what was read some time ago.
func (c *positionCheck) compare(n *Node) {
	kept := c.suspects[:0]
	for _, x := range c.suspects {
		if x.step--; x.step > 0 {
			kept = append(kept, x)
			continue
		}
		n.Table.Check(x.channel, x.top)
	}
	clear(c.suspects[len(kept):])
	if c.suspects = kept; cap(kept) > suspectsKeptMax && len(kept) < cap(kept)/4 {
		c.suspects = slices.Clone(kept)
	}
}

// suspectsKeptMax is for how many suspects room is kept: after a loss there may be as many as channels.
const suspectsKeptMax = 64 << 10

// checkPosition is all of it with a local broker, from where publications come before they are in the position.
func (n *Node) checkPosition(ctx context.Context, channel string) {
	if top, err := n.readTop(ctx, channel); err == nil {
		n.Table.Check(channel, top)
	}
}

// readTop asks the broker where a channel stands. engine.ErrNotAvailable is the answer for a channel that does not.
func (n *Node) readTop(ctx context.Context, channel string) (codec.StreamPosition, error) {
	options := n.policy.Load().Options(channel)
	if options == nil {
		return codec.StreamPosition{}, engine.ErrNotAvailable // its namespace was removed by a reload
	}
	if ctx.Err() != nil {
		return codec.StreamPosition{}, ctx.Err()
	}
	if !n.Broker.Local() { // every channel has its turn again and again: what it takes is garbage
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, workTimeout)
		defer cancel()
	}
	_, top, err := n.Broker.History(ctx, channel, engine.HistoryFilter{MetaTTL: options.HistoryMetaTTL})
	if err != nil {
		n.faults.Say(n.Log, slog.LevelError, "a position could not be checked", "channel", channel, "error", err)
	}
	return top, err
}
