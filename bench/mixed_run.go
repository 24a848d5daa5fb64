package bench

import (
	"context"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/swarm"
)

// answerPatience is how long a request may go unanswered once its phase is over.
const answerPatience = 10 * time.Second

// mixedRun is one run of Mixed.
type mixedRun struct {
	*fanoutRun
	options     *Mixed
	askers      *fleet.Fleet // workers of their own: what the subscribers receive must not hold up the clock of the requests
	asking      string       // group
	quiet, loud *mixedPhase
}

func (o *Mixed) run(ctx context.Context, rig *rig) error {
	o.Fanout.comeBack = o.Overload > 0
	r, err := o.begin(ctx, rig)
	if err != nil {
		return err
	}
	for round := range o.Rounds {
		rig.phase(2*o.Phase, "round %d of %d: %v quiet, %v loud", round+1, o.Rounds, o.Phase, o.Phase)
		if err := r.round(ctx, r.quiet, false); err != nil {
			return err
		}
		if err := r.round(ctx, r.loud, true); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

// begin opens subscribers and requesters.
func (o *Mixed) begin(ctx context.Context, rig *rig) (*mixedRun, error) {
	r := &mixedRun{options: o, quiet: newMixedPhase(), loud: newMixedPhase()}
	var err error
	if r.fanoutRun, err = o.Fanout.subscribe(ctx, rig); err != nil {
		return nil, err
	}
	if r.askers, err = rig.fleet(o.Requesters, 0); err != nil {
		return nil, err
	}
	g := o.group(rig.place)
	r.asking = g.Name
	_, err = rig.open(ctx, r.askers, g)
	return r, err
}

// end adds up, and overloads if asked to.
func (r *mixedRun) end(ctx context.Context) error {
	tally, err := r.fleet.Tally(ctx, r.group, r.feed.sent())
	if err != nil {
		return err
	}
	subscribers, requesters, err := r.both(ctx)
	if err != nil {
		return err
	}
	res := &r.result
	fillMixed(res, r.quiet, r.loud)
	res.Add("unanswered requests", float64(requesters.Unanswered), "", "less")
	addTally(res, tally, subscribers.Late)
	late := subscribers.Late
	subscribers.Merge(requesters)
	r.counts(subscribers)
	if r.options.Overload > 0 {
		o, err := r.overload(ctx)
		if err != nil {
			return err
		}
		o.fill(res)
		if err := o.gate(r.options.OverloadRate); err != nil {
			return err
		}
	}
	if err := loss(tally, late); err != nil {
		return err
	}
	return r.options.gate(res)
}

// both reads what subscribers and requesters have seen since the last time.
func (r *mixedRun) both(ctx context.Context) (subscribers, requesters swarm.Stats, err error) {
	if subscribers, err = r.fleet.Stats(ctx, true, r.group); err != nil {
		return
	}
	requesters, err = r.askers.Stats(ctx, true, r.asking)
	return
}

// round lets the requesters ask for a while, with publications going out if it is loud.
func (r *mixedRun) round(ctx context.Context, p *mixedPhase, loud bool) error {
	o := r.options
	s, err := r.measured(ctx, func() error {
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
		_, err := r.fleet.Await(ctx, r.group, o.Fanout.Drain, r.feed.sent())
		return err
	})
	if err != nil {
		return err
	}
	subscribers, requesters, err := r.both(ctx)
	if err != nil {
		return err
	}
	figures := requesters.Latency.Percentiles()
	r.judge(s, figures.P99)
	p.p50s, p.p99s = append(p.p50s, figures.P50), append(p.p99s, figures.P99)
	p.lasts = append(p.lasts, subscribers.Latency.Percentiles().Max)
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

// overload publishes as fast as the API allows while the requesters go on. Publications may get lost and conns may end in it; the
// figures say how many.
func (r *mixedRun) overload(ctx context.Context) (*overload, error) {
	o := r.options
	r.phase(o.Overload, "overload with %d publishers", o.Publishers)
	first, asked, err := r.both(ctx)
	if err != nil {
		return nil, err
	}
	f := newFeed(r.api, r.feed.channel, o.Fanout.PayloadBytes, 1, Batch)
	f.last = r.feed.sent()
	result := &overload{feed: f}
	result.span, err = r.measured(ctx, func() error { return r.flood(ctx, f) })
	if err != nil {
		return nil, err
	}
	// What is queued still arrives; an overloaded server may also have dropped some, so that this ends by its patience.
	if _, err := r.fleet.Await(ctx, r.group, o.Fanout.Drain, f.accepted()); err != nil {
		return nil, err
	}
	if result.stats, result.asked, err = r.both(ctx); err != nil {
		return nil, err
	}
	result.publications = f.sent() - r.feed.sent()
	result.pings = result.stats.Pings + result.asked.Pings - first.Pings - asked.Pings
	result.closes, result.askCloses = since(first.Closes, result.stats.Closes), since(asked.Closes, result.asked.Closes)
	result.stats.Deliveries -= first.Deliveries
	result.stats.Reopened -= first.Reopened
	return result, nil
}

// flood publishes and asks for as long as the overload lasts.
func (r *mixedRun) flood(ctx context.Context, f *feed) error {
	o := r.options
	published := make(chan error, 1)
	go func() {
		if o.OverloadRate > 0 {
			published <- f.onSchedules(ctx, o.Publishers, o.OverloadRate, o.Overload)
			return
		}
		published <- f.asAcknowledged(ctx, o.Publishers, limit{until: time.Now().Add(o.Overload)}, true)
	}()
	if err := r.ask(ctx, o.Overload); err != nil {
		return err
	}
	return <-published
}
