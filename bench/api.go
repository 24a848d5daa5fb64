package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/measure"
	"stentor/bench/publish"
	"stentor/bench/result"
)

// API measures how many publications the server API takes.
type API struct {
	Target         Target
	Ways           []string
	Channel        string
	HistoryChannel string // empty: none
	Rush
}

// Ways of publishing.
const (
	wayOne       = "publish"
	wayBatch     = "batch"
	wayBroadcast = "broadcast"
	wayFresh     = "fresh"
)

// DefaultAPI is eight publishers.
func DefaultAPI() API {
	return API{
		Target: DefaultTarget(), Ways: []string{wayOne, wayBatch, wayBroadcast, wayFresh}, Channel: "api-{n}",
		Rush: Rush{PayloadBytes: 100, Publishers: 8, Batch: 100, Phase: 2 * time.Second, Rounds: 3},
	}
}

const apiLong = `Publish through the HTTP API from several publishers at once, each with one request at a time, into channels without subscribers. The ways
take turns: publish (one publication to a request, conns are kept), batch (--batch publish commands to a request), broadcast (--batch
channels to a request), fresh (publish, with a conn for each request). With --history-channel, each way is also measured on channels that
keep history. Measured are publications per second, latency of the answers, and with --server or --pid the server's CPU per publication.`

const apiExample = `  # all ways, with and without history
  stentor bench api --api-key KEY --pid $(pgrep -xo stentor) --history-channel 'history:{n}'

  # one way with 32 publishers
  stentor bench api --api-key KEY --ways publish --publishers 32 --phase 10s`

func apiScenario() *scenario {
	o := DefaultAPI()
	return o.scenario()
}

func (o *API) scenario() *scenario {
	return &scenario{
		name: "api", short: "publications per second through the HTTP API", long: apiLong, example: apiExample, target: &o.Target, flags: o.flags,
		run:  o.run,
		plan: func() (int, error) { return o.Publishers, o.check() },
	}
}

func (o *API) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.Ways, "ways", o.Ways, "ways of publishing to measure")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is the number of the publisher")
	f.StringVar(&o.HistoryChannel, "history-channel", o.HistoryChannel, "likewise, of channels that keep history; empty: do not measure with history")
	o.Rush.flags(f, "way", "publications in one request of batch and broadcast")
}

func (o *API) check() error {
	for _, way := range o.Ways {
		if !slices.Contains([]string{wayOne, wayBatch, wayBroadcast, wayFresh}, way) {
			return fmt.Errorf("--ways %q is not publish, batch, broadcast or fresh", way)
		}
	}
	if len(o.Ways) == 0 {
		return errors.New("--ways must name at least one")
	}
	return o.Rush.check()
}

// way is one way of publishing and what its rounds came to.
type way struct {
	name, method string
	each         int // publications in a request
	fresh        bool
	bodies       [][]byte // by publisher

	perSecond, cpu []float64 // by round: publications, nanoseconds of the server per publication
	answers        *measure.Latency
}

// ways makes the bodies of all requests beforehand, so that the generator spends nothing on them.
func (o *API) ways() (all []*way, err error) {
	data, err := measure.AppendPayload(nil, measure.Stamp{Number: 1}, o.PayloadBytes)
	if err != nil {
		return nil, err
	}
	for _, channel := range []string{o.Channel, o.HistoryChannel} {
		if channel == "" {
			continue
		}
		for _, kind := range o.Ways {
			w := &way{name: kind, method: kind, each: o.Batch, answers: measure.NewLatency()}
			if kind == wayOne || kind == wayFresh {
				w.method, w.each, w.fresh = "publish", 1, kind == wayFresh
			}
			if channel == o.HistoryChannel {
				w.name += " with history"
			}
			for p := range o.Publishers {
				body, err := w.body(strings.ReplaceAll(channel, "{n}", strconv.Itoa(p)), data)
				if err != nil {
					return nil, err
				}
				w.bodies = append(w.bodies, body)
			}
			all = append(all, w)
		}
	}
	return all, nil
}

func (w *way) body(channel string, data []byte) ([]byte, error) {
	switch w.method {
	case wayBatch:
		return publish.BatchBody(slices.Repeat([]string{channel}, w.each), data)
	case wayBroadcast:
		channels := make([]string, w.each)
		for i := range channels {
			channels[i] = channel + "-" + strconv.Itoa(i)
		}
		return publish.BroadcastBody(channels, data)
	}
	return publish.Body(channel, data)
}

func (o *API) run(ctx context.Context, r *rig) error {
	ways, err := o.ways()
	if err != nil {
		return err
	}
	for n := range o.Rounds {
		for k := range ways {
			w := ways[(k+n)%len(ways)] // the first changes from round to round
			r.phase(o.Phase, "round %d of %d: %s", n+1, o.Rounds, w.name)
			if err := o.measure(ctx, r, w); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	o.fill(r, ways)
	return nil
}

// measure publishes in one way for a phase.
func (o *API) measure(ctx context.Context, r *rig, w *way) error {
	c, err := newCallers(r.node, o.Publishers)
	if err != nil {
		return err
	}
	defer c.close()
	for _, line := range c {
		line.Fresh = w.fresh
	}
	var a answered
	span, err := r.measured(ctx, func() (err error) {
		a, err = c.call(ctx, o.Phase, func(p int, _ int64) (string, []byte, error) { return w.method, w.bodies[p], nil })
		return err
	})
	if err != nil {
		return err
	}
	n := float64(a.requests * w.each)
	w.answers.Merge(a.latency)
	w.perSecond = append(w.perSecond, per(n, span.Took.Seconds()))
	w.cpu = append(w.cpu, per(float64(span.Server), n))
	r.judge(span, 0)
	return nil
}

// fill writes the figures.
func (o *API) fill(r *rig, ways []*way) {
	t := result.Table{Name: "ways of publishing", Columns: []result.Column{
		{Name: "publications", Unit: result.PerSecond}, {Name: "requests", Unit: result.PerSecond}, {Name: "p50 of an answer", Unit: result.Nanoseconds},
		{Name: "p99", Unit: result.Nanoseconds}, {Name: "server CPU each", Unit: result.Nanoseconds},
	}}
	for _, w := range ways {
		rate, p, cpu := measure.Summarize(w.perSecond).Median, w.answers.Percentiles(), result.Unknown
		if r.server != nil {
			cpu = result.Cell(measure.Summarize(w.cpu).Median)
		}
		t.Rows = append(t.Rows, result.Row{Name: w.name, Cells: []result.Cell{
			result.Cell(rate), result.Cell(rate / float64(w.each)), result.Cell(p.P50), result.Cell(p.P99), cpu,
		}})
		r.result.AddSpread(w.name+": publications per second", w.perSecond, result.PerSecond, result.More)
		if r.server != nil {
			r.result.AddSpread(w.name+": server CPU per publication", w.cpu, result.Nanoseconds, result.Less)
		}
		r.result.AddLatency(w.name, w.answers)
	}
	r.result.Tables = append(r.result.Tables, t)
}
