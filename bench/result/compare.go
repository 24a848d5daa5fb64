package result

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"stentor/bench/measure"
)

// Comparison is the figures of two series of results beside each other.
type Comparison struct {
	Scenarios []ScenarioComparison `json:"scenarios"`
}

// ScenarioComparison is one scenario that both series hold. The n-th result of one is paired with the n-th of the other.
type ScenarioComparison struct {
	Scenario string             `json:"scenario"`
	Pairs    int                `json:"pairs"`
	LeftOver int                `json:"left_over,omitempty"` // results without a partner
	Commands []string           `json:"commands"`            // all different ones
	OverA    []string           `json:"over_a,omitempty"`    // what the messages travelled in, all different ones
	OverB    []string           `json:"over_b,omitempty"`
	Metrics  []MetricComparison `json:"metrics"`
}

// MetricComparison is one figure on both sides.
type MetricComparison struct {
	Name   string         `json:"name"`
	Unit   Unit           `json:"unit,omitempty"`
	Better Better         `json:"better,omitempty"`
	A      float64        `json:"a"` // median
	B      float64        `json:"b"`
	Ratio  measure.Spread `json:"b_to_a"` // of the paired ratios; N is 0 if none has a divisor
}

// Compare pairs the results of a and b scenario by scenario. Results of runs that failed are left out.
func Compare(a, b []Result) (Comparison, error) {
	var c Comparison
	as, bs := byScenario(a), byScenario(b)
	for _, name := range scenarios(a) {
		if len(bs[name]) > 0 {
			c.Scenarios = append(c.Scenarios, compareScenario(name, as[name], bs[name]))
		}
	}
	if len(c.Scenarios) == 0 {
		return c, errors.New("the two have no scenario in common that ran without an error")
	}
	return c, nil
}

func byScenario(all []Result) map[string][]Result {
	m := map[string][]Result{}
	for _, r := range all {
		if r.Error == "" {
			m[r.Scenario] = append(m[r.Scenario], r)
		}
	}
	return m
}

// scenarios names those in all that ran without an error, in order.
func scenarios(all []Result) (names []string) {
	for _, r := range all {
		if r.Error == "" && !slices.Contains(names, r.Scenario) {
			names = append(names, r.Scenario)
		}
	}
	return names
}

func compareScenario(name string, a, b []Result) ScenarioComparison {
	pairs := min(len(a), len(b))
	c := ScenarioComparison{Scenario: name, Pairs: pairs, LeftOver: len(a) + len(b) - 2*pairs}
	a, b = a[:pairs], b[:pairs]
	for _, r := range slices.Concat(a, b) {
		if !slices.Contains(c.Commands, r.Command) {
			c.Commands = append(c.Commands, r.Command)
		}
	}
	c.OverA, c.OverB = over(a), over(b)
	for _, first := range a[0].figures() {
		var left, right []float64
		for i := range pairs {
			x, okX := a[i].figure(first.Name)
			y, okY := b[i].figure(first.Name)
			if okX && okY {
				left, right = append(left, x), append(right, y)
			}
		}
		if len(left) == 0 {
			continue
		}
		c.Metrics = append(c.Metrics, MetricComparison{
			Name: first.Name, Unit: first.Unit, Better: first.Better,
			A: measure.Summarize(left).Median, B: measure.Summarize(right).Median,
			Ratio: measure.Summarize(measure.Ratios(right, left)),
		})
	}
	return c
}

// over is what the messages of the results travelled in, each once.
func over(all []Result) (names []string) {
	for _, r := range all {
		if r.Over != "" && !slices.Contains(names, r.Over) {
			names = append(names, r.Over)
		}
	}
	return names
}

// figures are the metrics and the percentiles of the curves.
func (r *Result) figures() []Metric {
	all := slices.Clone(r.Metrics)
	for _, c := range r.Curves {
		for _, p := range []struct {
			name  string
			value float64
		}{{"p50", float64(c.Percentiles.P50)}, {"p99", float64(c.Percentiles.P99)}, {"max", float64(c.Percentiles.Max)}} {
			all = append(all, Metric{Name: c.Name + " " + p.name, Value: p.value, Unit: Nanoseconds, Better: Less})
		}
	}
	return all
}

func (r *Result) figure(name string) (float64, bool) {
	for _, m := range r.figures() {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}

// Text prints c as tables for people. a and b name the two sides.
func (c *Comparison) Text(w io.Writer, a, b string) {
	fmt.Fprintf(w, "A: %s\nB: %s\n", a, b)
	for _, s := range c.Scenarios {
		fmt.Fprintf(w, "\n%s, %d pairs", s.Scenario, s.Pairs)
		if s.LeftOver > 0 {
			fmt.Fprintf(w, " (%d results without a partner are left out)", s.LeftOver)
		}
		fmt.Fprintln(w)
		if len(s.OverA) > 0 && len(s.OverB) > 0 && !slices.Equal(s.OverA, s.OverB) { // older results do not tell
			fmt.Fprintf(w, "  A over %s; B over %s\n", strings.Join(s.OverA, " and "), strings.Join(s.OverB, " and "))
		}
		tw := newTable(w)
		fmt.Fprintln(tw, "\tA\tB\tB / A\tquartiles\t\t")
		for _, m := range s.Metrics {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t\n", m.Name, Format(m.A, m.Unit), Format(m.B, m.Unit), m.ratioText(s.Pairs))
		}
		tw.Flush()
		if len(s.Commands) > 1 {
			for _, command := range s.Commands {
				fmt.Fprintf(w, "  %s\n", command)
			}
		}
	}
}

// ratioText is the ratio, its quartiles if there are several pairs, and which side is better where that is beyond the quartiles.
func (m *MetricComparison) ratioText(pairs int) string {
	if m.Ratio.N == 0 {
		return "-\t\t"
	}
	quartiles, verdict := "", ""
	if pairs > 1 {
		quartiles = fmt.Sprintf("%.3f to %.3f", m.Ratio.Q1, m.Ratio.Q3)
	}
	low, high := m.Ratio.Q1 > 1, m.Ratio.Q3 < 1
	switch {
	case m.Better == Less && high, m.Better == More && low:
		verdict = "B is better"
	case m.Better == Less && low, m.Better == More && high:
		verdict = "A is better"
	}
	return fmt.Sprintf("%.3f\t%s\t%s", m.Ratio.Median, quartiles, verdict)
}
