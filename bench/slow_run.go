package bench

import (
	"context"
	"errors"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/probe"
	"stentor/bench/result"
)

// How the server is asked for those it has closed, and how long a client that reads again may take to see its close frame: the
// server keeps a conn for five seconds to get the frame out.
const (
	askMetricsEvery = 200 * time.Millisecond
	readAgainMax    = 10 * time.Second
	stillOpenMax    = time.Second // for those that the server has not even closed

	slowLabel = `code="3008"`
)

// slowRun is one run of Slow.
type slowRun struct {
	*fanoutRun
	options *Slow
	stalled *fleet.Fleet
	metrics *probe.Metrics // nil: not to be asked
	pairs   *pairs
	stalls  stalls
	most    [2]int64 // resident bytes without and beside
}

func (o *Slow) run(ctx context.Context, rig *rig) error {
	r := &slowRun{options: o, pairs: newPairs(), stalls: stalls{closes: map[string]int{}}}
	var err error
	if r.fanoutRun, err = o.Fanout.subscribe(ctx, rig); err != nil {
		return err
	}
	if r.stalled, err = rig.fleet(o.Stalled, 0); err != nil {
		return err
	}
	r.openMetrics(ctx)
	before := r.resident()
	for n := range o.Rounds {
		rig.phase(2*o.Phase, "round %d of %d", n+1, o.Rounds)
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	r.pairs.fill(&r.result, "stalled")
	r.stalls.fill(&r.result)
	if r.server != nil {
		r.result.Add("most resident without", float64(r.most[0]), result.Bytes, result.Less)
		r.result.Add("most resident beside", float64(r.most[1]), result.Bytes, result.Less)
	}
	if err := r.rest(ctx, before); err != nil {
		return err
	}
	return r.judgeAll(ctx)
}

// judgeAll looks at losses, closes and budgets.
func (r *slowRun) judgeAll(ctx context.Context) error {
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return err
	}
	r.counts(st)
	return errors.Join(
		r.tally(ctx, false), r.stalls.check(),
		overBudget(&r.result, ratioP99, r.options.RatioMax), overBudget(&r.result, restRatio, r.options.RestMax),
	)
}

// restRatio names the figure that the gate on memory looks at.
const restRatio = "resident after the rest / before"

// rest waits and looks at memory again.
func (r *slowRun) rest(ctx context.Context, before int64) error {
	if r.options.Rest == 0 {
		return nil
	}
	r.phase(r.options.Rest, "resting for %v", r.options.Rest)
	if err := pause(ctx, r.options.Rest); err != nil {
		return err
	}
	after := r.resident()
	r.result.Add("resident before", float64(before), result.Bytes, result.Less)
	r.result.Add("resident after the rest", float64(after), result.Bytes, result.Less)
	r.result.Add(restRatio, per(float64(after), float64(before)), result.Ratio, result.Less)
	return nil
}

// openMetrics finds out whether the server tells whom it has closed.
func (r *slowRun) openMetrics(ctx context.Context) {
	if r.options.MetricsURL == "" {
		return
	}
	r.metrics = probe.NewMetrics(r.page(r.options.MetricsURL), r.place.trust)
	if _, err := r.closed3008(ctx); err != nil {
		r.metrics = nil
		r.result.Notes = append(r.result.Notes, "the server's count of 3008 is not known ("+err.Error()+"): stalled clients read again at the end of a phase")
		return
	}
	r.stalls.asked = true
}

// round measures one pair.
func (r *slowRun) round(ctx context.Context) error {
	start := time.Now()
	without, err := r.healthy(ctx, r.options.Phase)
	if err != nil {
		return err
	}
	r.noteMost(0, start)
	g := r.options.stalledGroup(r.place)
	if _, err := r.stalled.Open(ctx, g); err != nil {
		return err
	}
	start = time.Now()
	beside, err := r.beside(ctx, g.Name)
	if err != nil {
		return err
	}
	r.noteMost(1, start)
	r.pairs.add(without, beside, float64(g.Count))
	r.stalls.clients += g.Count
	return r.stalled.Shut(ctx, g.Name)
}

// noteMost keeps the server's most resident memory since a moment.
func (r *slowRun) noteMost(phase int, since time.Time) {
	for _, s := range r.watch.since(since) {
		r.most[phase] = max(r.most[phase], s.RSS)
	}
}

// beside publishes while clients do not read, and lets them read again.
func (r *slowRun) beside(ctx context.Context, group string) (*measure.Latency, error) {
	first, err := r.closed3008(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.stalled.Stall(ctx, group, true); err != nil {
		return nil, err
	}
	over, end := context.WithCancel(ctx)
	defer end()
	awake := make(chan error, 1)
	go func() { awake <- r.wake(ctx, over, group, first) }()
	beside, err := r.healthy(ctx, r.options.Phase)
	end()
	if err := errors.Join(err, <-awake); err != nil {
		return nil, err
	}
	last, err := r.closed3008(ctx)
	r.stalls.counted += last - first
	return beside, err
}

// Metrics in which servers of the protocol count closes by code. A server may count a slow client in one of them only: by what
// the session ordered, or by what its transport did.
var closeMetrics = []string{"centrifugo_client_num_server_disconnects", "centrifugo_transport_outgoing_close_count"}

// closed3008 is the server's count of slow clients; 0 if it is unknown.
func (r *slowRun) closed3008(ctx context.Context) (most float64, err error) {
	if r.metrics == nil {
		return 0, nil
	}
	for _, name := range closeMetrics {
		n, err := r.metrics.Sum(ctx, name, slowLabel)
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, nil
}

// wake lets the stalled clients read again once the server has closed all of them, or when the phase is over, and waits until their
// conns have ended.
func (r *slowRun) wake(ctx, over context.Context, group string, first float64) error {
	patience := readAgainMax
	for {
		n, err := r.closed3008(ctx)
		if err != nil {
			return err
		}
		if n-first >= float64(r.options.Stalled) {
			break
		}
		if pause(over, askMetricsEvery) != nil {
			if r.metrics != nil {
				patience = stillOpenMax
			}
			break
		}
	}
	if err := r.stalled.Stall(ctx, group, false); err != nil {
		return err
	}
	give := time.Now().Add(patience)
	for {
		st, err := r.stalled.Stats(ctx, false, group)
		if err != nil {
			return err
		}
		if st.Live == 0 || time.Now().After(give) {
			for text, n := range st.Closes {
				r.stalls.closes[text] += n
			}
			return nil
		}
		if err := pause(ctx, askMetricsEvery); err != nil {
			return err
		}
	}
}
