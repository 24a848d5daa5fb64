package bench

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Slow measures what healthy subscribers feel of subscribers that stop reading, and what becomes of those.
type Slow struct {
	Fanout       Fanout // the healthy subscribers and what all get
	Stalled      int
	ReceiveBytes int // receive buffer of a stalled client
	Phase        time.Duration
	Rounds       int
	MetricsURL   string
	Rest         time.Duration // after the rounds; 0: none

	// Gates; 0: none.
	RatioMax, RestMax float64
}

// DefaultSlow is 5 % stalled ones beside 200 healthy ones, with publications that overflow a megabyte in a few seconds.
func DefaultSlow() Slow {
	o := Slow{Fanout: DefaultFanout(), Stalled: 10, ReceiveBytes: 4 << 10, Phase: 15 * time.Second, Rounds: 5, MetricsURL: "/metrics"}
	o.Fanout.Subscribers, o.Fanout.PerSecond, o.Fanout.Pace, o.Fanout.PayloadBytes = 200, 100, Rate, 4<<10
	return o
}

const slowLong = `Publish to healthy subscribers on a schedule, once without and once beside subscribers of the same channel that stop reading. A server
must bound what it holds for those and close them with 3008 (slow). As soon as its metrics say that it has, or at the end of the phase,
they read again, and the code of their close frame is looked at.

Measured are the healthy subscribers' latencies in both phases of each round, the median of the paired ratios of their p99, the server's
most resident memory in both (--server, --pid), and with --rest how far the memory has gone back after so long. The run fails unless
every stalled client was closed with 3008. Bytes per stalled client are payload × rate × phase: they must pass the server's limit
(client.queue_max_size, 1 MiB) and the buffers of the kernel.`

const slowExample = `  # 5 % stalled readers, 5 paired rounds, with the budget as a gate
  stentor bench slow --api-key KEY --pid $(pgrep -xo stentor) --subscribers 1000 --stalled 50 --max-p99-ratio 1.5

  # how far resident memory has gone back two minutes after queues were full
  stentor bench slow --api-key KEY --pid $(pgrep -xo stentor) --stalled 1000 --rounds 1 --rest 2m --max-rest-ratio 1.15`

func slowScenario() *scenario {
	o := DefaultSlow()
	return &scenario{
		name: "slow", short: "healthy subscribers beside subscribers that stop reading", long: slowLong, example: slowExample,
		target: &o.Fanout.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Fanout.Subscribers + o.Stalled, o.check() },
	}
}

func (o *Slow) flags(f *pflag.FlagSet) {
	o.Fanout.channelFlags(f)
	f.Float64Var(&o.Fanout.PerSecond, "rate", o.Fanout.PerSecond, "publications per second")
	f.IntVar(&o.Stalled, "stalled", o.Stalled, "number of subscribers that stop reading, in a worker of their own")
	f.IntVar(&o.ReceiveBytes, "receive-bytes", o.ReceiveBytes, "receive buffer of a stalled client in the kernel")
	f.DurationVar(&o.Phase, "phase", o.Phase, "length of each phase")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of a phase without and a phase beside stalled clients")
	f.StringVar(&o.MetricsURL, "metrics-url", o.MetricsURL, "the server's page of metrics; a path: on the host of --target; empty: do not ask")
	f.DurationVar(&o.Rest, "rest", o.Rest, "after the rounds, wait so long and look at resident memory once more; 0: do not")
	f.Float64Var(&o.RatioMax, "max-p99-ratio", 0, "fail above this median ratio of the healthy subscribers' p99; 0: no gate")
	f.Float64Var(&o.RestMax, "max-rest-ratio", 0, "fail if resident memory after --rest is above so many times that before the rounds; 0: no gate")
}

func (o *Slow) check() error {
	if err := checkClients("stalled", o.Stalled); err != nil {
		return err
	}
	switch {
	case o.Phase <= 0 || o.Rounds < 1:
		return errors.New("--phase and --rounds must be above 0")
	case o.ReceiveBytes < 1:
		return errors.New("--receive-bytes must be above 0")
	case o.Rest < 0:
		return errors.New("--rest must not be below 0")
	case (o.Rest > 0 || o.RestMax > 0) && !o.Fanout.Target.watched():
		return errors.New("--rest needs --server or --pid")
	case o.RestMax > 0 && o.Rest == 0:
		return errors.New("--max-rest-ratio belongs to --rest")
	}
	return o.Fanout.check()
}

// stalledGroup describes the clients that stop reading.
func (o *Slow) stalledGroup(p place) swarm.Group {
	g := o.Fanout.group(p)
	g.Name, g.First, g.Count, g.ReceiveBytes, g.ComeBack = "stalled subscribers", o.Fanout.Subscribers, o.Stalled, o.ReceiveBytes, false
	return g
}

// stalls is what became of the stalled clients of all rounds.
type stalls struct {
	clients int
	counted float64        // closed with 3008, by the server's metrics
	asked   bool           // the metrics could be read
	closes  map[string]int // as the clients saw it
}

// saw3008 is how many clients saw that close.
func (s *stalls) saw3008() (n int) {
	for text, count := range s.closes {
		if strings.HasPrefix(text, "3008 ") {
			n += count
		}
	}
	return n
}

func (s *stalls) fill(r *result.Result) {
	r.Add("stalled clients", float64(s.clients), result.Number, result.Neither)
	if s.asked {
		r.Add("closed with 3008 by the server's count", s.counted, result.Number, result.Neither)
	}
	r.Add("saw close 3008", float64(s.saw3008()), result.Number, result.More)
	r.AddCount("stalled conns that ended", s.closes)
}

// check is an error unless all were closed as slow.
func (s *stalls) check() error {
	if s.asked && int(s.counted) < s.clients {
		return fmt.Errorf("the server counts %d of %d stalled clients as closed with 3008: did it not bound what it holds for them, or was the load too small (--payload, --rate, --phase)?",
			int(s.counted), s.clients)
	}
	if saw := s.saw3008(); saw < s.clients {
		return fmt.Errorf("%d of %d stalled clients saw close 3008 when they read again", saw, s.clients)
	}
	return nil
}
