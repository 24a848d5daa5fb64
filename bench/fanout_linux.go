package bench

import (
	"context"
	"time"

	"stentor/bench/fleet"
)

// fanoutRun is one run of Fanout.
type fanoutRun struct {
	*rig
	options *Fanout
	fleet   *fleet.Fleet
	group   string
	feed    *feed
}

// Run measures and prints. The error says why there is no figure, that publications got lost, or that a figure is over its budget.
func (o *Fanout) Run(ctx context.Context, s *Streams) error {
	if err := o.check(); err != nil {
		return err
	}
	rig, err := newRig(ctx, &o.Target, s, o.Subscribers)
	if err != nil {
		return err
	}
	defer rig.close()
	r, err := o.subscribe(ctx, rig)
	if err != nil {
		return err
	}
	if o.AgainstBare {
		return r.againstBare(ctx)
	}
	report, err := r.measure(ctx)
	if err != nil {
		return err
	}
	if err := s.print(report); err != nil {
		return err
	}
	return loss(report.Tally)
}

// subscribe opens the subscribers.
func (o *Fanout) subscribe(ctx context.Context, rig *rig) (*fanoutRun, error) {
	r := &fanoutRun{rig: rig, options: o, feed: newFeed(rig.api, o.Channel, o.PayloadBytes, o.Burst, o.BurstBy)}
	conns := o.Subscribers
	if o.AgainstBare {
		conns *= 2 // the same workers receive from the bare loop
	}
	var err error
	if r.fleet, err = rig.fleet(conns, o.Target.Workers); err != nil {
		return nil, err
	}
	g := o.group(rig.place)
	r.group = g.Name
	rig.logf("opening %d subscribers of %s from %d workers", o.Subscribers, o.Channel, r.fleet.Size())
	opened, err := r.fleet.Open(ctx, g)
	if err != nil {
		return nil, err
	}
	rig.logf("all are live after %v", opened.Took.Round(time.Millisecond))
	return r, nil
}

// measure publishes as the options say.
func (r *fanoutRun) measure(ctx context.Context) (*FanoutReport, error) {
	o := r.options
	before, err := r.cpu()
	if err != nil {
		return nil, err
	}
	workers, start := r.fleet.CPU(), time.Now()
	if err := r.publish(ctx); err != nil {
		return nil, err
	}
	if _, err := r.fleet.Await(ctx, r.group, r.feed.sent(), o.Drain); err != nil {
		return nil, err
	}
	took := time.Since(start)
	workers = r.fleet.CPU() - workers
	after, err := r.cpu()
	if err != nil {
		return nil, err
	}
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return nil, err
	}
	tally, err := r.fleet.Tally(ctx, r.group, r.feed.sent())
	if err != nil {
		return nil, err
	}
	report := &FanoutReport{
		Subscribers: o.Subscribers, Publications: r.feed.sent(), Took: took,
		Deliveries: st.Deliveries, PerSecond: float64(st.Deliveries) / took.Seconds(), Late: st.Late,
		Tally: tally, Latency: st.Latency.Percentiles(), API: r.feed.answers.Percentiles(), APIErrors: r.feed.errors,
		CPU: after - before, CPUCores: float64(after-before) / float64(took),
		WorkerCores: float64(workers) / float64(took) / float64(r.fleet.Size()),
		Closes:      st.Closes, Faults: st.Faults,
	}
	if st.Deliveries > 0 {
		report.CPUPerDelivery = float64(after-before) / float64(st.Deliveries)
		report.PerFrame = float64(st.Deliveries) / float64(st.Frames)
	}
	return report, nil
}

func (r *fanoutRun) publish(ctx context.Context) error {
	o := r.options
	l := limit{bursts: o.Publications, until: time.Now().Add(o.Duration)}
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
