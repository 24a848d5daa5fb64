package cluster

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"stentor/engine"
	"stentor/reactor/quiet"
	"stentor/server/api"
	"stentor/server/channel"
	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// Local is this node without the others.
type Local interface {
	// Gauges is how much there is of everything.
	Gauges() metrics.NodeGauges
	// Channels are the channels with subscribers that match, and how many those are.
	Channels(match func(channel string) bool) map[string]int
}

// Sessions takes the orders of other nodes for the sessions of this one. It need not wait until they are done.
type Sessions interface {
	api.Clients
	// Settle returns when the orders so far are done, or will not be.
	Settle()
}

// Config is what a Node is made of.
type Config struct {
	UID, Name, Version string
	// Bus is the way to the other nodes; nil if there are none.
	Bus   engine.Bus
	Local Local
	// Clients gives orders to the sessions of this node, for its own API.
	Clients api.Clients
	// Sessions does for other nodes.
	Sessions Sessions
	// Rules say what holds for a channel now.
	Rules   func() *channel.Rules
	Metrics *metrics.Metrics
	// MetricsInterval is how often the metrics that other nodes and info get are made anew; 0 is never.
	MetricsInterval time.Duration
	Log             *slog.Logger
}

// Node is this node as a part of its cluster, and what the API knows of both. Any goroutine may use it.
type Node struct {
	cfg     Config
	started time.Time

	registry   registry
	link       link
	complaints *complaints
	panics     quiet.Line
	figures    figures

	asked  asked
	places chan struct{}    // one for each survey
	lanes  map[string]*lane // by op; nobody adds to it once Run has begun

	orders     chan order
	errands    chan errand
	inboxBytes atomic.Int64

	left     atomic.Bool
	speaking chan struct{} // holds one while the bus takes an announcement, so that none comes after the Shutdown message
}

var _ api.Node = (*Node)(nil)

// New makes a node that listens on the bus at once, and does the rest while Run runs.
func New(cfg Config) *Node {
	n := &Node{
		cfg:        cfg,
		started:    time.Now(),
		registry:   newRegistry(),
		complaints: newComplaints(cfg.Log),
		asked:      newAsked(),
		places:     make(chan struct{}, SurveysMax),
		lanes:      make(map[string]*lane),
		orders:     make(chan order, OrdersMax),
		errands:    make(chan errand, ErrandsMax),
		speaking:   make(chan struct{}, 1),
	}
	n.link.start(n.started)
	n.Handle(opChannels, channelsWorkers, n.answerChannels)
	if cfg.Bus != nil {
		cfg.Bus.Listen(cfg.UID, n.receive)
	}
	return n
}

// Run works until ctx ends, then returns nil.
func (n *Node) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { n.keepFigures(ctx) })
	if n.cfg.Bus == nil {
		return nil
	}
	n.link.start(time.Now())
	work.Go(func() { n.keepAnnouncing(ctx) })
	work.Go(func() { n.keepSweeping(ctx) })
	work.Go(func() { n.obey(ctx) })
	work.Go(func() { n.runErrands(ctx) })
	for _, l := range n.lanes {
		for range l.workers {
			work.Go(func() { n.answer(ctx, l) })
		}
	}
	return nil
}

// Leave tells the others that this node goes. What they send is still worked on while Run runs.
func (n *Node) Leave(ctx context.Context) {
	if n.cfg.Bus == nil || n.left.Swap(true) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout) // it may come when the time for all else is over
	defer cancel()
	err := n.speak(ctx, func() error { return n.broadcast(ctx, &control.Command{Shutdown: &control.Shutdown{}}) })
	if err != nil {
		n.cfg.Log.Warn("the other nodes were not told that this one goes; they will notice in some seconds", "error", err)
	}
}

// speak says something about this node itself when nothing else is being said.
func (n *Node) speak(ctx context.Context, say func() error) error {
	select {
	case n.speaking <- struct{}{}:
		defer func() { <-n.speaking }()
		return say()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Count is how many nodes there are, this one included.
func (n *Node) Count() int { return 1 + n.registry.count() }

// Check reports why this node cannot reach the others; nil if it can, or if there are none to reach.
func (n *Node) Check() error {
	if n.cfg.Bus == nil {
		return nil
	}
	return n.link.check(time.Now())
}

// keepSweeping forgets nodes that are silent.
func (n *Node) keepSweeping(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, uid := range n.registry.forget(now) {
				n.cfg.Log.Warn("a node has not been heard of for some seconds and is forgotten", "uid", uid)
				n.asked.departed(uid)
			}
			if n.Check() == errDeaf && !n.left.Load() {
				n.complaints.say(complaintDeaf)
			}
		case <-ctx.Done():
			return
		}
	}
}

// broadcast sends c to all nodes. It counts, and complains about, what the bus does not take.
func (n *Node) broadcast(ctx context.Context, c *control.Command) error {
	message, err := n.encode(c)
	if err != nil {
		return err
	}
	if c.Node != nil {
		n.link.sending(message)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return n.sent(n.cfg.Bus.Broadcast(ctx, message))
}

// send sends c to one node.
func (n *Node) send(ctx context.Context, uid string, c *control.Command) error {
	message, err := n.encode(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return n.sent(n.cfg.Bus.Send(ctx, uid, message))
}

func (n *Node) encode(c *control.Command) ([]byte, error) {
	c.Uid = n.cfg.UID
	if size := c.SizeVT(); size > MessageBytesMax {
		return nil, ErrTooLarge
	}
	return c.MarshalVT()
}

func (n *Node) sent(err error) error {
	if err != nil {
		n.fail(complaintUnsent, "error", err)
		return err
	}
	n.cfg.Metrics.MessageSent(-1, 0, metrics.MessageControl)
	return nil
}

// fail counts a message that had no effect, and complains.
func (n *Node) fail(why complaint, args ...any) {
	n.cfg.Metrics.ControlFailed(complaintTexts[why].counts)
	n.complaints.say(why, args...)
}
