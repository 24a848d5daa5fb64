package metrics

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// DigestItemsMax bounds what a digest has: some classes of clients and frame types have many series.
const DigestItemsMax = 4096

// Digest tells what the metrics did since it was taken last, as a flat table of names and numbers. That is what nodes tell each other
// about themselves, and the server API's info tells backends.
//
// Names are made as in the reference: "centrifugo.client.num_reply_errors.code.103.method.subscribe", with labels in order of their
// names and without empty ones. Counters, and the sums and counts of summaries, are what came since the last time; gauges and
// quantiles are as they are now. Histograms are left out, they have summaries beside them. Namespaces are added up.
type Digest struct {
	metrics *Metrics
	before  map[string]float64 // of what only grows
}

// Digest makes a digest of m. One goroutine may use it.
func (m *Metrics) Digest() *Digest { return &Digest{metrics: m, before: make(map[string]float64)} }

// Take is what happened since the last call; since the start at the first one. The map is the caller's.
func (d *Digest) Take() map[string]float64 {
	var text bytes.Buffer
	d.metrics.Write(&text)
	items, now := make(map[string]float64), make(map[string]float64, len(d.before))
	kind, family := "", ""
	for line := range strings.Lines(text.String()) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, kind, _ = strings.Cut(strings.TrimSpace(name), " ")
			continue
		}
		s, ok := parseSample(line)
		if !ok || !strings.HasPrefix(s.name, "centrifugo_") {
			continue
		}
		name, grows := s.item(kind, family)
		if name == "" {
			continue
		}
		if grows {
			now[name] += s.value
		} else {
			items[name] += s.value
		}
	}
	for name, value := range now {
		items[name] = value - d.before[name]
	}
	d.before = now
	shorten(items)
	return items
}

// shorten drops items beyond the limit, those that did nothing first.
func shorten(items map[string]float64) {
	for name, value := range items {
		if len(items) <= DigestItemsMax {
			return
		}
		if value == 0 {
			delete(items, name)
		}
	}
	for name := range items {
		if len(items) <= DigestItemsMax {
			return
		}
		delete(items, name)
	}
}

// sample is one line of a page.
type sample struct {
	name   string
	labels []label // in order of their names
	value  float64
}

type label struct{ name, value string }

// parseSample reads a line that this package, or the library below it, has written.
func parseSample(line string) (s sample, ok bool) {
	line = strings.TrimSpace(line)
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || line[0] == '#' {
		return s, false
	}
	value, err := strconv.ParseFloat(line[i+1:], 64)
	if err != nil || math.IsNaN(value) {
		return s, false
	}
	name, rest, _ := strings.Cut(line[:i], "{")
	s = sample{name: name, value: value}
	for rest = strings.TrimSuffix(rest, "}"); rest != ""; rest = strings.TrimPrefix(rest, ",") {
		name, quoted, found := strings.Cut(rest, "=")
		end := closingQuote(quoted)
		if !found || end < 0 {
			return s, false
		}
		s.labels = append(s.labels, label{name, labelUnescapes.Replace(quoted[1:end])})
		rest = quoted[end+1:]
	}
	slices.SortFunc(s.labels, func(a, b label) int { return cmp.Compare(a.name, b.name) })
	return s, true
}

var labelUnescapes = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")

// closingQuote finds the end of text that begins with a quote.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// item is the name that a sample has in a digest, empty if it has none, and whether its value only grows.
func (s *sample) item(kind, family string) (name string, grows bool) {
	part := "" // of a summary
	switch kind {
	case "counter":
		grows = true
	case "gauge":
	case "summary":
		if rest := strings.TrimPrefix(s.name, family); rest == "_sum" || rest == "_count" {
			part, grows = rest[1:], true
		}
		s.name = family
	default:
		return "", false
	}
	labels, namespace, quantile := "", "", ""
	for _, l := range s.labels {
		switch {
		case l.name == "quantile":
			quantile, part = l.value, "quantile."+digits(l.value)
		case l.name == "channel_namespace":
			namespace = l.value
		case l.value != "":
			labels += "." + l.name + "." + l.value
		}
	}
	if quantile != "" && namespace != "" {
		return "", false // quantiles cannot be added up
	}
	// The prefix and the subsystem become parts of their own.
	name = strings.Replace(s.name, "_", ".", 2)
	if part != "" {
		name += "." + part
	}
	return name + labels, grows
}

// digits is a quantile as the reference names it: 50, 99, 999.
func digits(quantile string) string {
	q, err := strconv.ParseFloat(quantile, 64)
	if err != nil {
		return quantile
	}
	text := strconv.Itoa(int(math.Round(q * 1000)))
	if len(text) > 2 {
		text = strings.TrimSuffix(text, "0")
	}
	return text
}
