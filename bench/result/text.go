package result

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// Text prints r as tables for people.
func (r *Result) Text(w io.Writer) {
	if r.Title != "" {
		over := ""
		if r.Over != "" {
			over = " (" + r.Over + ")"
		}
		fmt.Fprintf(w, "%s: %s%s, in %v\n", r.Scenario, r.Title, over, r.Took.Round(time.Millisecond))
	}
	for i := range r.Tables {
		r.Tables[i].text(w)
	}
	r.metricsText(w)
	r.curvesText(w)
	for _, c := range r.Counts {
		c.text(w)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	for _, n := range r.Client {
		fmt.Fprintf(w, "the client was the limit: %s\n", n)
	}
}

// newTable aligns figures to the right.
func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func (t *Table) text(w io.Writer) {
	fmt.Fprintf(w, "%s\n", t.Name)
	tw := newTable(w)
	named := slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Name != "" })
	if named {
		fmt.Fprint(tw, "\t")
	}
	for _, c := range t.Columns {
		fmt.Fprintf(tw, "%s\t", c.Name)
	}
	fmt.Fprintln(tw)
	for _, row := range t.Rows {
		if named {
			fmt.Fprintf(tw, "%s\t", row.Name)
		}
		for i, cell := range row.Cells {
			fmt.Fprintf(tw, "%s\t", Format(float64(cell), t.Columns[i].Unit))
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

func (r *Result) metricsText(w io.Writer) {
	widest := 0
	for _, m := range r.Metrics {
		widest = max(widest, len(m.Name))
	}
	for _, m := range r.Metrics {
		fmt.Fprintf(w, "%-*s  %s", widest, m.Name, Format(m.Value, m.Unit))
		if s := m.Spread; s != nil && s.N > 1 {
			fmt.Fprintf(w, "  (median of %d, interquartile range %s: %s to %s)", s.N, Format(s.IQR(), m.Unit), Format(s.Q1, m.Unit), Format(s.Q3, m.Unit))
		}
		if m.Note != "" {
			fmt.Fprintf(w, "  %s", m.Note)
		}
		fmt.Fprintln(w)
	}
}

func (r *Result) curvesText(w io.Writer) {
	if len(r.Curves) == 0 {
		return
	}
	tw := newTable(w)
	fmt.Fprintln(tw, "latency\tp50\tp90\tp99\tp99.9\tmax\tcount\t")
	for _, c := range r.Curves {
		p := c.Percentiles
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", c.Name, short(p.P50), short(p.P90), short(p.P99), short(p.P999), short(p.Max), p.Count)
	}
	tw.Flush()
}

// text prints the most frequent first.
func (c *Count) text(w io.Writer) {
	texts := slices.SortedFunc(maps.Keys(c.Of), func(a, b string) int {
		return cmp.Or(c.Of[b]-c.Of[a], cmp.Compare(a, b))
	})
	for _, text := range texts {
		fmt.Fprintf(w, "%s: %d × %s\n", c.Name, c.Of[text], text)
	}
}

// Format writes a figure with its unit, with about three digits that say something; "-" for one that is unknown.
func Format(v float64, u Unit) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case v == 0:
		return "0"
	case u == Nanoseconds && math.Abs(v) < 1000:
		return digits(v) + "ns"
	case u == Nanoseconds:
		return short(time.Duration(v))
	case u == Bytes:
		return bytesText(v)
	case u == Ratio:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case u == PerSecond:
		return digits(v) + "/s"
	case u == Cores:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return digits(v)
}

// digits leaves out decimals that say nothing.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) || a >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// short rounds d to three or four digits.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for d.Abs() >= 10000*unit && unit < time.Second {
		unit *= 10
	}
	return d.Round(unit).String()
}

func bytesText(v float64) string {
	const kibi, mebi, gibi = 1 << 10, 1 << 20, 1 << 30
	switch a := math.Abs(v); {
	case a >= 10*gibi:
		return digits(v/gibi) + " GiB"
	case a >= 10*mebi:
		return strconv.FormatFloat(v/mebi, 'f', 1, 64) + " MiB"
	case a >= 10*kibi:
		return strconv.FormatFloat(v/kibi, 'f', 1, 64) + " KiB"
	}
	return digits(v) + " B"
}
