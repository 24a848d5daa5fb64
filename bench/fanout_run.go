package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// fanoutRun is one run of Fanout.
type fanoutRun struct {
	*rig
	options *Fanout
	fleet   *fleet.Fleet
	group   string
	feed    *feed
}

func (o *Fanout) run(ctx context.Context, rig *rig) error {
	r, err := o.subscribe(ctx, rig)
	if err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	switch {
	case o.Floor.On:
		return r.againstFloors(ctx)
	case o.Pace == Knee:
		return r.toTheKnee(ctx)
	}
	d, err := r.deliver(ctx, func() error { return r.publish(ctx) })
	if err != nil {
		return err
	}
	d.fill(&rig.result)
	rig.result.AddLatency("delivery", d.stats.Latency)
	r.judge(d.span, d.stats.Latency.Percentiles().P99)
	return r.finish(ctx, &d, false)
}

// settle waits, if it is to, and counts the pings that were answered meanwhile.
func (r *fanoutRun) settle(ctx context.Context) error {
	wait := r.options.Settle
	if wait == 0 {
		return nil
	}
	r.phase(wait, "%d subscribers are live, publishing in %v", r.options.Subscribers, wait)
	if err := pause(ctx, wait); err != nil {
		return err
	}
	st, err := r.fleet.Stats(ctx, false, r.group)
	if err != nil {
		return err
	}
	r.result.Add("pings answered", float64(st.Pings), result.Number, result.Neither)
	return nil
}

// subscribe opens the subscribers.
func (o *Fanout) subscribe(ctx context.Context, rig *rig) (*fanoutRun, error) {
	r := &fanoutRun{rig: rig, options: o, feed: newFeed(rig.api, strings.ReplaceAll(o.Channel, "{s}", "0"), o.PayloadBytes, o.Burst, o.BurstBy)}
	conns := o.Subscribers
	if o.Floor.On {
		conns *= 1 + o.Floor.programs() // the same workers receive from the floors
	}
	var err error
	if r.fleet, err = rig.fleet(conns, o.Target.Workers); err != nil {
		return nil, err
	}
	g := o.group(rig.place)
	r.group = g.Name
	_, err = rig.open(ctx, r.fleet, g)
	return r, err
}

// deliver publishes and waits until all has arrived, or for the drain.
func (r *fanoutRun) deliver(ctx context.Context, publish func() error) (delivery, error) {
	d, _, err := deliver(ctx, r.rig, r.fleet, r.group, r.options.Drain, inEach(r.feed.sent), publish)
	return d, err
}

// deliver lets publish send into channels of which each client of a group has one. sent tells how many publications there have been, as
// swarm.Group.Last says. complete says that all of them arrived within the drain.
func deliver(ctx context.Context, r *rig, f *fleet.Fleet, group string, drain time.Duration, sent func() []int, publish func() error) (d delivery, complete bool, err error) {
	before, err := f.Stats(ctx, true, group)
	if err != nil {
		return d, false, err
	}
	first := total(sent())
	d.span, err = r.measured(ctx, func() error {
		if err := publish(); err != nil {
			return err
		}
		complete, err = f.Await(ctx, group, drain, sent()...)
		return err
	})
	if err != nil {
		return d, complete, err
	}
	d.publications = total(sent()) - first
	d.stats, err = f.Stats(ctx, true, group)
	d.stats.Deliveries -= before.Deliveries
	d.stats.Frames -= before.Frames
	d.stats.Bytes -= before.Bytes
	d.stats.Records -= before.Records
	return d, complete, err
}

// inEach tells deliver that all channels have had the same number of publications.
func inEach(sent func() int) func() []int {
	return func() []int { return []int{sent()} }
}

// total adds up.
func total(counts []int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func (r *fanoutRun) publish(ctx context.Context) error {
	o := r.options
	l := limit{bursts: o.Publications, until: time.Now().Add(o.Duration)}
	planned := o.Duration
	if o.Publications > 0 {
		planned = 0
	}
	r.phase(planned, "publishing to %d subscribers", o.Subscribers)
	switch o.Pace {
	case Rate:
		if o.Publications == 0 {
			l.bursts = bursts(o.PerSecond, o.Duration)
		}
		return r.feed.onSchedule(ctx, o.PerSecond, l.bursts)
	case Acked:
		return r.feed.asAcknowledged(ctx, o.Publishers, l, false)
	}
	for n := 0; !l.passed(n); n++ {
		if err := r.burst(ctx); err != nil {
			return err
		}
	}
	return nil
}

// toTheKnee raises the rate.
func (r *fanoutRun) toTheKnee(ctx context.Context) error {
	o := r.options
	steps, err := r.climb(ctx, o.Climb, o.PerSecond, func(ctx context.Context, rate float64) (delivery, bool, error) {
		return deliver(ctx, r.rig, r.fleet, r.group, o.Drain, inEach(r.feed.sent), func() error { return r.feed.onSchedule(ctx, rate, bursts(rate, o.Climb.Step)) })
	})
	if err != nil {
		return err
	}
	r.climbed(steps, o.Burst)
	last := &steps[len(steps)-1]
	// What an overloaded server closes and drops in a step that was lost is its right.
	return r.finish(ctx, &last.delivery, !last.kept)
}

// finish writes what else there is to say of a series that ended with d.
func (r *fanoutRun) finish(ctx context.Context, d *delivery, tolerant bool) error {
	r.result.AddLatency("API answer", r.feed.answers)
	r.result.AddCount("API errors", r.feed.errors)
	r.counts(d.stats)
	return r.tally(ctx, tolerant)
}

// tally writes what did not arrive. tolerant excuses what an overload explains; nothing comes twice or out of order even then.
func (r *fanoutRun) tally(ctx context.Context, tolerant bool) error {
	st, err := r.fleet.Stats(ctx, false, r.group)
	if err != nil {
		return err
	}
	t, err := r.fleet.Tally(ctx, r.group, r.feed.sent())
	if err != nil {
		return err
	}
	addTally(&r.result, t, st.Late)
	late := st.Late
	if !r.options.ordered() {
		late = 0
	}
	if tolerant {
		t = swarm.Tally{Duplicate: t.Duplicate}
	}
	return loss(t, late)
}

// burst publishes once and waits until all subscribers have it.
func (r *fanoutRun) burst(ctx context.Context) error {
	if err := r.feed.send(ctx, swarm.Monotonic()); err != nil {
		return err
	}
	all, err := r.fleet.Await(ctx, r.group, r.options.Drain, r.feed.sent())
	if err == nil && !all {
		err = fmt.Errorf("not every subscriber has publication %d after %v: see the server's log, or publish with --pace rate for the losses", r.feed.sent(), r.options.Drain)
	}
	return err
}

// floats are durations as figures.
func floats(d []time.Duration) []float64 {
	f := make([]float64, len(d))
	for i := range d {
		f[i] = float64(d[i])
	}
	return f
}

// addRatio writes the median of the paired ratios of two series.
func addRatio(r *result.Result, name string, a, b []float64) {
	r.AddSpread(name, measure.Ratios(a, b), result.Ratio, result.Less)
}
