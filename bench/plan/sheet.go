package plan

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"stentor/bench/cost"
)

// Unit is what a figure counts.
type Unit string

const (
	Things  Unit = ""
	Bytes   Unit = "bytes"
	PerSec  Unit = "1/s"
	BitsSec Unit = "bit/s"
	Cores   Unit = "cores"
)

// Figure is one line of a plan.
type Figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    Unit    `json:"unit,omitempty"`
	Formula string  `json:"formula"`

	id string
}

// text is the value for people.
func (f *Figure) text() string {
	switch f.Unit {
	case Bytes:
		return cost.Bytes(f.Value)
	case BitsSec:
		return bits(f.Value)
	case Cores:
		return strconv.FormatFloat(f.Value, 'f', 2, 64) + " cores"
	case PerSec:
		return number(f.Value) + "/s"
	}
	return number(f.Value)
}

// sheet collects figures in their order.
type sheet struct{ figures []Figure }

// add writes a figure down and returns its value. The formula's verbs are for numbers: %s takes what number makes of them.
func (s *sheet) add(id, name string, unit Unit, value float64, formula string, numbers ...float64) float64 {
	texts := make([]any, len(numbers))
	for i, n := range numbers {
		texts[i] = number(n)
	}
	s.figures = append(s.figures, Figure{Name: name, Value: value, Unit: unit, Formula: fmt.Sprintf(formula, texts...), id: id})
	return value
}

// addIf is add for a figure that may have no part in a plan: 0 then, and not written down.
func (s *sheet) addIf(is bool, id, name string, unit Unit, value float64, formula string, numbers ...float64) float64 {
	if !is {
		return 0
	}
	return s.add(id, name, unit, value, formula, numbers...)
}

// exactMax is above what is written digit by digit.
const exactMax = 1e15

// number writes n with commas and as many decimals as it needs, at most 3.
func number(n float64) string {
	if math.Abs(n) >= exactMax {
		return strconv.FormatFloat(n, 'g', 4, 64)
	}
	whole, fraction := math.Modf(math.Abs(math.Round(n*1000) / 1000))
	text := cost.Count(int64(whole))
	if fraction != 0 {
		text += strings.TrimRight(strconv.FormatFloat(fraction, 'f', 3, 64)[1:], "0")
	}
	if n < 0 && text != "0" {
		return "-" + text
	}
	return text
}

// bits writes a rate of bits in steps of 1000.
func bits(n float64) string {
	for _, unit := range []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"} {
		if n < 1000 {
			return strconv.FormatFloat(n, 'f', 1, 64) + " " + unit
		}
		n /= 1000
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " Tbit/s"
}
