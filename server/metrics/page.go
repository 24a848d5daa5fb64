package metrics

import (
	"math"
	"strconv"
	"strings"
)

// page is the text of one scrape. Its methods write whole lines; those of a family must follow each other.
type page struct {
	text   []byte
	before string // family of the last line
}

// family begins a family, unless the last line was of the same.
func (p *page) family(kind, name string) {
	if p.before == name {
		return
	}
	p.before = name
	p.text = append(p.text, "# TYPE "...)
	p.text = append(p.text, name...)
	p.text = append(p.text, ' ')
	p.text = append(p.text, kind...)
	p.text = append(p.text, '\n')
}

func (p *page) line(name, labels, value string) {
	p.text = append(p.text, name...)
	if labels != "" {
		p.text = append(p.text, '{')
		p.text = append(p.text, labels...)
		p.text = append(p.text, '}')
	}
	p.text = append(p.text, ' ')
	p.text = append(p.text, value...)
	p.text = append(p.text, '\n')
}

// counter writes a counter that has counted something.
func (p *page) counter(name, labels string, n uint64) {
	if n > 0 {
		p.always("counter", name, labels, n)
	}
}

// expected writes a counter that has counted something, or that is looked for even so.
func (p *page) expected(always bool, name, labels string, n uint64) {
	if always || n > 0 {
		p.always("counter", name, labels, n)
	}
}

// always writes a value that is worth a line even when it is 0.
func (p *page) always(kind, name, labels string, n uint64) {
	p.family(kind, name)
	p.line(name, labels, utoa(n))
}

func (p *page) gauge(name, labels string, n int64) {
	p.family("gauge", name)
	p.line(name, labels, strconv.FormatInt(n, 10))
}

// quantiles are those of every summary.
var quantiles = [...]float64{0.5, 0.99, 0.999}

// summary writes the quantiles of what was recent, and the sum of all.
func (p *page) summary(name, labels string, all, recent *counts) {
	total := all.total()
	if total == 0 {
		return
	}
	p.family("summary", name)
	for _, q := range quantiles {
		p.line(name, join(labels, `quantile="`+float(q)+`"`), float(recent.quantile(q)))
	}
	p.line(name+"_sum", labels, seconds(float64(all.sum)))
	p.line(name+"_count", labels, utoa(total))
}

// histogram writes one bucket per octave.
func (p *page) histogram(name, labels string, c *counts) {
	total := c.total()
	if total == 0 {
		return
	}
	p.family("histogram", name)
	n := uint64(0)
	for i, b := range c.buckets {
		n += b
		if i%perOctave == 0 && i/perOctave < exposedBuckets {
			p.line(name+"_bucket", join(labels, `le="`+seconds(bucketBound(i))+`"`), utoa(n))
		}
	}
	p.line(name+"_bucket", join(labels, `le="+Inf"`), utoa(total))
	p.line(name+"_sum", labels, seconds(float64(c.sum)))
	p.line(name+"_count", labels, utoa(total))
}

func join(labels, more string) string {
	if labels == "" {
		return more
	}
	return labels + "," + more
}

// seconds writes a duration in ns.
func seconds(ns float64) string { return float(ns / 1e9) }

func float(f float64) string {
	if math.IsNaN(f) {
		return "NaN"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// quoteLabel makes s a label value: no text can end it or begin a line of its own.
func quoteLabel(s string) string {
	return `"` + labelEscapes.Replace(strings.ToValidUTF8(s, "\ufffd")) + `"`
}
