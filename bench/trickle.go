package bench

import (
	"errors"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/swarm"
)

// Trickle measures what healthy clients feel of clients that send one byte at a time.
type Trickle struct {
	Fanout   Fanout // the healthy subscribers and what they get
	Slow     int    // half of them before the upgrade, half after it
	Pause    time.Duration
	Phase    time.Duration
	Rounds   int
	RatioMax float64 // gate; 0: none
}

// DefaultTrickle is 2,000 slow clients beside 200 healthy ones.
func DefaultTrickle() Trickle {
	o := Trickle{Fanout: DefaultFanout(), Slow: 2000, Pause: time.Second, Phase: 15 * time.Second, Rounds: 5}
	o.Fanout.Subscribers, o.Fanout.PerSecond, o.Fanout.Pace = 200, 100, Rate // many publications: p99 must not hang on two of them
	return o
}

const trickleLong = `Publish to healthy subscribers on a schedule, once without and once beside clients that send one byte per second: half of them a request
head that never ends, half a ws frame that never ends after a proper upgrade. Clients that the server closes come back after a second.
Measured are the healthy clients' latencies in both phases of each round, and the median of the paired ratios of their p99.`

const trickleExample = `  # 2,000 slow clients, 5 paired rounds, with the budget as a gate
  stentor bench trickle --api-key KEY --max-p99-ratio 1.5`

func trickleScenario() *scenario {
	o := DefaultTrickle()
	return &scenario{
		name: "trickle", short: "healthy clients beside clients that send one byte per second", long: trickleLong, example: trickleExample,
		target: &o.Fanout.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Fanout.Subscribers + o.Slow, o.check() },
	}
}

func (o *Trickle) flags(f *pflag.FlagSet) {
	o.Fanout.channelFlags(f)
	f.Float64Var(&o.Fanout.PerSecond, "rate", o.Fanout.PerSecond, "publications per second")
	f.IntVar(&o.Slow, "slow", o.Slow, "number of slow clients, in a worker of their own")
	f.DurationVar(&o.Pause, "pause", o.Pause, "between two bytes of a slow client")
	f.DurationVar(&o.Phase, "phase", o.Phase, "length of each phase")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of a phase without and a phase beside slow clients")
	f.Float64Var(&o.RatioMax, "max-p99-ratio", 0, "fail above this median ratio of the healthy clients' p99; 0: no gate")
}

func (o *Trickle) check() error {
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
func (o *Trickle) groups(p place) []swarm.Group {
	heads := o.Slow / 2
	before := o.Fanout.Target.group(p, "slow heads", swarm.SlowHead, heads)
	after := o.Fanout.Target.group(p, "slow frames", swarm.SlowFrame, o.Slow-heads)
	before.First, after.First = o.Fanout.Subscribers, o.Fanout.Subscribers+heads
	before.TricklePause, after.TricklePause = o.Pause, o.Pause
	before.ComeBack, after.ComeBack = true, true
	return []swarm.Group{before, after}
}
