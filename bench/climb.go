package bench

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/result"
)

// Climb raises a rate until the server no longer keeps up.
type Climb struct {
	Factor  float64
	Steps   int // at most
	Step    time.Duration
	Latency time.Duration // p99 above which a step is lost
}

// DefaultClimb is up to 20 steps of 3 s.
func DefaultClimb() Climb {
	return Climb{Factor: 1.5, Steps: 20, Step: 3 * time.Second, Latency: 250 * time.Millisecond}
}

// stepsMax is how many steps a climb may have.
const stepsMax = 100

// lateShare is how much longer than planned publishing may take in a step that is kept.
const lateShare = 0.1

func (c *Climb) flags(f *pflag.FlagSet) {
	f.Float64Var(&c.Factor, "factor", c.Factor, "with --pace knee: the rate of a step against the one before")
	f.IntVar(&c.Steps, "steps", c.Steps, "with --pace knee: most steps")
	f.DurationVar(&c.Step, "step", c.Step, "with --pace knee: length of a step")
	f.DurationVar(&c.Latency, "knee-latency", c.Latency, "with --pace knee: p99 that a step must keep")
}

func (c *Climb) check() error {
	switch {
	case c.Factor <= 1:
		return errors.New("--factor must be above 1")
	case c.Steps < 1 || c.Steps > stepsMax:
		return errors.New("--steps must be from 1 to 100")
	case c.Step <= 0 || c.Latency <= 0:
		return errors.New("--step and --knee-latency must be above 0")
	}
	return nil
}

// climbed is one step.
type climbed struct {
	rate float64
	kept bool
	delivery
}

// climb takes the steps. attempt publishes at a rate for so long and waits until all has arrived or its patience is over; complete
// says that all has.
func (r *rig) climb(ctx context.Context, c Climb, first float64, attempt func(ctx context.Context, rate float64) (d delivery, complete bool, err error)) ([]climbed, error) {
	var steps []climbed
	rate := first
	for n := range c.Steps {
		r.phase(c.Step, "step %d: %s", n+1, result.Format(rate, result.PerSecond))
		d, complete, err := attempt(ctx, rate)
		if err != nil {
			return steps, err
		}
		p99 := d.stats.Latency.Percentiles().P99
		planned := c.Step
		if d.planned > 0 {
			planned = d.planned
		}
		kept := complete && p99 <= c.Latency && float64(d.Took) <= (1+lateShare)*float64(planned)+float64(c.Latency)
		steps = append(steps, climbed{rate, kept, d})
		if !kept {
			r.judge(d.span, p99)
			return steps, nil
		}
		rate *= c.Factor
	}
	r.result.Notes = append(r.result.Notes, "no step was lost: the knee lies higher; take more --steps or a higher --rate")
	return steps, nil
}

// knee is the last step that was kept.
func knee(steps []climbed) (k climbed, ok bool) {
	for _, s := range steps {
		if s.kept {
			k, ok = s, true
		}
	}
	return k, ok
}

// climbed writes the steps into the result, and the figures at the knee. burst is the number of publications that the rate counts as one.
func (r *rig) climbed(steps []climbed, burst int) {
	r.result.Tables = append(r.result.Tables, climbTable(steps))
	k, ok := knee(steps)
	if !ok {
		r.result.Notes = append(r.result.Notes, "not even the first step was kept: take a lower --rate")
		k = steps[len(steps)-1]
	}
	r.result.Add("knee", k.rate*float64(burst), result.PerSecond, result.More)
	k.fill(&r.result)
	r.result.AddLatency("delivery at the knee", k.stats.Latency)
}

// climbTable lists the steps.
func climbTable(steps []climbed) result.Table {
	t := result.Table{
		Name: "steps to the knee", X: "rate", Y: []string{"p50", "p99"},
		Columns: []result.Column{
			{Name: "rate", Unit: result.PerSecond}, {Name: "deliveries", Unit: result.PerSecond}, {Name: "p50", Unit: result.Nanoseconds},
			{Name: "p99", Unit: result.Nanoseconds}, {Name: "max", Unit: result.Nanoseconds}, {Name: "CPU per delivery", Unit: result.Nanoseconds},
			{Name: "server", Unit: result.Cores}, {Name: "generator", Unit: result.Cores}, {Name: "busiest worker", Unit: result.Ratio},
		},
	}
	for _, s := range steps {
		p, n := s.stats.Latency.Percentiles(), float64(s.stats.Deliveries)
		cpu, cores := result.Unknown, result.Unknown
		if s.Server > 0 {
			cpu, cores = result.Cell(per(float64(s.Server), n)), result.Cell(s.serverCores())
		}
		row := result.Row{Cells: []result.Cell{
			result.Cell(s.rate), result.Cell(n / s.Took.Seconds()), result.Cell(p.P50), result.Cell(p.P99), result.Cell(p.Max), cpu, cores,
			result.Cell(share(s.Generator, s.Took)), result.Cell(s.Load.Busyness()),
		}}
		if !s.kept {
			row.Name = "lost"
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
