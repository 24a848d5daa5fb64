package bench

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"stentor/bench/measure"
)

// BareReport is what Fanout prints of a comparison with the bare loop.
type BareReport struct {
	Subscribers int           `json:"subscribers"`
	FrameBytes  int           `json:"ws_frame_bytes"` // of one publication
	Threads     int           `json:"bare_threads"`
	Alone       BareSide      `json:"alone"`
	Burst       BareSide      `json:"burst"`
	BurstSize   int           `json:"burst_size"`
	Took        time.Duration `json:"took_ns"`
}

// BareSide is one part of the comparison, round by round.
type BareSide struct {
	Server   []float64      `json:"server_ns_per_delivery"`
	Bare     []float64      `json:"bare_ns_per_delivery"`
	Ratios   []float64      `json:"ratios"`
	Ratio    measure.Spread `json:"ratio"`
	PerFrame float64        `json:"publications_per_ws_frame"` // as the server joined them
	Waits    int            `json:"bare_waits"`                // writes of the bare loop that found a socket full
}

func (s *BareSide) finish() {
	s.Ratios = measure.Ratios(s.Server, s.Bare)
	s.Ratio = measure.Summarize(s.Ratios)
}

func (r *BareReport) text(w io.Writer) {
	fmt.Fprintf(w, "CPU per delivery, server against a loop of write(2): %d subscribers, ws frames of %d bytes, %d bare thread(s), %v\n",
		r.Subscribers, r.FrameBytes, r.Threads, r.Took.Round(time.Second))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "round\tserver ns\tbare ns\tratio\tburst of %d: server ns\tbare ns\tratio\t\n", r.BurstSize)
	for i := range r.Alone.Ratios {
		fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.3f\t%.0f\t%.0f\t%.3f\t\n", i+1, r.Alone.Server[i], r.Alone.Bare[i], r.Alone.Ratios[i],
			r.Burst.Server[i], r.Burst.Bare[i], r.Burst.Ratios[i])
	}
	t.Flush()
	side := func(what string, s BareSide) {
		fmt.Fprintf(w, "%-14s median of the paired ratios %.3f, interquartile range %.3f (%.3f to %.3f), %d rounds; %.2f publications per ws frame\n",
			what, s.Ratio.Median, s.Ratio.IQR(), s.Ratio.Q1, s.Ratio.Q3, s.Ratio.N, s.PerFrame)
		if s.Waits > 0 {
			fmt.Fprintf(w, "%-14s the bare loop found a socket full %d times: the receivers did not keep up\n", "", s.Waits)
		}
	}
	side("alone", r.Alone)
	side(fmt.Sprintf("burst of %d", r.BurstSize), r.Burst)
}

// gate compares with the budget.
func (r *BareReport) gate(o *Fanout) error {
	var errs []error
	over := func(what string, ratio, limit float64) {
		if limit > 0 && ratio > limit {
			errs = append(errs, fmt.Errorf("over budget: %s: median ratio %.3f, the most is %.2f", what, ratio, limit))
		}
	}
	over("CPU per delivery against the bare loop", r.Alone.Ratio.Median, o.RatioMax)
	over("CPU per delivery in bursts against the bare loop", r.Burst.Ratio.Median, o.BurstMax)
	return errors.Join(errs...)
}
