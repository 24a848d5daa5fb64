package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// Slow measures what healthy clients feel of clients that send one byte at a time.
type Slow struct {
	Fanout   Fanout // the healthy subscribers and what they get
	Slow     int    // half of them before the upgrade, half after it
	Pause    time.Duration
	Phase    time.Duration
	Rounds   int
	RatioMax float64 // gate; 0: none
}

// DefaultSlow is 2,000 slow clients beside 200 healthy ones.
func DefaultSlow() Slow {
	o := Slow{Fanout: DefaultFanout(), Slow: 2000, Pause: time.Second, Phase: 15 * time.Second, Rounds: 5}
	o.Fanout.Subscribers, o.Fanout.PerSecond = 200, 100 // many publications: p99 must not hang on two of them
	return o
}

const slowLong = `Publish to healthy subscribers on a schedule, once without and once beside clients that send one byte per second: half of them a request
head that never ends, half a ws frame that never ends after a proper upgrade. Clients that the server closes come back after a second.
Printed are the healthy clients' latencies in both phases of each round, and the median of the paired ratios of their p99.`

const slowExample = `  # 2,000 slow clients, 5 paired rounds, with the budget as a gate
  stentor bench slow --api-key KEY --max-p99-ratio 1.5`

func slowCommand() *cobra.Command {
	o := DefaultSlow()
	c := scenario("slow", "Healthy clients beside clients that send one byte per second", slowLong, slowExample, &o.Fanout.Target, func(ctx context.Context, s *Streams) error { return o.Run(ctx, s) })
	f := c.Flags()
	f.IntVar(&o.Fanout.Subscribers, "subscribers", o.Fanout.Subscribers, "number of healthy subscribers")
	f.StringVar(&o.Fanout.Channel, "channel", o.Fanout.Channel, "their channel")
	f.IntVar(&o.Fanout.PayloadBytes, "payload", o.Fanout.PayloadBytes, "bytes of a publication")
	f.Float64Var(&o.Fanout.PerSecond, "rate", o.Fanout.PerSecond, "publications per second")
	f.IntVar(&o.Slow, "slow", o.Slow, "number of slow clients, in a worker of their own")
	f.DurationVar(&o.Pause, "pause", o.Pause, "between two bytes of a slow client")
	f.DurationVar(&o.Phase, "phase", o.Phase, "length of each phase")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of a phase without and a phase beside slow clients")
	f.DurationVar(&o.Fanout.Drain, "drain", o.Fanout.Drain, "how long to wait for what is still on its way")
	f.Float64Var(&o.RatioMax, "max-p99-ratio", 0, "fail above this median ratio of the healthy clients' p99; 0: no gate")
	return c
}

func (o *Slow) check() error {
	if err := checkClients("slow", o.Slow); err != nil {
		return err
	}
	switch {
	case o.Slow < 2:
		return errors.New("--slow must be at least 2: half before the upgrade, half after it")
	case o.Pause < time.Millisecond:
		return errors.New("--pause must be at least 1ms")
	case o.Phase <= 0 || o.Rounds < 1:
		return errors.New("--phase and --rounds must be above 0")
	}
	return o.Fanout.check()
}

// groups describes the slow clients.
func (o *Slow) groups(p place) []swarm.Group {
	heads := o.Slow / 2
	before := o.Fanout.Target.group(p, "slow-heads", swarm.SlowHead, heads)
	after := o.Fanout.Target.group(p, "slow-frames", swarm.SlowFrame, o.Slow-heads)
	before.First, after.First = o.Fanout.Subscribers, o.Fanout.Subscribers+heads
	before.TricklePause, after.TricklePause = o.Pause, o.Pause
	before.ComeBack, after.ComeBack = true, true
	return []swarm.Group{before, after}
}

// SlowReport is what Slow prints.
type SlowReport struct {
	Subscribers int            `json:"subscribers"`
	Slow        int            `json:"slow"`
	Rounds      []SlowRound    `json:"rounds"`
	P50Ratio    measure.Spread `json:"p50_ratio"`
	P99Ratio    measure.Spread `json:"p99_ratio"`
	Tally       swarm.Tally    `json:"tally"`
	Late        uint64         `json:"out_of_order"`
	SlowCloses  map[string]int `json:"slow_closes,omitempty"` // how the server ended slow clients
	SlowReturns uint64         `json:"slow_returns"`
	Closes      map[string]int `json:"closes,omitempty"`
	Faults      map[string]int `json:"faults,omitempty"`
	Took        time.Duration  `json:"took_ns"`
}

// SlowRound is one pair.
type SlowRound struct {
	Without measure.Percentiles `json:"without"`
	Beside  measure.Percentiles `json:"beside"`
	Live    float64             `json:"slow_live"` // slow clients that were connected, on average
}

func (r *SlowReport) finish() {
	var p50, p99 [2][]float64
	for _, round := range r.Rounds {
		p50[0], p50[1] = append(p50[0], float64(round.Beside.P50)), append(p50[1], float64(round.Without.P50))
		p99[0], p99[1] = append(p99[0], float64(round.Beside.P99)), append(p99[1], float64(round.Without.P99))
	}
	r.P50Ratio = measure.Summarize(measure.Ratios(p50[0], p50[1]))
	r.P99Ratio = measure.Summarize(measure.Ratios(p99[0], p99[1]))
}

func (r *SlowReport) text(w io.Writer) {
	fmt.Fprintf(w, "%d healthy subscribers without and beside %d slow clients\n", r.Subscribers, r.Slow)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "round\twithout: p50\tp99\tbeside: p50\tp99\tp99 ratio\tslow conns\t")
	for i, round := range r.Rounds {
		fmt.Fprintf(t, "%d\t%v\t%v\t%v\t%v\t%.3f\t%.0f\t\n", i+1, round.Without.P50, round.Without.P99, round.Beside.P50, round.Beside.P99,
			float64(round.Beside.P99)/float64(max(1, round.Without.P99)), round.Live)
	}
	t.Flush()
	fmt.Fprintf(w, "beside / without  p50 %.3f, p99 %.3f (%.3f to %.3f): medians and quartiles of %d paired rounds\n",
		r.P50Ratio.Median, r.P99Ratio.Median, r.P99Ratio.Q1, r.P99Ratio.Q3, r.P99Ratio.N)
	printTally(w, r.Tally, r.Late)
	fmt.Fprintf(w, "slow clients      came back %d times\n", r.SlowReturns)
	printCounts(w, "slow conns that ended", r.SlowCloses)
	printCounts(w, "conns that ended", r.Closes)
	printCounts(w, "faults", r.Faults)
}

// gate compares with the budget.
func (r *SlowReport) gate(o *Slow) error {
	if o.RatioMax > 0 && r.P99Ratio.Median > o.RatioMax {
		return fmt.Errorf("over budget: p99 beside slow clients: %.3f times the one without, the most is %.2f", r.P99Ratio.Median, o.RatioMax)
	}
	return nil
}
