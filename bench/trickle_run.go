package bench

import (
	"context"
	"errors"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// trickleRun is one run of Trickle.
type trickleRun struct {
	*fanoutRun
	options *Trickle
	slow    *fleet.Fleet
	pairs   *pairs
	closes  map[string]int // how the server ended slow clients
	returns uint64
}

func (o *Trickle) run(ctx context.Context, rig *rig) error {
	r := &trickleRun{options: o, pairs: newPairs(), closes: map[string]int{}}
	var err error
	if r.fanoutRun, err = o.Fanout.subscribe(ctx, rig); err != nil {
		return err
	}
	if r.slow, err = rig.fleet(o.Slow, 0); err != nil {
		return err
	}
	for n := range o.Rounds {
		rig.phase(2*o.Phase, "round %d of %d", n+1, o.Rounds)
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return err
	}
	r.pairs.fill(&r.result, "slow conns")
	r.result.Add("slow clients came back", float64(r.returns), result.Number, result.Neither)
	r.result.AddCount("slow conns that ended", r.closes)
	r.counts(st)
	if err := r.tally(ctx, false); err != nil {
		return err
	}
	return overBudget(&r.result, ratioP99, o.RatioMax)
}

// round measures one pair.
func (r *trickleRun) round(ctx context.Context) error {
	without, err := r.healthy(ctx, r.options.Phase)
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
	counted := make(chan error, 1)
	counting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		var err error
		st, live, err = r.count(counting, names)
		counted <- err
	}()
	beside, err := r.healthy(ctx, r.options.Phase)
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
	r.pairs.add(without, beside, live)
	r.returns += st.Reopened
	for text, n := range st.Closes {
		r.closes[text] += n
	}
	return nil
}

// liveEvery is how often the slow clients are counted.
const liveEvery = 500 * time.Millisecond

// count looks at the slow clients until counting ends: what they have seen, and how many were connected on average.
func (r *trickleRun) count(counting context.Context, names []string) (st swarm.Stats, live float64, err error) {
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
