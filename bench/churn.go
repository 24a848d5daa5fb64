package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Churn measures what subscribers that stay feel of others that come and go.
type Churn struct {
	Fanout    Fanout // the subscribers that stay, and what all get
	Churners  int
	ChurnRate float64 // clients per second that go and come back
	Phase     time.Duration
	Rounds    int
	RatioMax  float64 // gate; 0: none
}

// DefaultChurn is 200 clients a second that go and come back, beside 1,000 that stay.
func DefaultChurn() Churn {
	o := Churn{Fanout: DefaultFanout(), Churners: 1000, ChurnRate: 200, Phase: 10 * time.Second, Rounds: 3}
	o.Fanout.Subscribers, o.Fanout.PerSecond, o.Fanout.Pace, o.Fanout.Pipeline = 1000, 20, Rate, swarm.Commands
	return o
}

const churnLong = `Publish to subscribers that stay, once without and once while other subscribers of the same channel go and come back at a rate, by closing
the conn without a word. Measured are the latencies of those that stay in both phases of each round, the median of the paired ratios of
their p99, and the time from dialing until a client is back.`

const churnExample = `  # 500 clients a second that go and come back
  stentor bench churn --api-key KEY --pid $(pgrep -xo stentor) --churners 2000 --churn-rate 500`

func churnScenario() *scenario {
	o := DefaultChurn()
	return &scenario{
		name: "churn", short: "subscribers that stay beside others that come and go", long: churnLong, example: churnExample,
		target: &o.Fanout.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Fanout.Subscribers + o.Churners, o.check() },
	}
}

func (o *Churn) flags(f *pflag.FlagSet) {
	o.Fanout.channelFlags(f)
	f.Float64Var(&o.Fanout.PerSecond, "rate", o.Fanout.PerSecond, "publications per second")
	churnFlags(f, &o.Churners, &o.ChurnRate)
	f.StringVar((*string)(&o.Fanout.Pipeline), "pipeline", string(o.Fanout.Pipeline), "what a client sends without waiting for answers: none, commands, all")
	f.DurationVar(&o.Phase, "phase", o.Phase, "length of each phase")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of a phase without and a phase with churn")
	f.Float64Var(&o.RatioMax, "max-p99-ratio", 0, "fail above this median ratio of the p99 of those that stay; 0: no gate")
}

// churnFlags are those of scenarios with clients that come and go.
func churnFlags(f *pflag.FlagSet, churners *int, rate *float64) {
	f.IntVar(churners, "churners", *churners, "number of subscribers that come and go, in a worker of their own")
	f.Float64Var(rate, "churn-rate", *rate, "how many of them go and come back per second")
}

// checkChurn refuses flags of churnFlags that are out of range.
func checkChurn(churners int, rate float64) error {
	if rate <= 0 {
		return errors.New("--churn-rate must be above 0")
	}
	return checkClients("churners", churners)
}

func (o *Churn) check() error {
	if err := checkChurn(o.Churners, o.ChurnRate); err != nil {
		return err
	}
	if o.Phase <= 0 || o.Rounds < 1 {
		return errors.New("--phase and --rounds must be above 0")
	}
	return o.Fanout.check()
}

// churners describes the clients that come and go on a channel.
func (o *Churn) churners(p place) swarm.Group {
	g := o.Fanout.group(p)
	g.Name, g.Role, g.First, g.Count, g.ComeBack = "churners", swarm.Churner, o.Fanout.Subscribers, o.Churners, true
	return g
}

func (o *Churn) run(ctx context.Context, rig *rig) error {
	r, err := o.Fanout.subscribe(ctx, rig)
	if err != nil {
		return err
	}
	f, err := rig.fleet(o.Churners, 0)
	if err != nil {
		return err
	}
	g := o.churners(rig.place)
	if _, err := rig.open(ctx, f, g); err != nil {
		return err
	}
	if _, err := f.Stats(ctx, true, g.Name); err != nil { // the openings from here on are returns
		return err
	}
	pairs := newPairs()
	for n := range o.Rounds {
		rig.phase(2*o.Phase, "round %d of %d", n+1, o.Rounds)
		without, err := r.healthy(ctx, o.Phase)
		if err != nil {
			return err
		}
		beside, err := o.churn(ctx, r, f, g.Name)
		if err != nil {
			return err
		}
		pairs.add(without, beside, float64(o.Churners))
	}
	pairs.fill(&rig.result, "churners")
	st, err := f.Stats(ctx, true, g.Name)
	if err != nil {
		return err
	}
	return o.finish(ctx, r, st)
}

// churn measures one phase with churn.
func (o *Churn) churn(ctx context.Context, r *fanoutRun, f *fleet.Fleet, group string) (*measure.Latency, error) {
	if err := f.Churn(ctx, group, o.ChurnRate); err != nil {
		return nil, err
	}
	beside, err := r.healthy(ctx, o.Phase)
	if err != nil {
		return nil, err
	}
	return beside, f.Churn(ctx, group, 0)
}

// finish writes what the clients that come and go have seen.
func (o *Churn) finish(ctx context.Context, r *fanoutRun, churners swarm.Stats) error {
	res := &r.result
	res.Add("returns per second", per(float64(churners.Churned), o.Phase.Seconds()*float64(o.Rounds)), result.PerSecond, result.More)
	res.AddLatency("dialing to live again", churners.Opening)
	res.AddCount("churners that ended otherwise", churners.Closes)
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return err
	}
	r.counts(st)
	if err := r.tally(ctx, false); err != nil {
		return err
	}
	switch {
	case len(churners.Closes) > 0:
		return fmt.Errorf("%d times a client that came back lost its conn", sum(churners.Closes))
	case len(churners.Faults) > 0:
		return fmt.Errorf("the server did what it should not: %v", churners.Faults)
	case churners.Duplicates > 0:
		return fmt.Errorf("%d publications came twice to clients that came back", churners.Duplicates)
	}
	return overBudget(res, ratioP99, o.RatioMax)
}
