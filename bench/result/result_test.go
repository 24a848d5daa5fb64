package result

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stentor/bench/measure"
)

func example(scenario string, rate, p99 float64) Result {
	l := measure.NewLatency()
	for range 100 {
		l.Record(time.Duration(p99))
	}
	r := Result{Scenario: scenario, Title: "an example", Command: "stentor bench " + scenario}
	r.Add("rate", rate, PerSecond, More)
	r.AddSpread("cost", []float64{1, 2, 3}, Nanoseconds, Less).Note = "with a note"
	r.AddLatency("answer", l)
	r.AddLatency("nothing", measure.NewLatency())
	r.AddCount("closes", map[string]int{"3008 slow": 2, "3001 shutdown": 7})
	r.AddCount("nothing", nil)
	r.Tables = []Table{{Name: "steps", X: "rate", Y: []string{"size"}, Columns: []Column{{"rate", PerSecond}, {"size", Bytes}},
		Rows: []Row{{"", []Cell{100, Unknown}}, {"lost", []Cell{200, 3 << 20}}}}}
	r.Notes, r.Client = []string{"a note"}, []string{"it was busy"}
	return r
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	r := example("fanout", 1234.5, 5e6)
	r.Text(&b)
	for _, line := range []string{
		"fanout: an example, in 0s",
		"rate  size",
		"\n100/s -",
		"lost  200/s  3072.0 KiB",
		"rate  1234/s",
		"cost  2ns  (median of 3, interquartile range 1ns: 1.5ns to 2.5ns)  with a note",
		"closes: 7 × 3001 shutdown\ncloses: 2 × 3008 slow",
		"note: a note",
		"the client was the limit: it was busy",
	} {
		if !strings.Contains(squeezed(b.String()), squeezed(line)) {
			t.Errorf("no %q in\n%s", line, b.String())
		}
	}
	if strings.Contains(b.String(), "nothing") {
		t.Errorf("what is empty is printed:\n%s", b.String())
	}
}

// squeezed has one space where there are several.
func squeezed(s string) string {
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return strings.ReplaceAll(s, "\n ", "\n")
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		v    float64
		u    Unit
		want string
	}{
		{0, Nanoseconds, "0"}, {0.456, Nanoseconds, "0.456ns"}, {999, Nanoseconds, "999ns"}, {12345, Nanoseconds, "12.35µs"}, {1.23456e9, Nanoseconds, "1.235s"},
		{math.NaN(), Nanoseconds, "-"}, {math.Inf(1), Bytes, "-"}, {661.4, Bytes, "661.4 B"}, {20480, Bytes, "20.0 KiB"}, {25 << 20, Bytes, "25.0 MiB"}, {25 << 30, Bytes, "25 GiB"},
		{1.23456, Ratio, "1.235"}, {0.5, Cores, "0.500"}, {123456.7, PerSecond, "123457/s"}, {4.7, Number, "4.7"}, {42, Number, "42"},
	} {
		if got := Format(c.v, c.u); got != c.want {
			t.Errorf("%v %q: %q, want %q", c.v, c.u, got, c.want)
		}
	}
}

func TestLinesComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	for _, rate := range []float64{1, 2} {
		r := example("api", rate, 1e6)
		if err := r.AppendFile(path); err != nil {
			t.Fatal(err)
		}
	}
	all, err := ReadFile(path)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d results, %v", len(all), err)
	}
	if m, ok := all[1].Metric("rate"); !ok || m.Value != 2 || m.Better != More {
		t.Errorf("%+v", m)
	}
	table, ok := all[0].Table("steps")
	if !ok || table.Rows[0].Cells[1].Known() || table.Rows[1].Cells[1] != 3<<20 {
		t.Errorf("%+v", table)
	}
	if c, ok := all[0].Curve("answer"); !ok || c.Percentiles.Count != 100 || len(c.Points) == 0 {
		t.Errorf("%+v", c)
	}
	if all[0].Count("closes")["3008 slow"] != 2 || all[0].Count("other") != nil {
		t.Errorf("%+v", all[0].Counts)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"{", "result 1"},
		{`{"scenario":"a"} nonsense`, "result 2"},
		{`{}`, "no scenario"},
		{`{"scenario":"a","tables":[{"name":"t","columns":[{"name":"x"}],"rows":[{"cells":[1,2]}]}]}`, "2 cells, there are 1 columns"},
	} {
		if _, err := Read(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	if all, err := Read(strings.NewReader("")); err != nil || len(all) != 0 {
		t.Errorf("nothing: %v, %v", all, err)
	}
}

func TestCompare(t *testing.T) {
	failed := example("fanout", 1, 1)
	failed.Error = "lost"
	a := []Result{example("fanout", 100, 4e6), failed, example("fanout", 200, 4e6), example("idle", 1, 1e6), example("fanout", 400, 4e6)}
	b := []Result{example("fanout", 150, 2e6), example("fanout", 300, 2e6), example("fanout", 400, 2e6), example("fanout", 9, 9e6)}
	c, err := Compare(a, b)
	if err != nil || len(c.Scenarios) != 1 || c.Scenarios[0].Pairs != 3 || c.Scenarios[0].LeftOver != 1 {
		t.Fatalf("%+v %v", c, err)
	}
	m := c.Scenarios[0].Metrics
	if m[0].Name != "rate" || m[0].A != 200 || m[0].B != 300 || m[0].Ratio.Median != 1.5 || m[0].Ratio.N != 3 || m[0].Ratio.Q1 != 1.25 {
		t.Errorf("%+v", m[0])
	}
	var text bytes.Buffer
	c.Text(&text, "old", "new")
	for _, line := range []string{"A: old\nB: new", "fanout, 3 pairs (1 results without a partner are left out)", "rate 200/s 300/s 1.500 1.250 to 1.500 B is better", "answer p99 4.001ms 2ms 0.500 0.500 to 0.500 B is better"} {
		if !strings.Contains(squeezed(text.String()), line) {
			t.Errorf("no %q in\n%s", line, squeezed(text.String()))
		}
	}
	if _, err := Compare(a[3:4], b); err == nil {
		t.Error("different scenarios were compared")
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}

// What the messages travelled in stands in a result, and in a comparison where it differs.
func TestOver(t *testing.T) {
	a, b := example("fanout", 100, 4e6), example("fanout", 150, 2e6)
	a.Over, b.Over = "websocket", "sse, TLS 1.3"
	var text bytes.Buffer
	b.Text(&text)
	if !strings.Contains(text.String(), " (sse, TLS 1.3), in ") {
		t.Errorf("%s", text.String())
	}
	for _, c := range []struct {
		b    []Result
		says bool
	}{{[]Result{b}, true}, {[]Result{a}, false}, {[]Result{example("fanout", 1, 1)}, false}} {
		compared, err := Compare([]Result{a}, c.b)
		if err != nil {
			t.Fatal(err)
		}
		text.Reset()
		compared.Text(&text, "old", "new")
		if strings.Contains(text.String(), "A over websocket; B over sse, TLS 1.3") != c.says {
			t.Errorf("%s", text.String())
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	r := example("fanout", 1, 1e6)
	if err := r.Append(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"scenario":"a","tables":[{"columns":[{"name":"x"}],"rows":[{"cells":[null]}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		for i := range all {
			all[i].Text(&bytes.Buffer{})
			if err := all[i].Append(&bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := Compare(all, all); err == nil {
			c.Text(&bytes.Buffer{}, "a", "b")
		}
	})
}
