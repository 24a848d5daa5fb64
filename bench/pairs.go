package bench

import (
	"context"
	"time"

	"stentor/bench/measure"
	"stentor/bench/result"
)

// pairs are rounds of healthy subscribers without and beside those that trouble them.
type pairs struct {
	without, beside []measure.Percentiles
	troubling       []float64 // troublemakers that were connected, on average
	all             [2]*measure.Latency
}

func newPairs() *pairs {
	return &pairs{all: [2]*measure.Latency{measure.NewLatency(), measure.NewLatency()}}
}

func (p *pairs) add(without, beside *measure.Latency, troubling float64) {
	p.without, p.beside = append(p.without, without.Percentiles()), append(p.beside, beside.Percentiles())
	p.troubling = append(p.troubling, troubling)
	p.all[0].Merge(without)
	p.all[1].Merge(beside)
}

// ratioP99 names the figure that gates look at.
const ratioP99 = "p99 beside / without"

// fill writes the rounds into a result. who names the troublemakers.
func (p *pairs) fill(r *result.Result, who string) {
	ns := result.Nanoseconds
	t := result.Table{Name: "rounds: latency of healthy subscribers", Columns: []result.Column{
		{Name: "p50 without", Unit: ns}, {Name: "p99 without", Unit: ns}, {Name: "p50 beside", Unit: ns}, {Name: "p99 beside", Unit: ns},
		{Name: "p99 ratio", Unit: result.Ratio}, {Name: who},
	}}
	var p50, p99 [2][]float64
	for i, w := range p.without {
		b := p.beside[i]
		p50[0], p50[1] = append(p50[0], float64(b.P50)), append(p50[1], float64(w.P50))
		p99[0], p99[1] = append(p99[0], float64(b.P99)), append(p99[1], float64(w.P99))
		t.Rows = append(t.Rows, result.Row{Cells: []result.Cell{
			result.Cell(w.P50), result.Cell(w.P99), result.Cell(b.P50), result.Cell(b.P99), result.Cell(per(float64(b.P99), float64(w.P99))), result.Cell(p.troubling[i]),
		}})
	}
	r.Tables = append(r.Tables, t)
	addRatio(r, "p50 beside / without", p50[0], p50[1])
	addRatio(r, ratioP99, p99[0], p99[1])
	r.AddLatency("delivery without", p.all[0])
	r.AddLatency("delivery beside", p.all[1])
}

// healthy publishes to the healthy subscribers for one phase and reads their latencies.
func (r *fanoutRun) healthy(ctx context.Context, phase time.Duration) (*measure.Latency, error) {
	d, err := r.deliver(ctx, func() error {
		return r.feed.onSchedule(ctx, r.options.PerSecond, bursts(r.options.PerSecond, phase))
	})
	if err != nil {
		return nil, err
	}
	r.judge(d.span, d.stats.Latency.Percentiles().P99)
	return d.stats.Latency, nil
}
