package bench

import (
	"context"
	"fmt"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/probe"
	"stentor/bench/swarm"
)

// enginesWarmUp is how long each node is published to before the rounds: scripts of a broker, its conns and pools are there then.
const enginesWarmUp = 500 * time.Millisecond

// enginesRun is one run of Engines.
type enginesRun struct {
	*rig
	options *Engines
	fleet   *fleet.Fleet
	kinds   [][]*engineSide // by kind of channels, then by node: memory first
}

// engineSide is a node with one kind of channels.
type engineSide struct {
	name    string
	node    *node
	brokers []probe.Process
	group   string
	flood   *flood

	// By round. CPU is nanoseconds per publication.
	perSecond, cpu, broker []float64

	answers, deliveries *measure.Latency
	span                span // all rounds; Server is the node and its broker together
	seen                swarm.Stats
	tally               swarm.Tally
}

func (o *Engines) run(ctx context.Context, rig *rig) error {
	r, err := o.open(ctx, rig)
	if err != nil {
		return err
	}
	for n := range 1 + o.Rounds {
		complete, err := r.round(ctx, n)
		if err != nil {
			return err
		}
		if !complete {
			break // what is missing now would be waited for in each turn that follows
		}
	}
	return r.finish(ctx)
}

// open starts the nodes and connects the subscribers.
func (o *Engines) open(ctx context.Context, rig *rig) (*enginesRun, error) {
	nodes, err := o.nodes()
	if err != nil {
		return nil, err
	}
	channels := o.channelNames()
	r := &enginesRun{rig: rig, options: o, kinds: make([][]*engineSide, len(channels))}
	if r.fleet, err = rig.fleet(len(nodes)*(o.conns()-o.Publishers), o.Target.Workers); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		server := rig.node
		if n.command != "" {
			if server, err = rig.beside(n.name, n.command, o.conns()); err != nil {
				return nil, err
			}
		}
		brokers, err := r.brokers(n)
		if err != nil {
			return nil, err
		}
		for kind, channel := range channels {
			s := &engineSide{
				name: sideName(n.name, kind), node: server, brokers: brokers, answers: measure.NewLatency(), deliveries: measure.NewLatency(),
			}
			if err := r.subscribe(ctx, s, o.group(server.target, server.place, n.name, kind, channel)); err != nil {
				return nil, err
			}
			r.kinds[kind] = append(r.kinds[kind], s)
		}
	}
	return r, nil
}

// brokers are the processes behind a node. The watch looks at them too.
func (r *enginesRun) brokers(n engineNode) (all []probe.Process, err error) {
	for i, pid := range n.brokers {
		p, err := probe.Open(pid)
		if err != nil {
			return nil, fmt.Errorf("--broker-pid %s: %w", n.name, err)
		}
		name := n.name + " broker"
		if i > 0 {
			name += fmt.Sprintf(" %d", i+1)
		}
		r.watch.also(name, p)
		all = append(all, p)
	}
	return all, nil
}

// subscribe connects the subscribers of a side, and makes its publications.
func (r *enginesRun) subscribe(ctx context.Context, s *engineSide, g swarm.Group) (err error) {
	o := r.options
	s.group = g.Name
	if s.flood, err = newFlood(names(&g), o.PayloadBytes, o.Batch, o.Publishers); err != nil {
		return err
	}
	if _, err := r.open(ctx, r.fleet, g); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// round lets all nodes take a turn with each kind of channels. Round 0 warms them up. complete is false as soon as publications do not
// arrive.
func (r *enginesRun) round(ctx context.Context, n int) (complete bool, err error) {
	o := r.options
	for _, sides := range r.kinds {
		for k := range sides {
			s := sides[(k+n)%len(sides)]
			long := o.Phase
			if n == 0 {
				long = min(long, enginesWarmUp)
				r.phase(long, "warming up: %s", s.name)
			} else {
				r.phase(long, "round %d of %d: %s", n, o.Rounds, s.name)
			}
			t, complete, err := r.turn(ctx, s, long)
			if err != nil {
				return false, fmt.Errorf("%s: %w", s.name, err)
			}
			if !complete {
				return false, nil
			}
			if n > 0 {
				s.note(t)
			}
		}
	}
	return true, nil
}

// engineTurn is what one turn came to.
type engineTurn struct {
	answered
	delivery
	node, broker time.Duration // CPU time
}

// turn publishes to a side for so long and waits until all has arrived.
func (r *enginesRun) turn(ctx context.Context, s *engineSide, long time.Duration) (t engineTurn, complete bool, err error) {
	c, err := newCallers(s.node, r.options.Publishers)
	if err != nil {
		return t, false, err
	}
	defer c.close()
	if err := c.open(ctx); err != nil { // what that costs the node is no part of a publication
		return t, false, err
	}
	spent, err := usedEach(ctx, func() (err error) {
		t.delivery, complete, err = deliver(ctx, r.rig, r.fleet, s.group, r.options.Drain, s.flood.sent, func() (err error) {
			t.answered, err = c.call(ctx, long, s.flood.next)
			return err
		})
		return err
	}, s.node.cpu, s.brokerCPU)
	if err != nil {
		return t, false, err
	}
	t.node, t.broker = spent[0], spent[1]
	t.Server = t.node + t.broker
	return t, complete, nil
}

// brokerCPU is the CPU time that the processes of the broker have used.
func (s *engineSide) brokerCPU() (sum time.Duration, err error) {
	for _, p := range s.brokers {
		cpu, err := p.CPU()
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}

// note keeps a turn.
func (s *engineSide) note(t engineTurn) {
	n := float64(t.publications)
	s.perSecond = append(s.perSecond, per(n, t.took.Seconds()))
	s.cpu, s.broker = append(s.cpu, per(float64(t.node), n)), append(s.broker, per(float64(t.broker), n))
	s.answers.Merge(t.latency)
	s.deliveries.Merge(t.stats.Latency)
	s.span.add(t.span)
}
