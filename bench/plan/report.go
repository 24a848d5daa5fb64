package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"stentor/bench/cost"
)

// shippedFrom is what cost.Find says where nothing was measured.
const shippedFrom = "shipped"

func (p *Plan) text(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n\n", p.Workload.String(), p.source())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tVALUE\tFORMULA")
	for i := range p.figures {
		f := &p.figures[i]
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, f.text(), f.Formula)
	}
	t.Flush()
	p.advise(w)
}

// source says which coefficients were used.
func (p *Plan) source() string {
	if p.From == shippedFrom {
		return fmt.Sprintf("Reckoned with the shipped coefficients (%s); stentor bench --calibrate measures those of this machine.", &p.Coefficients)
	}
	text := fmt.Sprintf("Reckoned with the coefficients of %s (%s).", p.From, &p.Coefficients)
	if len(p.Shipped) > 0 {
		text += "\nNot in that file, and therefore shipped: " + strings.Join(p.Shipped, ", ") + "."
	}
	return text
}

// advise prints how to set each machine.
func (p *Plan) advise(w io.Writer) {
	b := &p.Box
	what := "On the machine"
	if b.Boxes > 1 {
		what = fmt.Sprintf("On each of %s machines, with %s connections (an engine that they share is not in the figures)", cost.Count(b.Boxes), cost.Count(b.Connections))
	}
	fmt.Fprintf(w, "\n%s, at least:\n    reactor.memory_limit %d\n    reactor.loops %d\n", what, b.MemoryLimit, b.Loops)
	for _, l := range b.Lines {
		fmt.Fprintf(w, "    %s\n", l.Run)
	}
	fmt.Fprintln(w, "stentor doctor, run there, says which of these are missing.")
	if p.Workload.BoxCores == 0 && p.peak/coresShare > cost.LoopsMax {
		fmt.Fprintf(w, "That is more than %d cores: give --cores and --memory of a machine to see how many it takes.\n", cost.LoopsMax)
	}
	if p.Workload.TLS {
		fmt.Fprintln(w, "TLS is reckoned as if this process terminated it: TLS 1.3, AES-128-GCM in hardware, full ECDSA P-256 handshakes, buffers dropped when idle.")
	}
}

// json writes the plan as one object, with the figures under their names.
func (p *Plan) json(w io.Writer) error {
	figures := make(map[string]*Figure, len(p.figures))
	for i := range p.figures {
		figures[p.figures[i].id] = &p.figures[i]
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // lines for a shell have > in them
	return e.Encode(struct {
		Workload     *Workload          `json:"workload"`
		From         string             `json:"coefficients_from"`
		Shipped      []string           `json:"coefficients_shipped,omitempty"` // of a file that does not have all
		Coefficients *cost.Coefficients `json:"coefficients"`
		Figures      map[string]*Figure `json:"figures"`
		Box          *Box               `json:"box"`
	}{&p.Workload, p.From, p.Shipped, &p.Coefficients, figures, &p.Box})
}
