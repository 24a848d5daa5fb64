package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/measure"
	"stentor/bench/probe"
	"stentor/bench/swarm"
)

// Idle measures what clients cost that are connected, subscribed and quiet.
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
	Settle        time.Duration // before each measurement
	Hold          time.Duration // before the last one, in place of Settle if longer
	PprofURL      string

	// Gates: the run fails above them. 0: no gate.
	HeapMax, ObjectsMax, RSSRatioMax float64
}

// DefaultIdle is ten clients to a channel.
func DefaultIdle() Idle {
	return Idle{Target: DefaultTarget(), Clients: 4000, PerChannel: 10, Channel: "idle-{n}", Subscriptions: 1, PayloadBytes: 100, Settle: 3 * time.Second}
}

const idleLong = `Connect many clients, each with its subscription, answer their pings, and print what they cost the server: resident memory and CPU
(--pid), and heap bytes and objects after a forced collection (--pprof-url), per client.

With --steps the cost per client is the slope of the least-squares line through the steps, printed with its residual: what the server
needs without clients does not count then. Otherwise it is the difference to the server before the clients came.

Resident memory is read before the collection is forced. For a figure that no forced collection has touched, use one step and --hold.`

const idleExample = `  # memory per client with 10 clients to a channel, tokens, over four steps
  stentor bench idle --pid $(pgrep -xo stentor) --pprof-url http://127.0.0.1:8000/debug/pprof --token-hmac-secret SECRET \
    --steps 4000,8000,12000,16000 --per-channel 10

  # each client on a recoverable channel of its own that keeps one publication
  stentor bench idle --pid $(pgrep -xo stentor) --pprof-url http://127.0.0.1:8000/debug/pprof --token-hmac-secret SECRET --api-key KEY \
    --steps 4000,8000,12000,16000 --per-channel 1 --channel 'personal:{user}' --recoverable --publish

  # resident memory 150 s after the last connect
  stentor bench idle --pid $(pgrep -xo stentor) --pprof-url http://127.0.0.1:8000/debug/pprof --clients 16000 --hold 150s`

func idleCommand() *cobra.Command {
	o := DefaultIdle()
	c := scenario("idle", "Memory and CPU of connected, quiet clients", idleLong, idleExample, &o.Target, func(ctx context.Context, s *Streams) error { return o.Run(ctx, s) })
	f := c.Flags()
	f.IntVar(&o.Clients, "clients", o.Clients, "number of clients, unless --steps is given")
	f.IntSliceVar(&o.Steps, "steps", o.Steps, "numbers of clients to measure at, rising")
	f.IntVar(&o.PerChannel, "per-channel", o.PerChannel, "clients per channel; 1: each has its own")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is its number, {user} the client's user, {s} the number of the subscription")
	f.IntVar(&o.Subscriptions, "subscriptions", o.Subscriptions, "subscriptions per client; 0: none")
	f.BoolVar(&o.Recoverable, "recoverable", o.Recoverable, "ask for recoverable, positioned subscriptions")
	f.BoolVar(&o.Publish, "publish", o.Publish, "publish once into each channel through the API")
	f.IntVar(&o.PayloadBytes, "payload", o.PayloadBytes, "bytes of such a publication")
	f.DurationVar(&o.Settle, "settle", o.Settle, "wait before each measurement")
	f.DurationVar(&o.Hold, "hold", o.Hold, "wait after the last connect before the last measurement, if longer than --settle")
	f.StringVar(&o.PprofURL, "pprof-url", o.PprofURL, "profile pages of the server, such as http://127.0.0.1:8000/debug/pprof; empty: no heap figures")
	f.Float64Var(&o.HeapMax, "max-heap", 0, "fail above so many heap bytes per client; 0: no gate")
	f.Float64Var(&o.ObjectsMax, "max-objects", 0, "fail above so many heap objects per client; 0: no gate")
	f.Float64Var(&o.RSSRatioMax, "max-rss-ratio", 0, "fail if resident bytes per client are above so many times the heap bytes per client; 0: no gate")
	return c
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
	case o.Subscriptions < 0:
		return nil, errors.New("--subscriptions must not be below 0")
	case o.Publish && o.PayloadBytes < measure.PayloadBytesMin:
		return nil, fmt.Errorf("--payload must be at least %d", measure.PayloadBytesMin)
	case (o.HeapMax > 0 || o.ObjectsMax > 0 || o.RSSRatioMax > 0) && o.PprofURL == "":
		return nil, errors.New("the gates need --pprof-url")
	case o.RSSRatioMax > 0 && o.Target.PID == 0:
		return nil, errors.New("--max-rss-ratio needs --pid")
	}
	return steps, nil
}

// IdleStep is the server with so many clients. The first step has none.
type IdleStep struct {
	Clients  int           `json:"clients"`
	Channels int           `json:"channels"`
	Took     time.Duration `json:"open_ns"` // to open those that are new in this step
	RSS      int64         `json:"rss_bytes,omitempty"`
	Heap     *probe.Heap   `json:"heap,omitempty"`
	CPU      float64       `json:"cpu_cores"` // while waiting: 1 is one core
	Threads  int           `json:"threads,omitempty"`
}

// IdleReport is what Idle prints. Lines are per client.
type IdleReport struct {
	Steps    []IdleStep     `json:"steps"`
	Heap     *measure.Line  `json:"heap_bytes,omitempty"`
	Objects  *measure.Line  `json:"heap_objects,omitempty"`
	RSS      *measure.Line  `json:"rss_bytes,omitempty"`
	RSSRatio float64        `json:"rss_to_heap_per_client,omitempty"` // last step against the server without clients
	Pings    uint64         `json:"pings"`
	Closes   map[string]int `json:"closes,omitempty"`
	Faults   map[string]int `json:"faults,omitempty"`
}

// fit draws the lines. One step is measured against the server without clients, several against each other.
func (r *IdleReport) fit() {
	steps := r.Steps
	if len(steps) > 2 {
		steps = steps[1:]
	}
	line := func(value func(IdleStep) (float64, bool)) *measure.Line {
		var x, y []float64
		for _, s := range steps {
			v, ok := value(s)
			if !ok {
				return nil
			}
			x, y = append(x, float64(s.Clients)), append(y, v)
		}
		l, err := measure.Fit(x, y)
		if err != nil {
			return nil
		}
		return &l
	}
	r.Heap = line(func(s IdleStep) (float64, bool) {
		if s.Heap == nil {
			return 0, false
		}
		return float64(s.Heap.Bytes), true
	})
	r.Objects = line(func(s IdleStep) (float64, bool) {
		if s.Heap == nil {
			return 0, false
		}
		return float64(s.Heap.Objects), true
	})
	r.RSS = line(func(s IdleStep) (float64, bool) { return float64(s.RSS), s.RSS > 0 })
	first, last := r.Steps[0], r.Steps[len(r.Steps)-1]
	if last.Heap != nil && first.Heap != nil && last.RSS > 0 && last.Heap.Bytes > first.Heap.Bytes {
		r.RSSRatio = float64(last.RSS-first.RSS) / float64(last.Heap.Bytes-first.Heap.Bytes)
	}
}

// gate compares with the budget.
func (r *IdleReport) gate(o *Idle) error {
	var errs []error
	over := func(what string, value, limit float64) {
		if limit > 0 && value > limit {
			errs = append(errs, fmt.Errorf("over budget: %s: %.2f, the most is %.2f", what, value, limit))
		}
	}
	if r.Heap != nil {
		over("heap bytes per client", r.Heap.Slope, o.HeapMax)
		over("heap objects per client", r.Objects.Slope, o.ObjectsMax)
	}
	over("resident against heap bytes per client", r.RSSRatio, o.RSSRatioMax)
	return errors.Join(errs...)
}

func (r *IdleReport) text(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "clients\tchannels\topened in\tRSS MB\theap MB\tobjects\tgoroutines\tthreads\tCPU cores\t")
	for _, s := range r.Steps {
		fmt.Fprintf(t, "%d\t%d\t%v\t%s\t", s.Clients, s.Channels, s.Took.Round(time.Millisecond), megabytes(s.RSS))
		if h := s.Heap; h != nil {
			fmt.Fprintf(t, "%s\t%d\t%d\t", megabytes(h.Bytes), h.Objects, h.Goroutines)
		} else {
			fmt.Fprint(t, "-\t-\t-\t")
		}
		fmt.Fprintf(t, "%d\t%.3f\t\n", s.Threads, s.CPU)
	}
	t.Flush()
	line := func(what string, l *measure.Line) {
		if l != nil {
			fmt.Fprintf(w, "%-22s %9.1f per client   (residual %.0f, largest %.0f, R² %.5f, without clients %.0f)\n", what, l.Slope, l.Residual, l.ResidualMax, l.R2, l.Intercept)
		}
	}
	line("heap bytes", r.Heap)
	line("heap objects", r.Objects)
	line("resident bytes", r.RSS)
	if r.RSSRatio > 0 {
		last := r.Steps[len(r.Steps)-1]
		fmt.Fprintf(w, "resident / heap        %9.2f per client, above the server without clients (%.2f in all)\n", r.RSSRatio, float64(last.RSS)/float64(last.Heap.Bytes))
	}
	fmt.Fprintf(w, "pings answered         %9d\n", r.Pings)
	printCounts(w, "conns that ended", r.Closes)
	printCounts(w, "faults", r.Faults)
}

// group describes the clients first to first+count−1.
func (o *Idle) group(p place, first, count int) swarm.Group {
	g := o.Target.group(p, fmt.Sprintf("idle-%d", first), swarm.Subscriber, count)
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

func megabytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(n)/(1<<20))
}

// printCounts prints a count of texts, the most frequent first; nothing if there are none.
func printCounts(w io.Writer, what string, counts map[string]int) {
	texts := make([]string, 0, len(counts))
	for text := range counts {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
	for _, text := range texts {
		fmt.Fprintf(w, "%s: %d × %s\n", what, counts[text], text)
	}
}
