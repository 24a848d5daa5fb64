package bench

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/measure"
	"stentor/bench/result"
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

	// Gates; 0: none.
	RatioMax     float64
	LastRatioMax float64
}

// DefaultMixed is one publication a second to 10,000 subscribers beside 500 requesters.
func DefaultMixed() Mixed {
	o := Mixed{
		Fanout: DefaultFanout(), Requesters: 500, Request: swarm.Subscribe, RequestChannel: "mixed-{n}", RequestRate: 2,
		Phase: 10 * time.Second, Rounds: 3, Publishers: 8,
	}
	o.Fanout.PerSecond, o.Fanout.Pace = 1, Rate
	return o
}

const mixedLong = `Let some clients send requests on a schedule, one at a time each, and print their latency in a quiet phase beside that in a phase
during which many subscribers of one channel receive publications from the same server. Latency counts from the moment a request was
due, so that it keeps what a stalled server made it wait. The time in which a publication reaches its last subscriber stands beside it.

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

func mixedScenario() *scenario {
	o := DefaultMixed()
	return &scenario{
		name: "mixed", short: "requests beside a fan-out, also under overload", long: mixedLong, example: mixedExample,
		target: &o.Fanout.Target, requests: true, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Fanout.Subscribers + o.Requesters, o.check() },
	}
}

func (o *Mixed) flags(f *pflag.FlagSet) {
	o.Fanout.channelFlags(f)
	f.Float64Var(&o.Fanout.PerSecond, "rate", o.Fanout.PerSecond, "publications per second in the loud phase")
	o.requestFlags(f)
	f.DurationVar(&o.Phase, "phase", o.Phase, "length of each phase")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of a quiet and a loud phase")
	f.DurationVar(&o.Overload, "overload", o.Overload, "in the end, publish as fast as the API allows for so long; 0: do not")
	f.Float64Var(&o.OverloadRate, "overload-rate", o.OverloadRate, "publications per second during overload; 0: as fast as the API allows")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, "publishers at the same time during overload")
	f.Float64Var(&o.RatioMax, "max-p99-ratio", 0, "fail above this median ratio of the loud to the quiet p99; 0: no gate")
	f.Float64Var(&o.LastRatioMax, "max-p99-to-last", 0, "fail if the p99 of requests in the loud phase is above this share of the median time that a publication needs to its last subscriber; 0: no gate")
}

// requestFlags are those of the requesters.
func (o *Mixed) requestFlags(f *pflag.FlagSet) {
	f.IntVar(&o.Requesters, "requesters", o.Requesters, "number of requesters, in a worker of their own")
	f.StringVar((*string)(&o.Request), "request", string(o.Request), "what they ask: subscribe (and unsubscribe, in turn), unsubscribe, publish, ping (a ws ping frame), presence, presence_stats, history")
	f.StringVar(&o.RequestChannel, "request-channel", o.RequestChannel, "channel of their requests; {n} is the number of the requester")
	f.Float64Var(&o.RequestRate, "request-rate", o.RequestRate, "requests per second of each")
}

func (o *Mixed) check() error {
	if err := checkClients("requesters", o.Requesters); err != nil {
		return err
	}
	switch o.Request {
	case swarm.Subscribe, swarm.Unsubscribe, swarm.Publish, swarm.Ping, swarm.Presence, swarm.PresenceStats, swarm.History:
	default:
		return fmt.Errorf("--request %q is not subscribe, unsubscribe, publish, ping, presence, presence_stats or history", o.Request)
	}
	switch {
	case o.Request == swarm.Ping && o.Fanout.Target.transport() != swarm.WebSocket:
		return errors.New("--request ping is a ping of a ws frame: it needs --transport websocket")
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

// mixedPhase is all rounds of one kind of phase.
type mixedPhase struct {
	requests, fanout *measure.Latency // all rounds together
	p50s, p99s       []time.Duration  // of the requests, by round
	lasts            []time.Duration  // how long the slowest delivery of a round took
}

func newMixedPhase() *mixedPhase {
	return &mixedPhase{requests: measure.NewLatency(), fanout: measure.NewLatency()}
}

// fill writes both phases into a result.
func fillMixed(r *result.Result, quiet, loud *mixedPhase) {
	t := result.Table{Name: "rounds: p99 of a request", Columns: []result.Column{
		{Name: "quiet", Unit: result.Nanoseconds}, {Name: "loud", Unit: result.Nanoseconds}, {Name: "loud / quiet", Unit: result.Ratio},
		{Name: "last delivery", Unit: result.Nanoseconds},
	}}
	for i := range quiet.p99s {
		q, l := float64(quiet.p99s[i]), float64(loud.p99s[i])
		t.Rows = append(t.Rows, result.Row{Cells: []result.Cell{result.Cell(q), result.Cell(l), result.Cell(per(l, q)), result.Cell(loud.lasts[i])}})
	}
	r.Tables = append(r.Tables, t)
	addRatio(r, "p50 of a request, loud / quiet", floats(loud.p50s), floats(quiet.p50s))
	addRatio(r, "p99 of a request, loud / quiet", floats(loud.p99s), floats(quiet.p99s))
	addRatio(r, "p99 of a request, loud / last delivery", floats(loud.p99s), floats(loud.lasts))
	r.AddLatency("request, quiet", quiet.requests)
	r.AddLatency("request, loud", loud.requests)
	r.AddLatency("delivery", loud.fanout)
}

// overload is what happened while publishing went as fast as the API allowed.
type overload struct {
	span
	publications      int
	feed              *feed
	stats             swarm.Stats // of the subscribers: counters of the overload alone
	asked             swarm.Stats // of the requesters
	closes, askCloses map[string]int
	pings             uint64
}

// fill writes the overload into a result.
func (o *overload) fill(r *result.Result) {
	r.Add("overload: publications", float64(o.publications), result.Number, result.Neither)
	r.Add("overload: deliveries per second", per(float64(o.stats.Deliveries), o.Took.Seconds()), result.PerSecond, result.More)
	if o.Server > 0 {
		r.Add("overload: server CPU", o.serverCores(), result.Cores, result.Neither)
	}
	r.Add("overload: pings answered", float64(o.pings), result.Number, result.Neither)
	r.Add("overload: requesters closed with 3012", float64(noPong(o.askCloses)), result.Number, result.Less)
	r.Add("overload: subscribers closed with 3012", float64(noPong(o.closes)), result.Number, result.Less)
	r.Add("overload: subscribers came back", float64(o.stats.Reopened), result.Number, result.Neither)
	r.AddLatency("request, overload", o.asked.Latency)
	r.AddLatency("API answer, overload", o.feed.answers)
	r.AddCount("API errors in overload", o.feed.errors)
	r.AddCount("subscribers that ended in overload", o.closes)
	r.AddCount("requesters that ended in overload", o.askCloses)
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

// gate compares an overload with what it may cause.
func (o *overload) gate(rate float64) error {
	n := noPong(o.askCloses)
	if rate > 0 {
		n += noPong(o.closes)
	}
	if n > 0 {
		return fmt.Errorf("the overloaded server closed %d conns with 3012 (no pong)", n)
	}
	return nil
}

// gate compares with the budget.
func (o *Mixed) gate(r *result.Result) error {
	return errors.Join(
		overBudget(r, "p99 of a request, loud / quiet", o.RatioMax),
		overBudget(r, "p99 of a request, loud / last delivery", o.LastRatioMax),
	)
}
