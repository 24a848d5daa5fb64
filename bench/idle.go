package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/measure"
	"stentor/bench/probe"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Idle measures what clients cost that are connected and quiet.
type Idle struct {
	Target        Target
	Clients       int
	Steps         []int // numbers of clients to measure at, rising; empty: Clients only
	PerChannel    int
	Channel       string
	Subscriptions int // per client
	Recoverable   bool
	Publish       bool // one publication into each channel
	PayloadBytes  int
	WarmUp        int           // clients that come and go before anything is measured; 0: none
	Settle        time.Duration // before each measurement
	Hold          time.Duration // before the last one, in place of Settle if longer
	PprofURL      string

	// Gates: the run fails above them. 0: no gate.
	HeapMax, ObjectsMax, RSSRatioMax float64
}

// DefaultIdle is clients without subscriptions.
func DefaultIdle() Idle {
	return Idle{Target: DefaultTarget(), Clients: 4000, PerChannel: 10, Channel: "idle-{n}", PayloadBytes: 100, WarmUp: 256, Settle: 3 * time.Second}
}

const idleLong = `Connect many clients, answer their pings, and print what they cost the server: resident memory and CPU (--server, --pid), and heap bytes
and objects after a forced collection (--pprof-url), per client. idle has no subscriptions unless --subscriptions says so, idlesub
has one per client, ten clients to a channel.

Some clients come and go before the server without clients is looked at (--warm-up). With --steps the cost per client is the slope of the least-squares line through the steps, with its residual: what the server needs
without clients does not count then. Otherwise it is the difference to the server before the clients came.

Resident memory is read before the collection is forced. For a figure that no forced collection has touched, use one step and --hold.`

const idleExample = `  # memory per client with 10 clients to a channel, tokens, over four steps
  stentor bench idlesub --pid $(pgrep -xo stentor) --pprof-url http://127.0.0.1:8000/debug/pprof --token-hmac-secret SECRET \
    --steps 4000,8000,12000,16000 --per-channel 10

  # each client on a recoverable channel of its own that keeps one publication
  stentor bench idlesub --pid $(pgrep -xo stentor) --pprof-url http://127.0.0.1:8000/debug/pprof --token-hmac-secret SECRET --api-key KEY \
    --steps 4000,8000,12000,16000 --per-channel 1 --channel 'personal:{user}' --recoverable --publish

  # resident memory 150 s after the last connect, of a server that is started for it
  stentor bench idlesub --server 'stentor -c config.json -p {port}' --clients 16000 --hold 150s`

func idleScenario() *scenario {
	o := DefaultIdle()
	return o.scenario("idle", "memory and CPU of connected, quiet clients")
}

func idleSubScenario() *scenario {
	o := DefaultIdle()
	o.Subscriptions = 1
	return o.scenario("idlesub", "memory and CPU of subscribed, quiet clients")
}

func (o *Idle) scenario(name, short string) *scenario {
	return &scenario{
		name: name, short: short, long: idleLong, example: idleExample, target: &o.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) {
			steps, err := o.steps()
			if err != nil {
				return 0, err
			}
			return steps[len(steps)-1], nil
		},
	}
}

func (o *Idle) flags(f *pflag.FlagSet) {
	f.IntVar(&o.Clients, "clients", o.Clients, "number of clients, unless --steps is given")
	f.IntSliceVar(&o.Steps, "steps", o.Steps, "numbers of clients to measure at, rising")
	f.IntVar(&o.PerChannel, "per-channel", o.PerChannel, "clients per channel; 1: each has its own")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is its number, {user} the client's user, {s} the number of the subscription")
	f.IntVar(&o.Subscriptions, "subscriptions", o.Subscriptions, "subscriptions per client; 0: none")
	f.BoolVar(&o.Recoverable, "recoverable", o.Recoverable, "ask for recoverable, positioned subscriptions")
	f.BoolVar(&o.Publish, "publish", o.Publish, "publish once into each channel through the API")
	f.IntVar(&o.PayloadBytes, "payload", o.PayloadBytes, "bytes of such a publication")
	f.IntVar(&o.WarmUp, "warm-up", o.WarmUp, "clients that come and go first, so that a server that was just started has all in memory that it needs for any client")
	f.DurationVar(&o.Settle, "settle", o.Settle, "wait before each measurement")
	f.DurationVar(&o.Hold, "hold", o.Hold, "wait after the last connect before the last measurement, if longer than --settle")
	f.StringVar(&o.PprofURL, "pprof-url", o.PprofURL, "profile pages of the server, such as http://127.0.0.1:8000/debug/pprof; a path: on the host of --target; empty: no heap figures")
	f.Float64Var(&o.HeapMax, "max-heap", 0, "fail above so many heap bytes per client; 0: no gate")
	f.Float64Var(&o.ObjectsMax, "max-objects", 0, "fail above so many heap objects per client; 0: no gate")
	f.Float64Var(&o.RSSRatioMax, "max-rss-ratio", 0, "fail if resident bytes per client are above so many times the heap bytes per client; 0: no gate")
}

// steps checks the options and returns the numbers of clients to measure at.
func (o *Idle) steps() ([]int, error) {
	steps := o.Steps
	if len(steps) == 0 {
		steps = []int{o.Clients}
	}
	for _, n := range steps {
		if err := checkClients("clients and --steps", n); err != nil {
			return nil, err
		}
	}
	for i := range steps[1:] {
		if steps[i+1] <= steps[i] {
			return nil, errors.New("--steps must rise")
		}
	}
	switch {
	case o.PerChannel < 1:
		return nil, errors.New("--per-channel must be at least 1")
	case o.WarmUp < 0 || o.WarmUp > clientsMax:
		return nil, fmt.Errorf("--warm-up must be from 0 to %d", clientsMax)
	case o.Subscriptions < 0:
		return nil, errors.New("--subscriptions must not be below 0")
	case o.Publish && o.Subscriptions == 0:
		return nil, errors.New("--publish needs channels: --subscriptions above 0")
	case o.Publish && o.PayloadBytes < measure.PayloadBytesMin:
		return nil, fmt.Errorf("--payload must be at least %d", measure.PayloadBytesMin)
	case (o.HeapMax > 0 || o.ObjectsMax > 0 || o.RSSRatioMax > 0) && o.PprofURL == "":
		return nil, errors.New("the gates need --pprof-url")
	case o.RSSRatioMax > 0 && !o.Target.watched():
		return nil, errors.New("--max-rss-ratio needs --server or --pid")
	}
	return steps, nil
}

// idleStep is the server with so many clients. The first step has none.
type idleStep struct {
	clients, channels int
	took              time.Duration // to open those that are new in this step
	rss               int64         // 0: unknown
	heap              *probe.Heap   // nil: unknown
	cpu               float64       // cores, while waiting
	threads           int
}

// idleLines are the costs per client; nil: unknown.
type idleLines struct {
	heap, objects, rss *measure.Line
	rssRatio           float64 // the last step against the server without clients; 0: unknown
}

// fit draws the lines. One step is measured against the server without clients, several against each other.
func fit(steps []idleStep) (l idleLines) {
	first, last := steps[0], steps[len(steps)-1]
	if last.heap != nil && first.heap != nil && last.rss > 0 && last.heap.Bytes > first.heap.Bytes {
		l.rssRatio = float64(last.rss-first.rss) / float64(last.heap.Bytes-first.heap.Bytes)
	}
	if len(steps) > 2 {
		steps = steps[1:]
	}
	line := func(value func(idleStep) int64) *measure.Line {
		var x, y []float64
		for _, s := range steps {
			x, y = append(x, float64(s.clients)), append(y, float64(value(s)))
		}
		fitted, err := measure.Fit(x, y)
		if err != nil {
			return nil
		}
		return &fitted
	}
	if last.heap != nil {
		l.heap = line(func(s idleStep) int64 { return s.heap.Bytes })
		l.objects = line(func(s idleStep) int64 { return s.heap.Objects })
	}
	if last.rss > 0 {
		l.rss = line(func(s idleStep) int64 { return s.rss })
	}
	return l
}

// fill writes the lines into a result.
func (l *idleLines) fill(r *result.Result) {
	add := func(name string, line *measure.Line, unit result.Unit) {
		if line == nil {
			return
		}
		m := r.Add(name, line.Slope, unit, result.Less)
		m.Note = fmt.Sprintf("residual %.0f, largest %.0f, R² %.5f, without clients %.0f", line.Residual, line.ResidualMax, line.R2, line.Intercept)
	}
	add("heap bytes per client", l.heap, result.Bytes)
	add("heap objects per client", l.objects, result.Number)
	add("resident bytes per client", l.rss, result.Bytes)
	if l.rssRatio > 0 {
		r.Add("resident / heap per client", l.rssRatio, result.Ratio, result.Less)
	}
}

// gate compares with the budget.
func (l *idleLines) gate(o *Idle) error {
	var errs []error
	over := func(what string, value, limit float64) {
		if limit > 0 && value > limit {
			errs = append(errs, fmt.Errorf("over budget: %s: %.2f, the most is %.2f", what, value, limit))
		}
	}
	if l.heap != nil {
		over("heap bytes per client", l.heap.Slope, o.HeapMax)
		over("heap objects per client", l.objects.Slope, o.ObjectsMax)
	}
	over("resident against heap bytes per client", l.rssRatio, o.RSSRatioMax)
	return errors.Join(errs...)
}

// idleTable lists the steps.
func idleTable(steps []idleStep) result.Table {
	t := result.Table{
		Name: "steps", X: "clients", Y: []string{"resident", "heap"},
		Columns: []result.Column{
			{Name: "clients"}, {Name: "channels"}, {Name: "opened in", Unit: result.Nanoseconds}, {Name: "resident", Unit: result.Bytes},
			{Name: "heap", Unit: result.Bytes}, {Name: "objects"}, {Name: "goroutines"}, {Name: "threads"}, {Name: "CPU cores", Unit: result.Cores},
		},
	}
	for _, s := range steps {
		rss, heap, objects, goroutines := result.Unknown, result.Unknown, result.Unknown, result.Unknown
		if s.rss > 0 {
			rss = result.Cell(s.rss)
		}
		if s.heap != nil {
			heap, objects, goroutines = result.Cell(s.heap.Bytes), result.Cell(s.heap.Objects), result.Cell(s.heap.Goroutines)
		}
		t.Rows = append(t.Rows, result.Row{Cells: []result.Cell{
			result.Cell(s.clients), result.Cell(s.channels), result.Cell(s.took), rss, heap, objects, goroutines, result.Cell(s.threads), result.Cell(s.cpu),
		}})
	}
	return t
}

// group describes the clients first to first+count−1.
func (o *Idle) group(p place, first, count int) swarm.Group {
	g := o.Target.group(p, fmt.Sprintf("clients from %d", first+1), swarm.Subscriber, count)
	g.First, g.Channels, g.PerChannel, g.Subscribed, g.Recoverable = first, o.Channel, o.PerChannel, o.Subscriptions, o.Recoverable
	return g
}

// channels names the channels of a group that are not in seen, and adds them to it.
func channels(g *swarm.Group, seen map[string]struct{}) (names []string) {
	for i := range g.Count {
		for s := range g.Subscribed {
			name := g.Channel(g.First+i, s)
			if _, ok := seen[name]; !ok {
				seen[name] = struct{}{}
				names = append(names, name)
			}
		}
	}
	return names
}
