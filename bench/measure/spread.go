package measure

import (
	"math"
	"slices"
)

// Spread is the middle of a handful of runs and how far they lie apart.
type Spread struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Q1     float64 `json:"q1"`
	Q3     float64 `json:"q3"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// IQR is the interquartile range, Q3 − Q1.
func (s Spread) IQR() float64 { return s.Q3 - s.Q1 }

// Summarize finds the spread of v. Quartiles are interpolated linearly between ranks. The zero Spread answers an empty v.
func Summarize(v []float64) Spread {
	if len(v) == 0 {
		return Spread{}
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return Spread{N: len(s), Median: rank(s, 0.5), Q1: rank(s, 0.25), Q3: rank(s, 0.75), Min: s[0], Max: s[len(s)-1]}
}

// rank interpolates quantile q of the sorted s.
func rank(s []float64, q float64) float64 {
	at := q * float64(len(s)-1)
	low := int(math.Floor(at))
	if low+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[low] + (at-float64(low))*(s[low+1]-s[low])
}

// Ratios divides pair by pair, a[i] by b[i]: what two neighbours in time have in common, the noise of the machine above all,
// falls out, which a ratio of two medians would keep. Pairs whose divisor is zero or less are left out.
func Ratios(a, b []float64) []float64 {
	r := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			r = append(r, a[i]/b[i])
		}
	}
	return r
}
