package result

import (
	"encoding/json"
	"math"
	"time"

	"stentor/bench/measure"
)

// Result is what one run of a scenario found.
type Result struct {
	Scenario string        `json:"scenario"`
	Title    string        `json:"title"`          // what was measured, in one sentence
	Command  string        `json:"command"`        // as it was given, secrets left out
	Target   string        `json:"target"`         // address of the server
	Over     string        `json:"over,omitempty"` // transport, form and TLS, such as "sse, TLS 1.3"
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took_ns"`
	Machine  Machine       `json:"machine"`

	Metrics []Metric `json:"metrics,omitempty"`
	Curves  []Curve  `json:"curves,omitempty"`
	Tables  []Table  `json:"tables,omitempty"`
	Series  []Sample `json:"series,omitempty"`
	Counts  []Count  `json:"counts,omitempty"`

	Notes  []string `json:"notes,omitempty"`        // what a reader must know to read the figures
	Client []string `json:"client_limit,omitempty"` // signs that the generator, not the server, was the limit
	Error  string   `json:"error,omitempty"`        // why the run failed
}

// Machine is where the generator ran, and the server too if it is a process there.
type Machine struct {
	OS     string `json:"os"`
	Kernel string `json:"kernel,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes,omitempty"`
	Files  int    `json:"files_max,omitempty"` // descriptors that one process may open
}

// Unit is what a figure counts.
type Unit string

const (
	Nanoseconds Unit = "ns"
	Bytes       Unit = "B"
	PerSecond   Unit = "/s"
	Cores       Unit = "cores" // seconds of CPU time per second
	Ratio       Unit = "ratio"
	Number      Unit = ""
)

// Better says which direction of a figure is welcome.
type Better string

const (
	Less    Better = "less"
	More    Better = "more"
	Neither Better = ""
)

// Metric is one figure of a run.
type Metric struct {
	Name   string          `json:"name"`
	Value  float64         `json:"value"`
	Unit   Unit            `json:"unit,omitempty"`
	Better Better          `json:"better,omitempty"`
	Spread *measure.Spread `json:"spread,omitempty"` // of the rounds, if Value is their median
	Note   string          `json:"note,omitempty"`
}

// Curve is a distribution of latencies.
type Curve struct {
	Name        string              `json:"name"`
	Percentiles measure.Percentiles `json:"percentiles"`
	Points      []measure.Point     `json:"points"` // rising
}

// Table is a series of like measurements: steps, rounds, ways of doing a thing.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"rows"`
	// X and Y name columns of a chart: Y over X. Empty: the table is not drawn.
	X string   `json:"x,omitempty"`
	Y []string `json:"y,omitempty"`
}

// Column names the figures below it.
type Column struct {
	Name string `json:"name"`
	Unit Unit   `json:"unit,omitempty"`
}

// Row is one measurement: as many cells as the table has columns, after an optional name.
type Row struct {
	Name  string `json:"name,omitempty"`
	Cells []Cell `json:"cells"`
}

// Cell is a figure that may be unknown: NaN here, null in JSON.
type Cell float64

// Unknown is a cell without a figure.
var Unknown = Cell(math.NaN())

// Known is false for a cell without a figure.
func (c Cell) Known() bool { return !math.IsNaN(float64(c)) && !math.IsInf(float64(c), 0) }

// MarshalJSON writes null for what is unknown.
func (c Cell) MarshalJSON() ([]byte, error) {
	if !c.Known() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(c))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Cell) UnmarshalJSON(b []byte) error {
	*c = Unknown
	if string(b) == "null" {
		return nil
	}
	return json.Unmarshal(b, (*float64)(c))
}

// Sample is what the processes used at one moment of the run. Shares of CPU are those since the sample before.
type Sample struct {
	At        float64 `json:"at"`                  // seconds since the run began
	RSS       int64   `json:"rss_bytes,omitempty"` // resident bytes of the server; 0: unknown
	Server    float64 `json:"server_cores,omitempty"`
	Generator float64 `json:"generator_cores"` // of all its processes
	Machine   float64 `json:"machine_cores"`   // of all processes, the kernel's work included

	Others map[string]Use `json:"others,omitempty"` // what was measured beside the server, by name
}

// Use is what one process used at the moment of a sample.
type Use struct {
	RSS   int64   `json:"rss_bytes"`
	Cores float64 `json:"cores"`
}

// Count is how often each of several things happened: how conns ended, what the API answered.
type Count struct {
	Name string         `json:"name"`
	Of   map[string]int `json:"of"`
}

// Add appends a metric.
func (r *Result) Add(name string, value float64, unit Unit, better Better) *Metric {
	r.Metrics = append(r.Metrics, Metric{Name: name, Value: value, Unit: unit, Better: better})
	return &r.Metrics[len(r.Metrics)-1]
}

// AddSpread appends the median of several rounds.
func (r *Result) AddSpread(name string, rounds []float64, unit Unit, better Better) *Metric {
	s := measure.Summarize(rounds)
	m := r.Add(name, s.Median, unit, better)
	m.Spread = &s
	return m
}

// AddLatency appends the curve of l, unless it is empty.
func (r *Result) AddLatency(name string, l *measure.Latency) {
	if l != nil && l.Count() > 0 {
		r.Curves = append(r.Curves, Curve{Name: name, Percentiles: l.Percentiles(), Points: l.Points()})
	}
}

// AddCount appends counts, unless there are none.
func (r *Result) AddCount(name string, of map[string]int) {
	if len(of) > 0 {
		r.Counts = append(r.Counts, Count{Name: name, Of: of})
	}
}

// Metric finds a metric by its name; ok is false if there is none.
func (r *Result) Metric(name string) (m Metric, ok bool) {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}

// Curve finds a curve by its name; ok is false if there is none.
func (r *Result) Curve(name string) (c Curve, ok bool) {
	for _, c := range r.Curves {
		if c.Name == name {
			return c, true
		}
	}
	return Curve{}, false
}

// Table finds a table by its name; ok is false if there is none.
func (r *Result) Table(name string) (t Table, ok bool) {
	for _, t := range r.Tables {
		if t.Name == name {
			return t, true
		}
	}
	return Table{}, false
}

// Count finds counts by their name; nil if nothing was counted.
func (r *Result) Count(name string) map[string]int {
	for _, c := range r.Counts {
		if c.Name == name {
			return c.Of
		}
	}
	return nil
}
