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

// Soak measures what stays the same over a long time: memory above all.
type Soak struct {
	Mixed     Mixed // subscribers, publications, requesters
	Churners  int
	ChurnRate float64
	Duration  time.Duration
	SlopeMax  float64 // gate: bytes per hour; 0: none
}

// DefaultSoak is an hour of everything at once.
func DefaultSoak() Soak {
	o := Soak{Mixed: DefaultMixed(), Churners: 500, ChurnRate: 20, Duration: time.Hour}
	o.Mixed.Fanout.Subscribers, o.Mixed.Fanout.PerSecond, o.Mixed.Requesters = 2000, 5, 200
	return o
}

const soakLong = `Run publications to many subscribers, requests of others, and clients that come and go, all at once and for a long time. Measured are
latencies and memory from part to part, and the slope of resident memory over the second half, when a server without a leak should have
come to rest (--server, --pid).`

const soakExample = `  # eight hours, with a gate on memory
  stentor bench soak --api-key KEY --pid $(pgrep -xo stentor) --duration 8h --max-slope 1048576 --html soak.html`

// soakParts is how many parts a run is told in.
const soakParts = 20

func soakScenario() *scenario {
	o := DefaultSoak()
	return &scenario{
		name: "soak", short: "everything at once for a long time", long: soakLong, example: soakExample, target: &o.Mixed.Fanout.Target, requests: true,
		flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Mixed.Fanout.Subscribers + o.Mixed.Requesters + o.Churners, o.check() },
	}
}

func (o *Soak) flags(f *pflag.FlagSet) {
	o.Mixed.Fanout.channelFlags(f)
	f.Float64Var(&o.Mixed.Fanout.PerSecond, "rate", o.Mixed.Fanout.PerSecond, "publications per second")
	o.Mixed.requestFlags(f)
	churnFlags(f, &o.Churners, &o.ChurnRate)
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long")
	f.Float64Var(&o.SlopeMax, "max-slope", 0, "fail if resident memory grows by more bytes per hour in the second half; 0: no gate")
}

func (o *Soak) check() error {
	if err := checkChurn(o.Churners, o.ChurnRate); err != nil {
		return err
	}
	switch {
	case o.Duration <= 0:
		return errors.New("--duration must be above 0")
	case o.SlopeMax > 0 && !o.Mixed.Fanout.Target.watched():
		return errors.New("--max-slope needs --server or --pid")
	}
	o.Mixed.Phase = o.Duration / soakParts
	return o.Mixed.check()
}

func (o *Soak) run(ctx context.Context, rig *rig) error {
	o.Mixed.Phase = o.Duration / soakParts
	r, err := o.Mixed.begin(ctx, rig)
	if err != nil {
		return err
	}
	churning := Churn{Fanout: o.Mixed.Fanout, Churners: o.Churners}
	g := churning.churners(rig.place)
	g.First += o.Mixed.Requesters
	f, err := rig.fleet(o.Churners, 0)
	if err != nil {
		return err
	}
	if _, err := rig.open(ctx, f, g); err != nil {
		return err
	}
	if err := f.Churn(ctx, g.Name, o.ChurnRate); err != nil {
		return err
	}
	start := time.Now()
	var resident []result.Cell
	rig.phase(o.Duration, "soaking for %v", o.Duration)
	for range soakParts {
		if err := r.round(ctx, r.loud, true); err != nil {
			return err
		}
		resident = append(resident, result.Cell(rig.resident()))
	}
	if err := f.Churn(ctx, g.Name, 0); err != nil {
		return err
	}
	o.fill(rig, r.loud, resident, start)
	return o.finish(ctx, r, f, g.Name)
}

// fill writes what changed over time.
func (o *Soak) fill(rig *rig, p *mixedPhase, resident []result.Cell, start time.Time) {
	t := result.Table{Name: "parts", X: "minutes", Y: []string{"request p99", "last delivery"}, Columns: []result.Column{
		{Name: "minutes"}, {Name: "request p99", Unit: result.Nanoseconds}, {Name: "last delivery", Unit: result.Nanoseconds}, {Name: "resident", Unit: result.Bytes},
	}}
	for i := range p.p99s {
		t.Rows = append(t.Rows, result.Row{Cells: []result.Cell{
			result.Cell((time.Duration(i+1) * o.Mixed.Phase).Minutes()), result.Cell(p.p99s[i]), result.Cell(p.lasts[i]), resident[i],
		}})
	}
	res := &rig.result
	res.Tables = append(res.Tables, t)
	if line := slope(rig.watch.since(start.Add(o.Duration / 2))); line != nil {
		m := res.Add(slopeMetric, line.Slope, result.Bytes, result.Less)
		m.Note = fmt.Sprintf("in the second half; residual %.0f, largest %.0f, R² %.3f", line.Residual, line.ResidualMax, line.R2)
	}
	res.AddLatency("request", p.requests)
	res.AddLatency("delivery", p.fanout)
}

const slopeMetric = "resident memory per hour"

// slope is how resident memory grows per hour; nil if it is unknown.
func slope(samples []result.Sample) *measure.Line {
	var hours, bytes []float64
	for _, s := range samples {
		if s.RSS > 0 {
			hours, bytes = append(hours, s.At/time.Hour.Seconds()), append(bytes, float64(s.RSS))
		}
	}
	line, err := measure.Fit(hours, bytes)
	if err != nil {
		return nil
	}
	return &line
}

// finish looks at losses and budgets.
func (o *Soak) finish(ctx context.Context, r *mixedRun, f *fleet.Fleet, churners string) error {
	churned, err := f.Stats(ctx, true, churners)
	if err != nil {
		return err
	}
	subscribers, requesters, err := r.both(ctx)
	if err != nil {
		return err
	}
	res := &r.result
	res.Add("requests", float64(requesters.Replies), result.Number, result.Neither)
	res.Add("unanswered requests", float64(requesters.Unanswered), result.Number, result.Less)
	res.Add("clients that went and came back", float64(churned.Churned), result.Number, result.Neither)
	res.AddLatency("dialing to live again", churned.Opening)
	all := swarm.Stats{}
	for _, st := range []swarm.Stats{subscribers, requesters, churned} {
		all.Merge(st)
	}
	r.counts(all)
	if err := r.tally(ctx, false); err != nil {
		return err
	}
	if len(all.Closes) > 0 {
		return fmt.Errorf("%d conns ended that should not have", sum(all.Closes))
	}
	if m, ok := res.Metric(slopeMetric); ok && o.SlopeMax > 0 && m.Value > o.SlopeMax {
		return fmt.Errorf("over budget: resident memory grows by %.0f bytes per hour, the most is %.0f", m.Value, o.SlopeMax)
	}
	return nil
}
