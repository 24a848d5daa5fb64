package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// Pace is what the next publication waits for.
type Pace string

const (
	Rate      Pace = "rate"      // its place in the schedule
	Acked     Pace = "acked"     // the API's answer to the one before
	Delivered Pace = "delivered" // the one before at every subscriber
)

// BurstBy is how several publications reach the server together.
type BurstBy string

const (
	Batch    BurstBy = "batch"    // one batch request
	Together BurstBy = "together" // a request each, on conns of their own, at the same time
)

// Fanout measures one channel with many subscribers.
type Fanout struct {
	Target       Target
	Subscribers  int
	Channel      string
	PayloadBytes int
	Pace         Pace
	PerSecond    float64       // bursts, with Rate
	Duration     time.Duration // unless Publications
	Publications int           // bursts; 0: for Duration
	Burst        int
	BurstBy      BurstBy
	Publishers   int           // with Acked
	Drain        time.Duration // wait for what is still on its way

	// Against the bare loop.
	AgainstBare        bool
	BareThreads        int
	Rounds             int
	RoundPublications  int
	RoundBursts        int
	RatioMax, BurstMax float64 // gates; 0: none

	comeBack bool // subscribers that are closed come back
}

// DefaultFanout is ten publications a second of 100 bytes to 10,000 subscribers.
func DefaultFanout() Fanout {
	return Fanout{
		Target: DefaultTarget(), Subscribers: 10000, Channel: "fanout", PayloadBytes: 100, Pace: Rate, PerSecond: 10, Duration: 10 * time.Second,
		Burst: 1, BurstBy: Batch, Publishers: 1, Drain: 10 * time.Second,
		BareThreads: 1, Rounds: 9, RoundPublications: 20, RoundBursts: 5,
	}
}

// againstBurst is the burst of a comparison if the user names none.
const againstBurst = 10

// publishersMax keeps publications that overtake each other within what a measure.Window can tell.
const publishersMax = measure.WindowSpan / 2

const fanoutLong = `Subscribe many clients to one channel and publish into it through the HTTP API. Printed are: latency from the moment a publication was
due to the moment a subscriber has read it, deliveries per second, what is missing or came twice (by the numbers inside the
payloads), and with --pid the server's CPU per delivery.

--against-bare compares that CPU with a process that does nothing but a loop of write(2) of the same bytes to the same number of
sockets of the same receivers. Server and bare loop take turns; the median of the paired ratios counts. Each round has two parts:
publications that come alone, and bursts that meet in one tick (the bare loop writes each of them by itself).`

const fanoutExample = `  # ten publications a second to 10,000 subscribers for a minute
  stentor bench fanout --api-key KEY --rate 10 --duration 60s

  # bursts of ten, as fast as all subscribers receive them
  stentor bench fanout --api-key KEY --pid $(pgrep -xo stentor) --burst 10 --pace delivered --publications 50

  # CPU per delivery against the bare loop, 9 rounds, with the budget as a gate
  stentor bench fanout --api-key KEY --pid $(pgrep -xo stentor) --against-bare --max-ratio 1.4 --max-burst-ratio 0.4`

func fanoutCommand() *cobra.Command {
	o := DefaultFanout()
	c := scenario("fanout", "Latency, losses and CPU of one channel with many subscribers", fanoutLong, fanoutExample, &o.Target, func(ctx context.Context, s *Streams) error { return o.Run(ctx, s) })
	f := c.Flags()
	f.IntVar(&o.Subscribers, "subscribers", o.Subscribers, "number of subscribers")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name")
	f.IntVar(&o.PayloadBytes, "payload", o.PayloadBytes, "bytes of a publication")
	f.StringVar((*string)(&o.Pace), "pace", string(o.Pace), "what the next publication waits for: rate (the schedule), acked (the API's answer), delivered (the last subscriber)")
	f.Float64Var(&o.PerSecond, "rate", o.PerSecond, "publications (bursts) per second with --pace rate")
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long to publish, unless --publications is given")
	f.IntVar(&o.Publications, "publications", o.Publications, "number of publications (bursts); 0: for --duration")
	f.IntVar(&o.Burst, "burst", o.Burst, "publications at once")
	f.StringVar((*string)(&o.BurstBy), "burst-by", string(o.BurstBy), "how a burst is sent: batch (one request), together (a request each at the same time)")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, fmt.Sprintf("publishers at the same time with --pace acked, at most %d", publishersMax))
	f.DurationVar(&o.Drain, "drain", o.Drain, "how long to wait for what is still on its way")
	f.BoolVar(&o.AgainstBare, "against-bare", o.AgainstBare, "compare CPU per delivery with a bare loop of write(2); needs --pid")
	f.IntVar(&o.BareThreads, "bare-threads", o.BareThreads, "threads that share the sockets of the bare loop")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of server and bare loop")
	f.IntVar(&o.RoundPublications, "round-publications", o.RoundPublications, "publications that come alone, per round and side")
	f.IntVar(&o.RoundBursts, "round-bursts", o.RoundBursts, fmt.Sprintf("bursts per round and side; each has --burst publications, or %d if that is 1", againstBurst))
	f.Float64Var(&o.RatioMax, "max-ratio", 0, "fail above this median ratio of CPU per delivery to the bare loop; 0: no gate")
	f.Float64Var(&o.BurstMax, "max-burst-ratio", 0, "fail above this median ratio in bursts; 0: no gate")
	return c
}

func (o *Fanout) check() error {
	if err := checkClients("subscribers", o.Subscribers); err != nil {
		return err
	}
	switch {
	case o.Pace != Rate && o.Pace != Acked && o.Pace != Delivered:
		return fmt.Errorf("--pace %q is not rate, acked or delivered", o.Pace)
	case o.BurstBy != Batch && o.BurstBy != Together:
		return fmt.Errorf("--burst-by %q is not batch or together", o.BurstBy)
	case o.Pace == Rate && o.PerSecond <= 0:
		return errors.New("--rate must be above 0")
	case o.Burst < 1 || o.BurstBy == Together && o.Burst > publishersMax:
		return fmt.Errorf("--burst must be at least 1, and at most %d with --burst-by together", publishersMax)
	case o.Publishers < 1 || o.Publishers > publishersMax:
		return fmt.Errorf("--publishers must be from 1 to %d", publishersMax)
	case o.PayloadBytes < measure.PayloadBytesMin:
		return fmt.Errorf("--payload must be at least %d", measure.PayloadBytesMin)
	case o.Publications < 0 || o.Publications == 0 && o.Duration <= 0:
		return errors.New("--publications or --duration must be above 0")
	case o.AgainstBare && o.Target.PID == 0:
		return errors.New("--against-bare needs the --pid of the server (pgrep -xo stentor)")
	case o.AgainstBare && (o.Rounds < 1 || o.RoundPublications < 1 || o.RoundBursts < 1):
		return errors.New("--rounds, --round-publications and --round-bursts must be at least 1")
	case !o.AgainstBare && (o.RatioMax > 0 || o.BurstMax > 0):
		return errors.New("--max-ratio and --max-burst-ratio belong to --against-bare")
	}
	return nil
}

// group describes the subscribers.
func (o *Fanout) group(p place) swarm.Group {
	g := o.Target.group(p, "subscribers", swarm.Subscriber, o.Subscribers)
	g.Channels, g.Subscribed, g.ComeBack = o.Channel, 1, o.comeBack
	return g
}

// FanoutReport is what Fanout prints without the bare loop.
type FanoutReport struct {
	Subscribers    int                 `json:"subscribers"`
	Publications   int                 `json:"publications"`
	Took           time.Duration       `json:"took_ns"`
	Deliveries     uint64              `json:"deliveries"`
	PerSecond      float64             `json:"deliveries_per_second"`
	PerFrame       float64             `json:"publications_per_ws_frame"`
	Late           uint64              `json:"out_of_order"`
	Tally          swarm.Tally         `json:"tally"`
	Latency        measure.Percentiles `json:"latency"`
	API            measure.Percentiles `json:"api_answers"`
	APIErrors      map[string]int      `json:"api_errors,omitempty"`
	CPU            time.Duration       `json:"server_cpu_ns,omitempty"`
	CPUPerDelivery float64             `json:"server_cpu_ns_per_delivery,omitempty"`
	CPUCores       float64             `json:"server_cpu_cores,omitempty"`
	WorkerCores    float64             `json:"worker_cpu_cores"` // per worker process
	Closes         map[string]int      `json:"closes,omitempty"`
	Faults         map[string]int      `json:"faults,omitempty"`
}

// busyWorker is the share of a core above which a worker's own work shows in the latencies.
const busyWorker = 0.9

func (r *FanoutReport) text(w io.Writer) {
	fmt.Fprintf(w, "%d publications to %d subscribers in %v\n", r.Publications, r.Subscribers, r.Took.Round(time.Millisecond))
	fmt.Fprintf(w, "deliveries        %d, %.0f per second, %.2f publications per ws frame\n", r.Deliveries, r.PerSecond, r.PerFrame)
	printTally(w, r.Tally, r.Late)
	printPercentiles(w, "latency", r.Latency)
	printPercentiles(w, "API answers", r.API)
	if r.CPU > 0 {
		fmt.Fprintf(w, "server CPU        %.0f ns per delivery, %.2f cores\n", r.CPUPerDelivery, r.CPUCores)
	}
	fmt.Fprintf(w, "generator         %.2f cores per worker\n", r.WorkerCores)
	if r.WorkerCores > busyWorker {
		fmt.Fprintln(w, "                  a worker was busy all the time: the latencies hold its own work too; use more --workers, if there are cores for them")
	}
	printCounts(w, "API errors", r.APIErrors)
	printCounts(w, "conns that ended", r.Closes)
	printCounts(w, "faults", r.Faults)
}

func printTally(w io.Writer, t swarm.Tally, late uint64) {
	fmt.Fprintf(w, "missing           %d (at %d subscribers, %d at the worst one)\n", t.Missing, t.MissingClients, t.MissingWorst)
	fmt.Fprintf(w, "twice             %d (at %d subscribers)\n", t.Duplicate, t.DupClients)
	fmt.Fprintf(w, "out of order      %d\n", late)
	if t.Gone > 0 {
		fmt.Fprintf(w, "gone subscribers  %d, without %d publications\n", t.Gone, t.GoneMissing)
	}
}

func printPercentiles(w io.Writer, what string, p measure.Percentiles) {
	fmt.Fprintf(w, "%-17s p50 %v  p90 %v  p99 %v  p99.9 %v  max %v  (%d)\n", what, p.P50, p.P90, p.P99, p.P999, p.Max, p.Count)
}

// loss is the error of a run whose publications did not arrive as they should.
func loss(t swarm.Tally) error {
	switch {
	case t.Gone > 0:
		return fmt.Errorf("%d subscribers lost their conn", t.Gone)
	case t.Missing > 0:
		return fmt.Errorf("%d publications are missing at %d subscribers", t.Missing, t.MissingClients)
	case t.Duplicate > 0:
		return fmt.Errorf("%d publications came twice", t.Duplicate)
	}
	return nil
}
