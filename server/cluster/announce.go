package cluster

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"stentor/server/api"
	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// Info describes all nodes: this one first and as it is now, the others by their last announcements (api.Node).
func (n *Node) Info() []api.NodeInfo { return append([]api.NodeInfo{n.own()}, n.registry.list()...) }

// own describes this node.
func (n *Node) own() api.NodeInfo {
	g := n.cfg.Local.Gauges()
	latest, _ := n.figures.get()
	return api.NodeInfo{
		UID:         n.cfg.UID,
		Name:        n.cfg.Name,
		Version:     n.cfg.Version,
		NumClients:  uint32(g.Clients),
		NumUsers:    uint32(g.Users),
		NumSubs:     uint32(g.Subscriptions),
		NumChannels: uint32(g.Channels),
		Uptime:      uint32(time.Since(n.started).Seconds()),
		Metrics:     latest,
	}
}

// keepAnnouncing tells the others about this node until ctx ends.
func (n *Node) keepAnnouncing(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			next.Reset(n.announce(ctx))
		case <-ctx.Done():
			return
		}
	}
}

// announce tells all others about this node, and says when to do so again. Metrics go along once each time they were made anew: they
// are most of the message.
func (n *Node) announce(ctx context.Context) (next time.Duration) {
	err := n.speak(ctx, func() error {
		if n.left.Load() {
			return nil
		}
		info := n.own()
		latest, told := n.figures.get()
		if told {
			info.Metrics = nil
		}
		err := n.broadcast(ctx, &control.Command{Node: messageOf(&info)})
		if err == nil {
			n.figures.tell(latest)
		}
		return err
	})
	if n.link.announced(err) && err == nil {
		n.cfg.Log.Info("other nodes can be reached again")
	}
	if err != nil {
		return announceRetry
	}
	return AnnounceInterval
}

// greet tells one other node about this one.
func (n *Node) greet(ctx context.Context, uid string) {
	_ = n.speak(ctx, func() error {
		if n.left.Load() {
			return nil
		}
		info := n.own()
		return n.send(ctx, uid, &control.Command{Node: messageOf(&info)})
	}) // whoever was not greeted will hear the next announcement
}

// messageOf is what a node tells about itself.
func messageOf(info *api.NodeInfo) *control.Node {
	m := &control.Node{
		Uid:         info.UID,
		Name:        info.Name,
		Version:     info.Version,
		NumClients:  info.NumClients,
		NumUsers:    info.NumUsers,
		NumSubs:     info.NumSubs,
		NumChannels: info.NumChannels,
		Uptime:      info.Uptime,
	}
	if info.Metrics != nil {
		m.Metrics = &control.Metrics{Interval: info.Metrics.Interval, Items: info.Metrics.Items}
	}
	return m
}

// infoOf is what another node tells, fit to be shown: JSON has no words for some numbers and bytes.
func infoOf(m *control.Node) api.NodeInfo {
	info := api.NodeInfo{
		UID:         m.Uid,
		Name:        text(m.Name),
		Version:     text(m.Version),
		NumClients:  m.NumClients,
		NumUsers:    m.NumUsers,
		NumSubs:     m.NumSubs,
		NumChannels: m.NumChannels,
		Uptime:      m.Uptime,
	}
	if m.Metrics == nil {
		return info
	}
	info.Metrics = &api.NodeMetrics{Items: make(map[string]float64, min(len(m.Metrics.Items), metrics.DigestItemsMax))}
	if finite(m.Metrics.Interval) {
		info.Metrics.Interval = m.Metrics.Interval
	}
	for name, value := range m.Metrics.Items {
		if len(info.Metrics.Items) == metrics.DigestItemsMax {
			break
		}
		if finite(value) && utf8.ValidString(name) {
			info.Metrics.Items[name] = value
		}
	}
	return info
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// text is s, shortened and valid.
func text(s string) string { return strings.ToValidUTF8(s[:min(len(s), TextBytesMax)], "\ufffd") }

// figures are the metrics of this node that it tells others.
type figures struct {
	mu     sync.Mutex
	latest *api.NodeMetrics // nil until an interval has passed; never changed once it is here
	told   *api.NodeMetrics // those that the others have
}

// get returns the latest figures, and whether the others have them.
func (f *figures) get() (latest *api.NodeMetrics, told bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest, f.told == f.latest
}

func (f *figures) tell(latest *api.NodeMetrics) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = latest
}

// keepFigures makes them anew until ctx ends.
func (n *Node) keepFigures(ctx context.Context) {
	if n.cfg.MetricsInterval <= 0 {
		return
	}
	digest := n.cfg.Metrics.Digest()
	digest.Take() // what was before the first interval does not belong to it
	last := time.Now()
	tick := time.NewTicker(n.cfg.MetricsInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			latest := &api.NodeMetrics{Interval: now.Sub(last).Seconds(), Items: digest.Take()}
			last = now
			n.figures.mu.Lock()
			n.figures.latest = latest
			n.figures.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// errand is a message to one node; without a command it is an announcement.
type errand struct {
	to      string
	command *control.Command
}

// send later leaves an errand. Never blocks.
func (n *Node) sendLater(to string, c *control.Command) {
	select {
	case n.errands <- errand{to, c}:
	default:
		n.fail(complaintDropped)
	}
}

// runErrands sends what is to be sent until ctx ends.
func (n *Node) runErrands(ctx context.Context) {
	for {
		select {
		case e := <-n.errands:
			if e.command == nil {
				n.greet(ctx, e.to)
			} else {
				_ = n.send(ctx, e.to, e.command) // whoever asked waits in vain
			}
		case <-ctx.Done():
			return
		}
	}
}
