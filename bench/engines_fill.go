package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// onTop names the figure that the gate looks at.
const onTop = "node CPU on top of " + memoryName

// finish looks for losses and writes the figures.
func (r *enginesRun) finish(ctx context.Context) error {
	var seen swarm.Stats
	var tally swarm.Tally
	var errs []error
	for _, sides := range r.kinds {
		for _, s := range sides {
			if err := s.lookBack(ctx, r); err != nil {
				return err
			}
			seen.Merge(s.seen)
			tally.Merge(s.tally)
			if err := loss(s.tally, s.seen.Late); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			}
		}
	}
	r.fill()
	addTally(&r.result, tally, seen.Late)
	r.counts(seen)
	return errors.Join(append(errs, r.overBudget())...)
}

// lookBack asks what the subscribers of a side have seen and what they lack.
func (s *engineSide) lookBack(ctx context.Context, r *enginesRun) (err error) {
	if s.seen, err = r.fleet.Stats(ctx, false, s.group); err != nil {
		return err
	}
	s.tally, err = r.fleet.Tally(ctx, s.group, s.flood.sent()...)
	return err
}

// fill writes the figures.
func (r *enginesRun) fill() {
	res := &r.result
	nodes := enginesTable()
	for _, sides := range r.kinds {
		for _, s := range sides {
			nodes.Rows = append(nodes.Rows, s.row())
		}
	}
	res.Tables = append(res.Tables, nodes)
	for kind, sides := range r.kinds {
		res.Tables = append(res.Tables, cpuByRound(sides, sideName("CPU per publication by round", kind)))
		for _, s := range sides {
			s.fill(res, sides[0])
			r.judgeSide(s)
		}
	}
}

func enginesTable() result.Table {
	const ns = result.Nanoseconds
	return result.Table{Name: "nodes", Columns: []result.Column{
		{Name: "publications", Unit: result.PerSecond}, {Name: "node CPU each", Unit: ns}, {Name: "broker CPU each", Unit: ns},
		{Name: "p50 of an answer", Unit: ns}, {Name: "p99", Unit: ns}, {Name: "p50 of a delivery", Unit: ns}, {Name: "p99", Unit: ns},
		{Name: "missing"}, {Name: "twice"}, {Name: "out of order"},
	}}
}

func (s *engineSide) row() result.Row {
	rate, cpu, broker := result.Unknown, result.Unknown, result.Unknown
	if len(s.cpu) > 0 {
		rate, cpu = result.Cell(measure.Summarize(s.perSecond).Median), result.Cell(measure.Summarize(s.cpu).Median)
		if len(s.brokers) > 0 {
			broker = result.Cell(measure.Summarize(s.broker).Median)
		}
	}
	a, d := s.answers.Percentiles(), s.deliveries.Percentiles()
	return result.Row{Name: s.name, Cells: []result.Cell{
		rate, cpu, broker, result.Cell(a.P50), result.Cell(a.P99), result.Cell(d.P50), result.Cell(d.P99),
		result.Cell(s.tally.Missing + s.tally.GoneMissing), result.Cell(s.tally.Duplicate), result.Cell(s.seen.Late),
	}}
}

// cpuByRound lists what was used round by round. sides are those of one kind of channels.
func cpuByRound(sides []*engineSide, name string) result.Table {
	memory := sides[0]
	var t byRound
	for _, s := range sides {
		t.add(s.name, result.Nanoseconds, s.cpu)
		if s != memory {
			t.add("on top", result.Nanoseconds, pairwise(s.cpu, memory.cpu, minus))
		}
		if len(s.brokers) > 0 {
			t.add("broker", result.Nanoseconds, s.broker)
		}
	}
	return t.named(name)
}

func minus(a, b float64) float64 { return a - b }

// fill writes the figures of one side, and how it compares with memory.
func (s *engineSide) fill(r *result.Result, memory *engineSide) {
	if len(s.cpu) == 0 {
		return
	}
	r.AddSpread(s.name+": publications per second", s.perSecond, result.PerSecond, result.More)
	r.AddSpread(s.name+": node CPU per publication", s.cpu, result.Nanoseconds, result.Less)
	if len(s.brokers) > 0 {
		r.AddSpread(s.name+": broker CPU per publication", s.broker, result.Nanoseconds, result.Less)
	}
	if s != memory {
		r.AddSpread(s.name+": "+onTop, pairwise(s.cpu, memory.cpu, minus), result.Nanoseconds, result.Less)
		addRatio(r, s.name+": node CPU / "+memoryName, s.cpu, memory.cpu)
	}
	r.AddLatency(s.name+": answer", s.answers)
	r.AddLatency(s.name+": delivery", s.deliveries)
}

// judgeSide notes what shows that the client was the limit of a side.
func (r *enginesRun) judgeSide(s *engineSide) {
	if s.span.Took < spanMin {
		return
	}
	for kind, text := range signs(s.span, s.deliveries.Percentiles().P99, r.result.Machine.Cores) {
		if text != "" {
			r.sign(kind, s.name+": "+text)
		}
	}
}

// overBudget is an error if an engine costs more on top of memory than it may.
func (r *enginesRun) overBudget() error {
	most := r.options.OnTopMax
	var errs []error
	for _, sides := range r.kinds {
		for _, s := range sides[1:] {
			m, ok := r.result.Metric(s.name + ": " + onTop)
			if ok && most > 0 && m.Value > float64(most) {
				errs = append(errs, fmt.Errorf("over budget: %s: median %v, the most is %v", m.Name, time.Duration(m.Value), most))
			}
		}
	}
	return errors.Join(errs...)
}
