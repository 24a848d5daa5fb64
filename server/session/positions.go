package session

import (
	"context"
	"time"

	"stentor/engine"
	"stentor/server/hub"
)

// CheckPositions looks, until ctx ends, for subscriptions that have missed something without noticing it: a stream that was lost and
// made anew, a publication that never came. Every channel with positions is looked at once in client.channel_position_check_delay,
// for all its subscriptions on this node together, so that a channel of a million costs one question to the broker. It runs on a
// goroutine of its own, because the broker may be remote.
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
	next  int
	names []string
}

// step checks as many stripes as a second's share of the delay; none without one.
func (c *positionCheck) step(ctx context.Context, n *Node) {
	if n.Settings.PositionCheckDelay <= 0 {
		return
	}
	seconds := max(int(n.Settings.PositionCheckDelay/time.Second), 1)
	for range (hub.StripesCount + seconds - 1) / seconds {
		c.names = n.Table.Positioned(c.names[:0], c.next)
		c.next = (c.next + 1) % hub.StripesCount
		for _, name := range c.names {
			n.checkPosition(ctx, name)
		}
	}
	clear(c.names)
}

func (n *Node) checkPosition(ctx context.Context, channel string) {
	options := n.policy.Load().Options(channel)
	if options == nil || ctx.Err() != nil {
		return // its namespace was removed by a reload
	}
	_, top, err := n.Broker.History(ctx, channel, engine.HistoryFilter{MetaTTL: options.HistoryMetaTTL})
	if err != nil {
		n.Log.Warn("a position could not be checked", "channel", channel, "error", err)
		return
	}
	n.Table.Check(channel, top)
}
