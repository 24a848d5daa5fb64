package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Handshakes measures what clients feel of TLS handshakes that others make.
type Handshakes struct {
	Fanout    Fanout // the subscribers and what they get
	PerSecond float64
	Phase     time.Duration
	Rounds    int
	RatioMax  float64 // gate; 0: none
}

// DefaultHandshakes is 1,000 handshakes a second beside 1,000 subscribers that get 20 publications a second: so many that p99 does not
// hang on two of them, and so few that two cores for both sides are not all in use, where whatever comes beside would show.
func DefaultHandshakes() Handshakes {
	o := Handshakes{Fanout: DefaultFanout(), PerSecond: 1000, Phase: 10 * time.Second, Rounds: 5}
	o.Fanout.Subscribers, o.Fanout.PerSecond, o.Fanout.Pace = 1000, 20, Rate
	return o
}

// handshakesLeast is the share of the handshakes that must get done for a round to say what it is about.
const handshakesLeast = 0.95

const handshakesLong = `Publish to subscribers over TLS on a schedule, once without and once beside new TLS conns at --handshakes per second, each of which ends as
soon as it is secure. Measured are the subscribers' latencies in both phases of each round, the median of the paired ratios of their p99,
how long a handshake takes from the moment it was due, and with --server or --pid the server's CPU for one.

The handshakes come from a worker of their own, at most --in-flight at the same time, with full handshakes unless --tls-resume is given.
They cost the generator about as much CPU as the server: that worker has a low priority, so that it is not what the subscribers feel. The
run fails if fewer than 95 % of the handshakes get done.`

const handshakesExample = `  # 1,000 handshakes a second, 5 paired rounds, with the budget as a gate
  stentor bench handshakes --target wss://127.0.0.1:8443 --insecure --api-key KEY --max-p99-ratio 2`

func handshakesScenario() *scenario {
	o := DefaultHandshakes()
	return &scenario{
		name: "handshakes", short: "clients beside TLS handshakes of others", long: handshakesLong, example: handshakesExample,
		target: &o.Fanout.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Fanout.Subscribers + o.Fanout.Target.InFlightMax, o.check() },
	}
}

func (o *Handshakes) flags(f *pflag.FlagSet) {
	o.Fanout.channelFlags(f)
	f.Float64Var(&o.Fanout.PerSecond, "rate", o.Fanout.PerSecond, "publications per second")
	f.Float64Var(&o.PerSecond, "handshakes", o.PerSecond, "handshakes per second, from a worker of their own")
	f.DurationVar(&o.Phase, "phase", o.Phase, "length of each phase")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of a phase without and a phase beside handshakes")
	f.Float64Var(&o.RatioMax, "max-p99-ratio", 0, "fail above this median ratio of the subscribers' p99; 0: no gate")
}

func (o *Handshakes) check() error {
	switch {
	case o.PerSecond <= 0:
		return errors.New("--handshakes must be above 0")
	case o.Phase <= 0 || o.Rounds < 1:
		return errors.New("--phase and --rounds must be above 0")
	}
	u, err := o.Fanout.Target.parse()
	if err != nil {
		return err
	}
	t, err := o.Fanout.Target.Secure.settings(u)
	switch {
	case err != nil:
		return err
	case t == nil:
		return errors.New("handshakes needs TLS: a --target of wss:// or https://, or --tls")
	}
	return o.Fanout.check()
}

// handshakesRun is one run of Handshakes.
type handshakesRun struct {
	*fanoutRun
	options *Handshakes
	others  *fleet.Fleet
	shakers swarm.Group
	pairs   *pairs
	rates   []float64 // handshakes per second, by round
	cpu     []float64 // of the server for one, by round
	latency *measure.Latency
	failed  map[string]int
}

func (o *Handshakes) run(ctx context.Context, rig *rig) error {
	r := &handshakesRun{options: o, pairs: newPairs(), latency: measure.NewLatency()}
	var err error
	if r.fanoutRun, err = o.Fanout.subscribe(ctx, rig); err != nil {
		return err
	}
	many := o.Fanout.Target.InFlightMax
	if r.others, err = rig.fleet(many, 0); err != nil {
		return err
	}
	if err := r.others.Yield(ctx); err != nil {
		return err
	}
	r.shakers = o.Fanout.Target.group(rig.place, "handshakers", swarm.Handshaker, many)
	if _, err := r.others.Open(ctx, r.shakers); err != nil {
		return err
	}
	for n := range o.Rounds {
		rig.phase(2*o.Phase, "round %d of %d", n+1, o.Rounds)
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// round measures one pair.
func (r *handshakesRun) round(ctx context.Context) error {
	o := r.options
	without, err := r.publishing(ctx)
	if err != nil {
		return err
	}
	before, err := r.others.Stats(ctx, true, r.shakers.Name)
	if err != nil {
		return err
	}
	if err := r.others.Shake(ctx, r.shakers.Name, o.PerSecond); err != nil {
		return err
	}
	beside, err := r.publishing(ctx)
	if err != nil {
		return err
	}
	after, err := r.others.Stats(ctx, true, r.shakers.Name)
	if err != nil {
		return err
	}
	if err := r.others.Shake(ctx, r.shakers.Name, 0); err != nil {
		return err
	}
	made := float64(after.Shaken - before.Shaken)
	rate := per(made, beside.Took.Seconds())
	r.pairs.add(without.stats.Latency, beside.stats.Latency, rate)
	r.rates = append(r.rates, rate)
	r.cpu = append(r.cpu, max(0, per(float64(beside.Server)-float64(without.Server)*per(beside.Took.Seconds(), without.Took.Seconds()), made)))
	r.latency.Merge(after.Latency)
	r.failed = after.Closes
	return nil
}

// publishing publishes to the subscribers for one phase.
func (r *handshakesRun) publishing(ctx context.Context) (delivery, error) {
	o := r.options
	d, err := r.deliver(ctx, func() error {
		return r.feed.onSchedule(ctx, o.Fanout.PerSecond, bursts(o.Fanout.PerSecond, o.Phase))
	})
	if err == nil {
		r.judge(d.span, d.stats.Latency.Percentiles().P99)
	}
	return d, err
}

// finish writes the figures.
func (r *handshakesRun) finish(ctx context.Context) error {
	res, o := &r.result, r.options
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return err
	}
	others, err := r.others.Stats(ctx, true, r.shakers.Name)
	if err != nil {
		return err
	}
	r.pairs.fill(res, "handshakes per second")
	res.AddSpread("handshakes per second", r.rates, result.PerSecond, result.More)
	if r.server != nil {
		res.AddSpread("server CPU per handshake", r.cpu, result.Nanoseconds, result.Less)
	}
	res.AddLatency("handshake, from when it was due", r.latency)
	r.counts(st)
	res.AddCount("handshakes beside", others.Secured)
	res.AddCount("handshakes that failed", r.failed)
	if err := r.tally(ctx, false); err != nil {
		return err
	}
	if least := handshakesLeast * o.PerSecond; slices.Min(r.rates) < least {
		return fmt.Errorf("in one round only %.0f handshakes a second got done, less than %.0f: a lower --handshakes, or more cores", slices.Min(r.rates), least)
	}
	return overBudget(res, ratioP99, o.RatioMax)
}
