package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Pace is what the next publication waits for.
type Pace string

const (
	Knee      Pace = "knee"      // its place in a schedule whose rate rises until the server no longer keeps up
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
	Target        Target
	Subscribers   int
	Subscriptions int // per client, of which one is the channel's and the others are quiet
	Channel       string
	PayloadBytes  int
	Pace          Pace
	PerSecond     float64       // bursts, with Rate; those of the first step with Knee
	Climb         Climb         // with Knee
	Duration      time.Duration // unless Publications
	Publications  int           // bursts; 0: for Duration
	Burst         int
	BurstBy       BurstBy
	Publishers    int           // with Acked
	Settle        time.Duration // wait before anything is published
	Drain         time.Duration // wait for what is still on its way
	Pipeline      swarm.Pipeline

	Floor    Floor
	comeBack bool // subscribers that are closed come back
}

// DefaultFanout is publications of 100 bytes to 10,000 subscribers.
func DefaultFanout() Fanout {
	return Fanout{
		Target: DefaultTarget(), Subscribers: 10000, Channel: "fanout", PayloadBytes: 100, Pace: Knee, PerSecond: 10, Climb: DefaultClimb(),
		Duration: 10 * time.Second, Burst: 1, BurstBy: Batch, Publishers: 1, Drain: 10 * time.Second,
		Floor: DefaultFloor(),
	}
}

// publishersMax keeps publications that overtake each other within what a measure.Window can tell.
const publishersMax = measure.WindowSpan / 2

const fanoutLong = `Subscribe many clients to one channel and publish into it through the HTTP API. Measured are: latency from the moment a publication was
due to the moment a subscriber has read it, deliveries per second, what is missing, came twice or out of order (by the numbers inside
the payloads), and with --server or --pid the server's CPU per delivery.

With --pace knee the rate begins at --rate and rises by --factor from step to step, until the p99 passes --knee-latency or publications
do not get out in time: the last step before that is the knee.

--floor compares the CPU with a process that does nothing but a loop of write(2) of the same bytes to the same number of sockets of the
same receivers, and with one that sends through an io_uring where the kernel allows it. All sides take turns; the median of the paired
ratios counts. Each round has two parts: publications that come alone, and bursts that meet in one tick (the floors write each of them
by itself).`

const fanoutExample = `  # up to the knee, with 10,000 subscribers
  stentor bench fanout --api-key KEY --pid $(pgrep -xo stentor) --html fanout.html

  # ten publications a second for a minute
  stentor bench fanout --api-key KEY --pace rate --rate 10 --duration 60s

  # bursts of ten, as fast as all subscribers receive them
  stentor bench fanout --api-key KEY --pid $(pgrep -xo stentor) --burst 10 --pace delivered --publications 50

  # CPU per delivery against the floors, 9 rounds, with the budget as a gate
  stentor bench fanout --api-key KEY --pid $(pgrep -xo stentor) --floor --max-ratio 1.25 --max-burst-ratio 0.33`

func fanoutScenario() *scenario {
	o := DefaultFanout()
	return o.scenario()
}

func (o *Fanout) scenario() *scenario {
	return &scenario{
		name: "fanout", short: "latency, losses and CPU of one channel with many subscribers", long: fanoutLong, example: fanoutExample,
		target: &o.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Subscribers, o.check() },
	}
}

func (o *Fanout) flags(f *pflag.FlagSet) {
	o.channelFlags(f)
	f.StringVar((*string)(&o.Pace), "pace", string(o.Pace), "what the next publication waits for: knee (a rising rate), rate (the schedule), acked (the API's answer), delivered (the last subscriber)")
	f.Float64Var(&o.PerSecond, "rate", o.PerSecond, "publications (bursts) per second with --pace rate, and in the first step of --pace knee")
	o.Climb.flags(f)
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long to publish, unless --publications is given; not with --pace knee")
	f.IntVar(&o.Publications, "publications", o.Publications, "number of publications (bursts); 0: for --duration; not with --pace knee")
	f.IntVar(&o.Burst, "burst", o.Burst, "publications at once")
	f.StringVar((*string)(&o.BurstBy), "burst-by", string(o.BurstBy), "how a burst is sent: batch (one request), together (a request each at the same time)")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, fmt.Sprintf("publishers at the same time with --pace acked, at most %d", publishersMax))
	f.IntVar(&o.Subscriptions, "subscriptions", 1, "subscriptions per client: the channel's, and others that are quiet")
	o.Floor.flags(f)
}

// channelFlags are those that every scenario with a fan-out has.
func (o *Fanout) channelFlags(f *pflag.FlagSet) {
	f.IntVar(&o.Subscribers, "subscribers", o.Subscribers, "number of subscribers")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {s} is the number of the subscription: 0 is what is published into")
	f.IntVar(&o.PayloadBytes, "payload", o.PayloadBytes, "bytes of a publication")
	f.DurationVar(&o.Settle, "settle", o.Settle, "wait after the last connect before anything is published; pings are answered meanwhile, and counted")
	f.DurationVar(&o.Drain, "drain", o.Drain, "how long to wait for what is still on its way")
}

func (o *Fanout) check() error {
	if err := checkClients("subscribers", o.Subscribers); err != nil {
		return err
	}
	switch o.Pace {
	case Knee, Rate, Acked, Delivered:
	default:
		return fmt.Errorf("--pace %q is not knee, rate, acked or delivered", o.Pace)
	}
	switch {
	case o.BurstBy != Batch && o.BurstBy != Together:
		return fmt.Errorf("--burst-by %q is not batch or together", o.BurstBy)
	case o.PerSecond <= 0:
		return errors.New("--rate must be above 0")
	case o.Burst < 1 || o.BurstBy == Together && o.Burst > publishersMax:
		return fmt.Errorf("--burst must be at least 1, and at most %d with --burst-by together", publishersMax)
	case o.Publishers < 1 || o.Publishers > publishersMax:
		return fmt.Errorf("--publishers must be from 1 to %d", publishersMax)
	case o.PayloadBytes < measure.PayloadBytesMin:
		return fmt.Errorf("--payload must be at least %d", measure.PayloadBytesMin)
	case o.Publications < 0 || o.Publications == 0 && o.Duration <= 0:
		return errors.New("--publications or --duration must be above 0")
	}
	if o.Pace == Knee {
		if err := o.Climb.check(); err != nil {
			return err
		}
	}
	return o.Floor.check(&o.Target)
}

// ordered is true if publications reach the server one after the other, so that they may be expected in order.
func (o *Fanout) ordered() bool {
	return o.BurstBy != Together && (o.Pace != Acked || o.Publishers == 1)
}

// group describes the subscribers. Those with several subscriptions have the channel as their first.
func (o *Fanout) group(p place) swarm.Group {
	g := o.Target.group(p, "subscribers", swarm.Subscriber, o.Subscribers)
	g.Channels, g.Subscribed, g.ComeBack, g.Pipeline = o.Channel, max(1, o.Subscriptions), o.comeBack, o.Pipeline
	return g
}

// delivery is what a series of publications came to.
type delivery struct {
	span
	publications int
	planned      time.Duration // 0: as long as a step
	stats        swarm.Stats   // counters of the series alone
}

// fill writes the figures of a series into a result.
func (d *delivery) fill(r *result.Result) {
	n := float64(d.stats.Deliveries)
	r.Add("publications", float64(d.publications), result.Number, result.Neither)
	r.Add("deliveries per second", n/d.Took.Seconds(), result.PerSecond, result.More)
	r.Add("publications per ws frame or chunk", per(n, float64(d.stats.Frames)), result.Number, result.Neither)
	r.Add("bytes read per delivery", per(float64(d.stats.Bytes), n), result.Bytes, result.Less)
	if d.stats.Records > 0 {
		r.Add("TLS records per delivery", per(float64(d.stats.Records), n), result.Number, result.Less)
	}
	if d.Server > 0 {
		r.Add("server CPU per delivery", per(float64(d.Server), n), result.Nanoseconds, result.Less)
		r.Add("server CPU", d.serverCores(), result.Cores, result.Less)
		r.Add("deliveries per CPU second", d.perServer(n), result.PerSecond, result.More)
	}
	r.Add("generator CPU", share(d.Generator, d.Took), result.Cores, result.Neither)
}

// addTally writes what did not arrive as it should into a result.
func addTally(r *result.Result, t swarm.Tally, late uint64) {
	missing := r.Add("missing", float64(t.Missing), result.Number, result.Less)
	if t.Missing > 0 {
		missing.Note = fmt.Sprintf("at %d subscribers, %d at the worst one", t.MissingClients, t.MissingWorst)
	}
	twice := r.Add("came twice", float64(t.Duplicate), result.Number, result.Less)
	if t.Duplicate > 0 {
		twice.Note = fmt.Sprintf("at %d subscribers", t.DupClients)
	}
	r.Add("out of order", float64(late), result.Number, result.Less)
	if t.Gone > 0 {
		r.Add("gone subscribers", float64(t.Gone), result.Number, result.Less).Note = fmt.Sprintf("without %d publications", t.GoneMissing)
	}
}

// loss is the error of a run whose publications did not arrive as they should. late are those that came out of order, 0 where no
// order may be expected.
func loss(t swarm.Tally, late uint64) error {
	switch {
	case t.Gone > 0:
		return fmt.Errorf("%d subscribers lost their conn", t.Gone)
	case t.Missing > 0:
		return fmt.Errorf("%d publications are missing at %d subscribers", t.Missing, t.MissingClients)
	case t.Duplicate > 0:
		return fmt.Errorf("%d publications came twice", t.Duplicate)
	case late > 0:
		return fmt.Errorf("%d publications came out of order", late)
	}
	return nil
}
