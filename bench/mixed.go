package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// Mixed measures requests beside a fan-out.
type Mixed struct {
	Fanout         Fanout // the subscribers and what they get
	Requesters     int
	Request        swarm.Request
	RequestChannel string
	RequestRate    float64 // per second and requester
	Phase          time.Duration
	Rounds         int
	Overload       time.Duration // 0: none
	Publishers     int           // during overload
	OverloadRate   float64       // publications per second during overload; 0: as fast as the API allows
	RatioMax       float64       // gate; 0: none
}

// DefaultMixed is one publication a second to 10,000 subscribers beside 500 requesters.
func DefaultMixed() Mixed {
	o := Mixed{
		Fanout: DefaultFanout(), Requesters: 500, Request: swarm.Subscribe, RequestChannel: "mixed-{n}", RequestRate: 2,
		Phase: 10 * time.Second, Rounds: 3, Publishers: 8,
	}
	o.Fanout.PerSecond = 1
	return o
}

const mixedLong = `Let some clients send requests on a schedule, one at a time each, and print their latency in a quiet phase beside that in a phase
during which many subscribers of one channel receive publications from the same server. Latency counts from the moment a request was
due, so that it keeps what a stalled server made it wait.

--overload then publishes as fast as the API allows (or at --overload-rate) for so long, and counts how conns end. A subscriber that the
server closes as too slow comes back after a second, so that the load stays. Take longer than the server's ping interval and pong
timeout together (33 s by default): the run fails if a requester is closed with 3012, no pong, since it has nothing else to read. A
subscriber may get 3012 because the generator itself does not keep up and finds the ping late, behind megabytes of publications;
with an --overload-rate that it does keep up with, the run fails for subscribers too.`

const mixedExample = `  # 500 requesters beside one publication a second to 10,000 subscribers
  stentor bench mixed --api-key KEY --pid $(pgrep -xo stentor)

  # the same, then 45 s of overload
  stentor bench mixed --api-key KEY --pid $(pgrep -xo stentor) --overload 45s

  # overload of the server, not of the generator: 300 publications a second to 1,000 subscribers
  stentor bench mixed --api-key KEY --pid $(pgrep -xo stentor) --subscribers 1000 --overload 45s --overload-rate 300`

func mixedCommand() *cobra.Command {
	o := DefaultMixed()
	c := scenario("mixed", "Requests beside a fan-out, also under overload", mixedLong, mixedExample, &o.Fanout.Target, func(ctx context.Context, s *Streams) error { return o.Run(ctx, s) })
	f := c.Flags()
	f.IntVar(&o.Fanout.Subscribers, "subscribers", o.Fanout.Subscribers, "number of subscribers of the fan-out")
	f.StringVar(&o.Fanout.Channel, "channel", o.Fanout.Channel, "channel of the fan-out")
	f.IntVar(&o.Fanout.PayloadBytes, "payload", o.Fanout.PayloadBytes, "bytes of a publication")
	f.Float64Var(&o.Fanout.PerSecond, "rate", o.Fanout.PerSecond, "publications per second in the loud phase")
	f.IntVar(&o.Requesters, "requesters", o.Requesters, "number of requesters, in a worker of their own")
	f.StringVar((*string)(&o.Request), "request", string(o.Request), "what they ask: subscribe (and unsubscribe, in turn), unsubscribe, publish, ping (a ws ping frame)")
	f.StringVar(&o.RequestChannel, "request-channel", o.RequestChannel, "channel of their requests; {n} is the number of the requester")
	f.Float64Var(&o.RequestRate, "request-rate", o.RequestRate, "requests per second of each")
	f.DurationVar(&o.Phase, "phase", o.Phase, "length of each phase")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of a quiet and a loud phase")
	f.DurationVar(&o.Overload, "overload", o.Overload, "in the end, publish as fast as the API allows for so long; 0: do not")
	f.Float64Var(&o.OverloadRate, "overload-rate", o.OverloadRate, "publications per second during overload; 0: as fast as the API allows")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, "publishers at the same time during overload")
	f.DurationVar(&o.Fanout.Drain, "drain", o.Fanout.Drain, "how long to wait for what is still on its way")
	f.Float64Var(&o.RatioMax, "max-p99-ratio", 0, "fail above this median ratio of the loud to the quiet p99; 0: no gate")
	return c
}

func (o *Mixed) check() error {
	if err := checkClients("requesters", o.Requesters); err != nil {
		return err
	}
	switch o.Request {
	case swarm.Subscribe, swarm.Unsubscribe, swarm.Publish, swarm.Ping:
	default:
		return fmt.Errorf("--request %q is not subscribe, unsubscribe, publish or ping", o.Request)
	}
	switch {
	case o.RequestRate <= 0:
		return errors.New("--request-rate must be above 0")
	case o.Phase <= 0 || o.Rounds < 1:
		return errors.New("--phase and --rounds must be above 0")
	case o.Overload < 0 || o.OverloadRate < 0:
		return errors.New("--overload and --overload-rate must not be below 0")
	case o.Publishers < 1 || o.Publishers > publishersMax:
		return fmt.Errorf("--publishers must be from 1 to %d", publishersMax)
	}
	return o.Fanout.check()
}

// group describes the requesters.
func (o *Mixed) group(p place) swarm.Group {
	g := o.Fanout.Target.group(p, "requesters", swarm.Requester, o.Requesters)
	g.First = o.Fanout.Subscribers // users of their own
	g.Channels, g.Request = o.RequestChannel, o.Request
	return g
}

// MixedReport is what Mixed prints.
type MixedReport struct {
	Subscribers int             `json:"subscribers"`
	Requesters  int             `json:"requesters"`
	Request     swarm.Request   `json:"request"`
	Quiet       MixedPhase      `json:"quiet"`
	Loud        MixedPhase      `json:"loud"`
	P50Ratio    measure.Spread  `json:"p50_ratio"` // loud to quiet, paired by round
	P99Ratio    measure.Spread  `json:"p99_ratio"`
	Tally       swarm.Tally     `json:"tally"` // of the loud phases
	Late        uint64          `json:"out_of_order"`
	Overload    *OverloadReport `json:"overload,omitempty"`
	Closes      map[string]int  `json:"closes,omitempty"`
	Faults      map[string]int  `json:"faults,omitempty"`
}

// MixedPhase is all rounds of one kind of phase.
type MixedPhase struct {
	Requests measure.Percentiles `json:"requests"` // all rounds together
	P50s     []time.Duration     `json:"p50s_ns"`
	P99s     []time.Duration     `json:"p99s_ns"`
	Fanout   measure.Percentiles `json:"fanout"`

	requests, fanout *measure.Latency
}

// OverloadReport is what happened while publishing went as fast as the API allowed.
type OverloadReport struct {
	Took         time.Duration       `json:"took_ns"`
	Publications int                 `json:"publications"`
	APIErrors    map[string]int      `json:"api_errors,omitempty"`
	API          measure.Percentiles `json:"api_answers"`
	Deliveries   uint64              `json:"deliveries"`
	PerSecond    float64             `json:"deliveries_per_second"`
	Pings        uint64              `json:"pings"` // answered by the clients
	Requests     measure.Percentiles `json:"requests"`
	Returns      uint64              `json:"subscriber_returns"`
	Closes       map[string]int      `json:"subscriber_closes,omitempty"`
	AskerCloses  map[string]int      `json:"requester_closes,omitempty"`
	CPUCores     float64             `json:"server_cpu_cores,omitempty"`
}

// noPong is how many of the closes are for a missing pong.
func noPong(closes map[string]int) (n int) {
	for text, count := range closes {
		if strings.HasPrefix(text, "3012 ") {
			n += count
		}
	}
	return n
}

func (r *MixedReport) finish() {
	for _, p := range []*MixedPhase{&r.Quiet, &r.Loud} {
		p.Requests, p.Fanout = p.requests.Percentiles(), p.fanout.Percentiles()
	}
	r.P50Ratio = measure.Summarize(measure.Ratios(floats(r.Loud.P50s), floats(r.Quiet.P50s)))
	r.P99Ratio = measure.Summarize(measure.Ratios(floats(r.Loud.P99s), floats(r.Quiet.P99s)))
}

func floats(d []time.Duration) []float64 {
	f := make([]float64, len(d))
	for i := range d {
		f[i] = float64(d[i])
	}
	return f
}

func (r *MixedReport) text(w io.Writer) {
	fmt.Fprintf(w, "%d requesters (%s) beside %d subscribers\n", r.Requesters, r.Request, r.Subscribers)
	printPercentiles(w, "quiet", r.Quiet.Requests)
	printPercentiles(w, "loud", r.Loud.Requests)
	fmt.Fprintf(w, "loud / quiet      p50 %.2f (%.2f to %.2f), p99 %.2f (%.2f to %.2f): medians and quartiles of %d paired rounds\n",
		r.P50Ratio.Median, r.P50Ratio.Q1, r.P50Ratio.Q3, r.P99Ratio.Median, r.P99Ratio.Q1, r.P99Ratio.Q3, r.P99Ratio.N)
	printPercentiles(w, "fan-out", r.Loud.Fanout)
	printTally(w, r.Tally, r.Late)
	printCounts(w, "conns that ended", r.Closes)
	printCounts(w, "faults", r.Faults)
	o := r.Overload
	if o == nil {
		return
	}
	fmt.Fprintf(w, "overload          %d publications in %v, %d deliveries, %.0f per second\n", o.Publications, o.Took.Round(time.Millisecond), o.Deliveries, o.PerSecond)
	printPercentiles(w, "API answers", o.API)
	printPercentiles(w, "requests", o.Requests)
	fmt.Fprintf(w, "pings answered    %d; closed with 3012 (no pong): %d requesters, %d subscribers\n", o.Pings, noPong(o.AskerCloses), noPong(o.Closes))
	if o.CPUCores > 0 {
		fmt.Fprintf(w, "server CPU        %.2f cores\n", o.CPUCores)
	}
	printCounts(w, "API errors", o.APIErrors)
	fmt.Fprintf(w, "subscribers       came back %d times\n", o.Returns)
	printCounts(w, "subscribers that ended in overload", o.Closes)
	printCounts(w, "requesters that ended in overload", o.AskerCloses)
}

// gate compares with the budget.
func (r *MixedReport) gate(o *Mixed) error {
	if r.Overload != nil {
		n := noPong(r.Overload.AskerCloses)
		if o.OverloadRate > 0 {
			n += noPong(r.Overload.Closes)
		}
		if n > 0 {
			return fmt.Errorf("the overloaded server closed %d conns with 3012 (no pong)", n)
		}
	}
	if o.RatioMax > 0 && r.P99Ratio.Median > o.RatioMax {
		return fmt.Errorf("over budget: p99 of requests beside the fan-out: %.2f times the quiet one, the most is %.2f", r.P99Ratio.Median, o.RatioMax)
	}
	return nil
}
