package bench

import (
	"context"
	"fmt"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/probe"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// broadcastsInFlight is how many requests feed the channels of a step at the same time: enough to be quick, few enough to be kind.
const broadcastsInFlight = 4

// idleRun is one run of Idle.
type idleRun struct {
	*rig
	options *Idle
	fleet   *fleet.Fleet
	pprof   *probe.Pprof // nil without --pprof-url
	seen    map[string]struct{}
	groups  []string
	steps   []idleStep
}

func (o *Idle) run(ctx context.Context, rig *rig) error {
	steps, err := o.steps()
	if err != nil {
		return err
	}
	most := steps[len(steps)-1]
	r := &idleRun{rig: rig, options: o, seen: map[string]struct{}{}}
	if o.PprofURL != "" {
		r.pprof = probe.NewPprof(rig.page(o.PprofURL), rig.place.trust)
	}
	if r.fleet, err = rig.fleet(most, o.Target.Workers); err != nil {
		return err
	}
	if err := r.warmUp(ctx, most); err != nil {
		return err
	}
	if err := r.look(ctx, idleStep{}, o.Settle); err != nil {
		return err
	}
	have := 0
	for i, n := range steps {
		wait := o.Settle
		if i == len(steps)-1 {
			wait = max(wait, o.Hold)
		}
		if err := r.step(ctx, have, n, wait); err != nil {
			return err
		}
		have = n
	}
	return r.finish(ctx, most)
}

// warmUp has clients come and go that differ from those to be measured in their numbers alone.
func (r *idleRun) warmUp(ctx context.Context, most int) error {
	n := min(r.options.WarmUp, most)
	if n == 0 {
		return nil
	}
	g := r.options.group(r.place, most, n)
	g.Name = "warm-up"
	if _, err := r.open(ctx, r.fleet, g); err != nil {
		return err
	}
	if r.options.Publish {
		if err := r.feed(ctx, channels(&g, map[string]struct{}{})); err != nil {
			return err
		}
	}
	return r.fleet.Shut(ctx, g.Name)
}

// finish draws the lines and looks at the clients.
func (r *idleRun) finish(ctx context.Context, clients int) error {
	st, err := r.fleet.Stats(ctx, false, r.groups...)
	if err != nil {
		return err
	}
	res, lines := &r.result, fit(r.steps)
	res.Tables = append(res.Tables, idleTable(r.steps))
	lines.fill(res)
	last := r.steps[len(r.steps)-1]
	res.Add("clients", float64(clients), result.Number, result.Neither)
	if r.server != nil {
		res.Add("server CPU", last.cpu, result.Cores, result.Less)
	}
	res.Add("pings answered", float64(st.Pings), result.Number, result.Neither)
	r.counts(st)
	if len(st.Closes) > 0 {
		return fmt.Errorf("%d of %d clients lost their conn: the figures are for fewer clients than they say", sum(st.Closes), clients)
	}
	return lines.gate(r.options)
}

// step adds clients until there are n, and measures.
func (r *idleRun) step(ctx context.Context, have, n int, wait time.Duration) error {
	g := r.options.group(r.place, have, n-have)
	opened, err := r.open(ctx, r.fleet, g)
	if err != nil {
		return err
	}
	r.groups = append(r.groups, g.Name)
	fresh := channels(&g, r.seen)
	if r.options.Publish {
		if err := r.feed(ctx, fresh); err != nil {
			return err
		}
	}
	r.phase(wait, "%d clients are live, measuring in %v", n, wait)
	return r.look(ctx, idleStep{clients: n, channels: len(r.seen), took: opened.Took}, wait)
}

// feed publishes once into each channel.
func (r *idleRun) feed(ctx context.Context, names []string) error {
	data, err := measure.AppendPayload(nil, measure.Stamp{Number: 1, Due: swarm.Monotonic()}, r.options.PayloadBytes)
	if err != nil {
		return err
	}
	errs := make(chan error, broadcastsInFlight)
	for k := range broadcastsInFlight {
		part := names[len(names)*k/broadcastsInFlight : len(names)*(k+1)/broadcastsInFlight]
		go func() { errs <- r.api.Broadcast(ctx, part, data) }()
	}
	for range broadcastsInFlight {
		if e := <-errs; e != nil {
			err = fmt.Errorf("publishing into the channels: %w", e)
		}
	}
	return err
}

// look waits, then measures the server as it is.
func (r *idleRun) look(ctx context.Context, step idleStep, wait time.Duration) error {
	span, err := r.measured(ctx, func() error { return pause(ctx, wait) })
	if err != nil {
		return err
	}
	step.cpu = span.serverCores()
	if r.server != nil {
		status, err := r.server.Status()
		if err != nil {
			return err
		}
		step.rss, step.threads = status.RSS, status.Threads
	}
	if r.pprof != nil { // after RSS: it forces a collection
		heap, err := r.pprof.Heap(ctx)
		if err != nil {
			return err
		}
		step.heap = &heap
	}
	r.steps = append(r.steps, step)
	return nil
}

// counts notes how conns ended and what a server should not have sent.
func (r *rig) counts(st swarm.Stats) {
	r.result.AddCount("conns that ended", st.Closes)
	r.result.AddCount("faults", st.Faults)
	r.result.AddCount("TLS handshakes", st.Secured)
	if st.Reposted > 0 {
		r.result.AddCount("emulation", map[string]int{"posted again, because the server ended a kept-alive conn": int(st.Reposted)})
	}
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
