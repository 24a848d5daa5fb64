package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"stentor/bench/cost"
)

// Report is what is known of a machine.
type Report struct {
	Goal    int     `json:"goal"`
	Role    string  `json:"role"` // server or client
	OS      string  `json:"os"`
	Verdict Verdict `json:"verdict"` // ok, wall, or unknown: nothing stands below the goal, but something that could was not read
	Walls   []Mark  `json:"walls"`   // where connections end, the lowest first, also those above the goal
	Checks  []Check `json:"checks"`
}

// Mark is where a wall is.
type Mark struct {
	Name        string `json:"name"`
	Connections int64  `json:"connections"`
}

// conclude draws the verdict from the checks.
func (r *Report) conclude() {
	r.Verdict = OK
	r.Walls = []Mark{}
	for _, c := range r.Checks {
		if c.Hard && c.WallAt != nil {
			r.Walls = append(r.Walls, Mark{c.Name, *c.WallAt})
		}
		if c.Verdict == Unknown && c.needed && r.Verdict == OK || r.OS != "linux" && r.Verdict == OK {
			r.Verdict = Unknown
		}
		if c.Verdict == Wall {
			r.Verdict = Wall
		}
	}
	slices.SortStableFunc(r.Walls, func(a, b Mark) int { return int(a.Connections - b.Connections) })
}

// wallsNamed is how many walls the text names.
const wallsNamed = 3

func (r *Report) text(w io.Writer) {
	what := "A server of"
	if r.Role == "client" {
		what = "A load generator or a proxy with"
	}
	fmt.Fprintf(w, "%s %s connections on this machine\n\n", what, cost.Count(r.Goal))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SETTING\tVALUE\tVERDICT\tENOUGH FOR")
	for _, c := range r.Checks {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Name, c.Value, c.Verdict, c.enough())
	}
	t.Flush()
	fmt.Fprintf(w, "\n%s\n", r.conclusion())
	for _, c := range r.Checks {
		if c.Verdict == Wall || c.Verdict == Low {
			c.remedy(w)
		}
	}
	r.unknowns(w)
}

// unknowns lists what could not be read, with each reason once.
func (r *Report) unknowns(w io.Writer) {
	var reasons []string
	names := map[string][]string{}
	for _, c := range r.Checks {
		if c.Verdict != Unknown {
			continue
		}
		if names[c.Why] == nil {
			reasons = append(reasons, c.Why)
		}
		names[c.Why] = append(names[c.Why], c.Name)
	}
	for _, why := range reasons {
		fmt.Fprintf(w, "\n%s (unknown): %s\n", strings.Join(names[why], ", "), why)
	}
}

// enough is the number of connections in the table.
func (c *Check) enough() string {
	if c.WallAt == nil {
		return "-"
	}
	return count(*c.WallAt)
}

// conclusion says which walls come first.
func (r *Report) conclusion() string {
	var b strings.Builder
	if r.OS != "linux" {
		fmt.Fprintf(&b, "This is %s: beyond the limit of open files doctor knows Linux only. Run it where the server will run.\n", r.OS)
	}
	switch r.Verdict {
	case OK:
		b.WriteString("No wall stands below the goal.")
	case Unknown:
		b.WriteString("No wall below the goal was seen, but not all could be read.")
	case Wall:
		fmt.Fprintf(&b, "There is a wall below the goal of %s.", cost.Count(r.Goal))
	}
	for i, m := range r.Walls[:min(len(r.Walls), wallsNamed)] {
		sep := ", then "
		if i == 0 {
			sep = " First comes "
		}
		fmt.Fprintf(&b, "%s%s at %s", sep, m.Name, count(m.Connections))
	}
	if len(r.Walls) > 0 {
		b.WriteByte('.')
	}
	return b.String()
}

// remedy says why a setting matters and what moves it.
func (c *Check) remedy(w io.Writer) {
	fmt.Fprintf(w, "\n%s (%s): %s\n", c.Name, c.Verdict, c.Why)
	for _, f := range c.Fixes {
		if f.Run != "" {
			fmt.Fprintf(w, "    now   %s\n", f.Run)
		}
		if f.Keep != "" {
			fmt.Fprintf(w, "    keep  %s\n", f.Keep)
		}
	}
}
