package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Many measures many channels with few subscribers each.
type Many struct {
	Target       Target
	Subscribers  int
	PerChannel   int
	Channel      string
	PayloadBytes int
	Pace         Pace    // Knee or Rate
	PerSecond    float64 // publications in all
	Climb        Climb
	Duration     time.Duration
	Publishers   int
	Batch        int
	Drain        time.Duration
}

// DefaultMany is 1,000 channels of ten subscribers.
func DefaultMany() Many {
	return Many{
		Target: DefaultTarget(), Subscribers: 10000, PerChannel: 10, Channel: "many-{n}", PayloadBytes: 100, Pace: Knee, PerSecond: 1000,
		Climb: DefaultClimb(), Duration: 10 * time.Second, Publishers: 8, Batch: 1, Drain: 10 * time.Second,
	}
}

const manyLong = `Subscribe many clients, ten to a channel, and publish into all channels in turn, once into each before the next round. Measured is what
fanout measures. With --pace knee the rate rises until the server no longer keeps up.`

const manyExample = `  # 1,000 channels of ten, up to the knee, twenty publications to a request
  stentor bench many --api-key KEY --pid $(pgrep -xo stentor) --batch 20

  # 5,000 publications a second for a minute
  stentor bench many --api-key KEY --pace rate --rate 5000 --duration 60s`

func manyScenario() *scenario {
	o := DefaultMany()
	return &scenario{
		name: "many", short: "many channels with few subscribers each", long: manyLong, example: manyExample, target: &o.Target, flags: o.flags,
		run:  o.run,
		plan: func() (int, error) { return o.Subscribers, o.check() },
	}
}

func (o *Many) flags(f *pflag.FlagSet) {
	f.IntVar(&o.Subscribers, "subscribers", o.Subscribers, "number of subscribers")
	f.IntVar(&o.PerChannel, "per-channel", o.PerChannel, "subscribers per channel")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is its number")
	f.IntVar(&o.PayloadBytes, "payload", o.PayloadBytes, "bytes of a publication")
	f.StringVar((*string)(&o.Pace), "pace", string(o.Pace), "knee (a rising rate) or rate")
	f.Float64Var(&o.PerSecond, "rate", o.PerSecond, "publications per second in all, in the first step with --pace knee")
	o.Climb.flags(f)
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long to publish with --pace rate")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, "publishers at the same time, each with channels of its own")
	f.IntVar(&o.Batch, "batch", o.Batch, "publications in one request")
	f.DurationVar(&o.Drain, "drain", o.Drain, "how long to wait for what is still on its way")
}

func (o *Many) check() error {
	if err := checkClients("subscribers", o.Subscribers); err != nil {
		return err
	}
	switch {
	case o.PerChannel < 1:
		return errors.New("--per-channel must be at least 1")
	case o.Pace != Knee && o.Pace != Rate:
		return fmt.Errorf("--pace %q is not knee or rate", o.Pace)
	case o.PerSecond <= 0:
		return errors.New("--rate must be above 0")
	case o.Duration <= 0:
		return errors.New("--duration must be above 0")
	case o.PayloadBytes < measure.PayloadBytesMin:
		return fmt.Errorf("--payload must be at least %d", measure.PayloadBytesMin)
	}
	if err := checkRequests(o.Publishers, o.Batch); err != nil {
		return err
	}
	return o.Climb.check()
}

// batchMax is how many commands one batch request may have.
const batchMax = 1000

// checkRequests checks how requests to the API are made.
func checkRequests(publishers, batch int) error {
	switch {
	case publishers < 1 || publishers > publishersMax:
		return fmt.Errorf("--publishers must be from 1 to %d", publishersMax)
	case batch < 1 || batch > batchMax:
		return fmt.Errorf("--batch must be from 1 to %d", batchMax)
	}
	return nil
}

func (o *Many) run(ctx context.Context, r *rig) error {
	f, err := r.fleet(o.Subscribers, o.Target.Workers)
	if err != nil {
		return err
	}
	g := o.Target.group(r.place, "subscribers", swarm.Subscriber, o.Subscribers)
	g.Channels, g.PerChannel, g.Subscribed = o.Channel, o.PerChannel, 1
	if _, err := r.open(ctx, f, g); err != nil {
		return err
	}
	c := newCarousel(r.api, names(&g), o.PayloadBytes, o.Batch, o.Publishers)
	attempt := func(ctx context.Context, rate float64, long time.Duration) (delivery, bool, error) {
		rounds := c.rounds(rate, long)
		d, complete, err := deliver(ctx, r, f, g.Name, o.Drain, inEach(c.sent), func() error { return c.run(ctx, rounds, rate) })
		d.publications *= len(c.channels)
		d.planned = time.Duration(float64(rounds*len(c.channels)) / rate * float64(time.Second))
		return d, complete, err
	}
	overloaded, err := o.measure(ctx, r, attempt)
	if err != nil {
		return err
	}
	r.result.Add("channels", float64(len(c.channels)), result.Number, result.Neither)
	r.result.AddLatency("API answer", c.answers)
	r.result.AddCount("API errors", c.errors)
	st, err := f.Stats(ctx, false, g.Name)
	if err != nil {
		return err
	}
	r.counts(st)
	t, err := f.Tally(ctx, g.Name, c.sent())
	if err != nil {
		return err
	}
	addTally(&r.result, t, st.Late)
	if overloaded {
		t = swarm.Tally{Duplicate: t.Duplicate}
	}
	return loss(t, st.Late)
}

// measure publishes at one rate, or up to the knee. overloaded says that the server was driven beyond it.
func (o *Many) measure(ctx context.Context, r *rig, attempt func(context.Context, float64, time.Duration) (delivery, bool, error)) (overloaded bool, err error) {
	if o.Pace == Rate {
		r.phase(o.Duration, "publishing to %d subscribers", o.Subscribers)
		d, _, err := attempt(ctx, o.PerSecond, o.Duration)
		if err != nil {
			return false, err
		}
		d.fill(&r.result)
		r.result.AddLatency("delivery", d.stats.Latency)
		r.judge(d.span, d.stats.Latency.Percentiles().P99)
		return false, nil
	}
	steps, err := r.climb(ctx, o.Climb, o.PerSecond, func(ctx context.Context, rate float64) (delivery, bool, error) {
		return attempt(ctx, rate, o.Climb.Step)
	})
	if err != nil {
		return false, err
	}
	r.climbed(steps, 1)
	return !steps[len(steps)-1].kept, nil
}
