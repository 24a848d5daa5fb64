package measure

import (
	"errors"
	"math"
)

// Line is y = Intercept + Slope·x, fitted by least squares.
type Line struct {
	Slope     float64 `json:"slope"`
	Intercept float64 `json:"intercept"`
	// Residual is the standard error of the fit in units of y: the root of the squared residuals over n−2. Zero for two points.
	Residual float64 `json:"residual"`
	// ResidualMax is the largest distance of a point from the line, in units of y.
	ResidualMax float64 `json:"residual_max"`
	// R2 is the share of the variance that the line explains, 0 to 1.
	R2 float64 `json:"r2"`
}

// Fit finds the line through the points (x[i], y[i]). It needs two points with different x.
func Fit(x, y []float64) (Line, error) {
	if len(x) != len(y) || len(x) < 2 {
		return Line{}, errors.New("a line needs at least two points, each with an x and a y")
	}
	mx, my := Mean(x), Mean(y)
	var sxx, sxy, syy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		sxx += dx * dx
		sxy += dx * dy
		syy += dy * dy
	}
	if sxx == 0 {
		return Line{}, errors.New("a line needs two points with different x")
	}
	l := Line{Slope: sxy / sxx}
	l.Intercept = my - l.Slope*mx
	var rest float64
	for i := range x {
		d := y[i] - (l.Intercept + l.Slope*x[i])
		rest += d * d
		l.ResidualMax = max(l.ResidualMax, math.Abs(d))
	}
	if len(x) > 2 {
		l.Residual = math.Sqrt(rest / float64(len(x)-2))
	}
	l.R2 = 1
	if syy > 0 {
		l.R2 = 1 - rest/syy
	}
	return l, nil
}

// Mean is the average of v, 0 of nothing.
func Mean(v []float64) float64 {
	var sum float64
	for _, f := range v {
		sum += f
	}
	return sum / float64(max(1, len(v)))
}
