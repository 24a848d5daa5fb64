package bench

import (
	"context"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// answerPatience is how long a request may go unanswered once its phase is over.
const answerPatience = 10 * time.Second

// mixedRun is one run of Mixed.
type mixedRun struct {
	*fanoutRun
	options *Mixed
	askers  *fleet.Fleet // workers of their own: what the subscribers receive must not hold up the clock of the requests
	asking  string       // group
	report  MixedReport
}

// Run measures and prints. The error says why there is no figure, or that one is over its budget.
func (o *Mixed) Run(ctx context.Context, s *Streams) error {
	if err := o.check(); err != nil {
		return err
	}
	o.Fanout.comeBack = o.Overload > 0
	rig, err := newRig(ctx, &o.Fanout.Target, s, o.Fanout.Subscribers+o.Requesters)
	if err != nil {
		return err
	}
	defer rig.close()
	r := &mixedRun{options: o, report: MixedReport{Subscribers: o.Fanout.Subscribers, Requesters: o.Requesters, Request: o.Request}}
	for _, p := range []*MixedPhase{&r.report.Quiet, &r.report.Loud} {
		p.requests, p.fanout = measure.NewLatency(), measure.NewLatency()
	}
	if r.fanoutRun, err = o.Fanout.subscribe(ctx, rig); err != nil {
		return err
	}
	if r.askers, err = rig.fleet(o.Requesters, 0); err != nil {
		return err
	}
	g := o.group(rig.place)
	r.asking = g.Name
	if _, err := r.askers.Open(ctx, g); err != nil {
		return err
	}
	for round := range o.Rounds {
		rig.logf("round %d of %d: %v quiet, %v loud", round+1, o.Rounds, o.Phase, o.Phase)
		if err := r.phase(ctx, &r.report.Quiet, false); err != nil {
			return err
		}
		if err := r.phase(ctx, &r.report.Loud, true); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

// end adds up, overloads if asked to, and prints.
func (r *mixedRun) end(ctx context.Context) error {
	var err error
	if r.report.Tally, err = r.fleet.Tally(ctx, r.group, r.feed.sent()); err != nil {
		return err
	}
	subscribers, requesters, err := r.both(ctx)
	if err != nil {
		return err
	}
	r.report.Late = subscribers.Late
	subscribers.Merge(requesters)
	r.report.Closes, r.report.Faults = subscribers.Closes, subscribers.Faults
	if r.options.Overload > 0 {
		if err := r.overload(ctx); err != nil {
			return err
		}
	}
	r.report.finish()
	if err := r.print(&r.report); err != nil {
		return err
	}
	if err := loss(r.report.Tally); err != nil {
		return err
	}
	return r.report.gate(r.options)
}

// both reads what subscribers and requesters have seen since the last time.
func (r *mixedRun) both(ctx context.Context) (subscribers, requesters swarm.Stats, err error) {
	if subscribers, err = r.fleet.Stats(ctx, true, r.group); err != nil {
		return
	}
	requesters, err = r.askers.Stats(ctx, true, r.asking)
	return
}

// phase lets the requesters ask for a while, with publications going out if it is loud.
func (r *mixedRun) phase(ctx context.Context, p *MixedPhase, loud bool) error {
	o := r.options
	published := make(chan error, 1)
	go func() {
		var err error
		if loud {
			err = r.feed.onSchedule(ctx, o.Fanout.PerSecond, bursts(o.Fanout.PerSecond, o.Phase))
		}
		published <- err
	}()
	if err := r.ask(ctx, o.Phase); err != nil {
		return err
	}
	if err := <-published; err != nil {
		return err
	}
	if _, err := r.fleet.Await(ctx, r.group, r.feed.sent(), o.Fanout.Drain); err != nil {
		return err
	}
	subscribers, requesters, err := r.both(ctx)
	if err != nil {
		return err
	}
	figures := requesters.Latency.Percentiles()
	p.P50s, p.P99s = append(p.P50s, figures.P50), append(p.P99s, figures.P99)
	p.requests.Merge(requesters.Latency)
	p.fanout.Merge(subscribers.Latency)
	return nil
}

// since is what now has more than before.
func since(before, now map[string]int) map[string]int {
	more := map[string]int{}
	for text, n := range now {
		if n -= before[text]; n > 0 {
			more[text] = n
		}
	}
	return more
}

// ask lets the requesters ask for so long.
func (r *mixedRun) ask(ctx context.Context, long time.Duration) error {
	o := r.options
	if err := r.askers.Ask(ctx, r.asking, o.RequestRate*float64(o.Requesters)); err != nil {
		return err
	}
	if err := pause(ctx, long); err != nil {
		return err
	}
	return r.askers.Hush(ctx, r.asking, answerPatience)
}

// overload publishes as fast as the API allows while the requesters go on. Publications may get lost and conns may end in it; the report
// says how many.
func (r *mixedRun) overload(ctx context.Context) error {
	o := r.options
	r.logf("overload for %v with %d publishers", o.Overload, o.Publishers)
	first, asked, err := r.both(ctx)
	if err != nil {
		return err
	}
	firstPings := first.Pings + asked.Pings
	f := newFeed(r.api, o.Fanout.Channel, o.Fanout.PayloadBytes, 1, Batch)
	f.last = r.feed.sent()
	cpu, err := r.cpu()
	if err != nil {
		return err
	}
	start := time.Now()
	published := make(chan error, 1)
	go func() {
		if o.OverloadRate > 0 {
			published <- f.onSchedules(ctx, o.Publishers, o.OverloadRate, o.Overload)
			return
		}
		published <- f.asAcknowledged(ctx, o.Publishers, limit{until: start.Add(o.Overload)}, true)
	}()
	if err := r.ask(ctx, o.Overload); err != nil {
		return err
	}
	if err := <-published; err != nil {
		return err
	}
	took := time.Since(start)
	after, err := r.cpu()
	if err != nil {
		return err
	}
	// What is queued still arrives; an overloaded server may also have dropped some, so that this ends by its patience.
	if _, err := r.fleet.Await(ctx, r.group, f.accepted(), o.Fanout.Drain); err != nil {
		return err
	}
	subscribers, requesters, err := r.both(ctx)
	if err != nil {
		return err
	}
	deliveries := subscribers.Deliveries - first.Deliveries
	r.report.Overload = &OverloadReport{
		Took: took, Publications: f.sent() - r.feed.sent(), APIErrors: f.errors, API: f.answers.Percentiles(),
		Deliveries: deliveries, PerSecond: float64(deliveries) / took.Seconds(), CPUCores: float64(after-cpu) / float64(took),
		Pings: subscribers.Pings + requesters.Pings - firstPings, Returns: subscribers.Reopened - first.Reopened, Requests: requesters.Latency.Percentiles(),
	}
	r.report.Overload.Closes = since(first.Closes, subscribers.Closes)
	r.report.Overload.AskerCloses = since(asked.Closes, requesters.Closes)
	return nil
}
