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
	report  IdleReport
}

// Run measures and prints. The error says why there is no figure, or that one is over its budget.
func (o *Idle) Run(ctx context.Context, s *Streams) error {
	steps, err := o.steps()
	if err != nil {
		return err
	}
	most := steps[len(steps)-1]
	rig, err := newRig(ctx, &o.Target, s, most)
	if err != nil {
		return err
	}
	defer rig.close()
	r := &idleRun{rig: rig, options: o, seen: map[string]struct{}{}}
	if o.PprofURL != "" {
		r.pprof = probe.NewPprof(o.PprofURL)
	}
	if r.fleet, err = rig.fleet(most, o.Target.Workers); err != nil {
		return err
	}
	if err := r.look(ctx, IdleStep{}, o.Settle); err != nil {
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
	r.report.fit()
	if err := s.print(&r.report); err != nil {
		return err
	}
	if len(r.report.Closes) > 0 {
		return fmt.Errorf("%d of %d clients lost their conn: the figures are for fewer clients than they say", sum(r.report.Closes), most)
	}
	return r.report.gate(o)
}

// step adds clients until there are n, and measures.
func (r *idleRun) step(ctx context.Context, have, n int, wait time.Duration) error {
	g := r.options.group(r.place, have, n-have)
	r.logf("opening clients %d to %d", have+1, n)
	opened, err := r.fleet.Open(ctx, g)
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
	r.logf("%d clients are live, measuring in %v", n, wait)
	return r.look(ctx, IdleStep{Clients: n, Channels: len(r.seen), Took: opened.Took}, wait)
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
func (r *idleRun) look(ctx context.Context, step IdleStep, wait time.Duration) error {
	start := time.Now()
	before, err := r.cpu()
	if err != nil {
		return err
	}
	if err := pause(ctx, wait); err != nil {
		return err
	}
	after, err := r.cpu()
	if err != nil {
		return err
	}
	if took := time.Since(start); wait > 0 {
		step.CPU = float64(after-before) / float64(took)
	}
	if r.server != nil {
		status, err := r.server.Status()
		if err != nil {
			return err
		}
		step.RSS, step.Threads = status.RSS, status.Threads
	}
	if r.pprof != nil { // after RSS: it forces a collection
		heap, err := r.pprof.Heap(ctx)
		if err != nil {
			return err
		}
		step.Heap = &heap
	}
	r.report.Steps = append(r.report.Steps, step)
	st, err := r.fleet.Stats(ctx, false, r.groups...)
	if err != nil {
		return err
	}
	r.report.Pings, r.report.Closes, r.report.Faults = st.Pings, st.Closes, st.Faults
	return nil
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
