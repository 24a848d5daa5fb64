package metrics

import (
	"math"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestCollector: what the runtime says comes out as shares and quantiles of the last minutes.
func TestCollector(t *testing.T) {
	bounds := []float64{math.Inf(-1), 0, 1e-5, 1e-4, 1e-3, math.Inf(1)}
	at := time.Unix(1_700_000_000, 0)
	var k collector
	for i, step := range []struct {
		now  collected
		want []string
	}{
		{collected{0, 0, []uint64{0, 0, 0, 0, 0}}, []string{"cpu_share 0", `"0.5"} NaN`, `"0.999"} NaN`}},
		{collected{1, 4, []uint64{0, 990, 0, 10, 0}}, []string{"cpu_share 0.25", `"0.5"} 1e-05`, `"0.99"} 1e-05`, `"0.999"} 0.001`}},
		{collected{1, 4, []uint64{0, 990, 0, 10, 0}}, []string{"cpu_share 0", `"0.5"} NaN`}}, // what came before is forgotten
		{collected{2, 14, []uint64{0, 990, 100, 10, 1}}, []string{"cpu_share 0.1", `"0.5"} 0.0001`, `"0.999"} 0.001`}},
	} {
		p := new(page)
		k.write(p, &step.now, bounds, at)
		at = at.Add(windowHalf)
		checkText(t, string(p.text))
		for _, want := range step.want {
			if !strings.Contains(string(p.text), want+"\n") {
				t.Errorf("step %d: %q is missing in:\n%s", i, want, p.text)
			}
		}
	}
}

// TestCollectorOfThisProcess: the runtime has all that is read, in the form that is read.
func TestCollectorOfThisProcess(t *testing.T) {
	runtime.GC()
	c, bounds := readCollector()
	if c.gc <= 0 || c.used < c.gc || len(bounds) != len(c.pauses)+1 || math.IsNaN(quantile(c.pauses, bounds, 0.5)) {
		t.Errorf("%+v, %d bounds", c, len(bounds))
	}
	m, _ := newTestMetrics(1)
	for range 2 { // the second time it is the difference
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		for _, want := range []string{"\nstentor_gc_cpu_share ", "\nstentor_gc_pause_seconds{quantile=\"0.99\"} ", "\ngo_gc_cpu_seconds_total ", "\ngo_gc_pauses_seconds_bucket"} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%q is missing in:\n%s", want, w.Body.String())
			}
		}
	}
}
