package bench

import (
	"context"
	"errors"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// slowRun is one run of Slow.
type slowRun struct {
	*fanoutRun
	options *Slow
	slow    *fleet.Fleet
	report  SlowReport
}

// Run measures and prints. The error says why there is no figure, or that one is over its budget.
func (o *Slow) Run(ctx context.Context, s *Streams) error {
	if err := o.check(); err != nil {
		return err
	}
	start := time.Now()
	rig, err := newRig(ctx, &o.Fanout.Target, s, o.Fanout.Subscribers+o.Slow)
	if err != nil {
		return err
	}
	defer rig.close()
	r := &slowRun{options: o, report: SlowReport{Subscribers: o.Fanout.Subscribers, Slow: o.Slow}}
	if r.fanoutRun, err = o.Fanout.subscribe(ctx, rig); err != nil {
		return err
	}
	if r.slow, err = rig.fleet(o.Slow, 0); err != nil {
		return err
	}
	for n := range o.Rounds {
		rig.logf("round %d of %d", n+1, o.Rounds)
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	if r.report.Tally, err = r.fleet.Tally(ctx, r.group, r.feed.sent()); err != nil {
		return err
	}
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return err
	}
	r.report.Late, r.report.Closes, r.report.Faults, r.report.Took = st.Late, st.Closes, st.Faults, time.Since(start)
	r.report.finish()
	if err := s.print(&r.report); err != nil {
		return err
	}
	if err := loss(r.report.Tally); err != nil {
		return err
	}
	return r.report.gate(o)
}

// round measures one pair.
func (r *slowRun) round(ctx context.Context) error {
	without, err := r.healthy(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, g := range r.options.groups(r.place) {
		if _, err := r.slow.Open(ctx, g); err != nil {
			return err
		}
		names = append(names, g.Name)
	}
	if err := pause(ctx, r.options.Pause); err != nil { // until each of them has sent its first byte
		return err
	}
	var st swarm.Stats
	var live float64
	var beside measure.Percentiles
	counted := make(chan error, 1)
	counting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		var err error
		st, live, err = r.count(counting, names)
		counted <- err
	}()
	beside, err = r.healthy(ctx)
	stop()
	if err := errors.Join(err, <-counted); err != nil {
		return err
	}
	for _, name := range names {
		if err := r.slow.Shut(ctx, name); err != nil {
			return err
		}
	}
	if err := pause(ctx, r.options.Pause); err != nil { // the server cleans up behind them before the next phase
		return err
	}
	r.report.Rounds = append(r.report.Rounds, SlowRound{Without: without, Beside: beside, Live: live})
	r.report.SlowReturns += st.Reopened
	if r.report.SlowCloses == nil {
		r.report.SlowCloses = map[string]int{}
	}
	for text, n := range st.Closes {
		r.report.SlowCloses[text] += n
	}
	return nil
}

// liveEvery is how often the slow clients are counted.
const liveEvery = 500 * time.Millisecond

// count looks at the slow clients until counting ends: what they have seen, and how many were connected on average.
func (r *slowRun) count(counting context.Context, names []string) (st swarm.Stats, live float64, err error) {
	var seen []float64
	for {
		over := pause(counting, liveEvery) != nil
		if st, err = r.slow.Stats(context.WithoutCancel(counting), true, names...); err != nil {
			return st, 0, err
		}
		seen = append(seen, float64(st.Live))
		if over {
			return st, measure.Mean(seen), nil
		}
	}
}

// healthy publishes to the healthy subscribers for one phase and reads their latencies.
func (r *slowRun) healthy(ctx context.Context) (measure.Percentiles, error) {
	o := r.options
	if err := r.feed.onSchedule(ctx, o.Fanout.PerSecond, bursts(o.Fanout.PerSecond, o.Phase)); err != nil {
		return measure.Percentiles{}, err
	}
	if _, err := r.fleet.Await(ctx, r.group, r.feed.sent(), o.Fanout.Drain); err != nil {
		return measure.Percentiles{}, err
	}
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return measure.Percentiles{}, err
	}
	return st.Latency.Percentiles(), nil
}
