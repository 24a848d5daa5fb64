package bench

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"stentor/bench/measure"
	"stentor/bench/publish"
	"stentor/bench/result"
)

// Every publisher goes round its own channels, whose publications are numbered one by one, whatever a request holds.
func TestFlood(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	for _, batch := range []int{1, 2, 5, 7} {
		f, err := newFlood(names, measure.PayloadBytesMin, batch, 2)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for n := range 12 {
			p := n % 3 % 2 // the first publisher gets round more often
			method, body, err := f.next(p, 1000+int64(n))
			if err != nil {
				t.Fatal(err)
			}
			list := []publish.Publication{{}}
			if batch == 1 {
				err = json.Unmarshal(body, &list[0])
			} else {
				var all struct {
					Commands []struct{ Publish publish.Publication }
				}
				err = json.Unmarshal(body, &all)
				list = nil
				for _, c := range all.Commands {
					list = append(list, c.Publish)
				}
			}
			if err != nil || len(list) != batch || (method == "batch") != (batch > 1) {
				t.Fatalf("%s with %d publications, %v: %s", method, len(list), err, body)
			}
			for _, one := range list {
				seen[one.Channel]++
				if mine := p == 0; mine != (one.Channel < "c") {
					t.Errorf("publisher %d publishes into %s", p, one.Channel)
				}
				if s, ok := measure.FindStamp(one.Data); !ok || int(s.Number) != seen[one.Channel] || s.Due != 1000+int64(n) {
					t.Errorf("batch of %d: %s has %+v, want number %d", batch, one.Channel, s, seen[one.Channel])
				}
			}
		}
		for i, n := range f.sent() {
			if seen[names[i]] != n || n == 0 {
				t.Errorf("batch of %d: %s: %d were sent, %d are counted", batch, names[i], seen[names[i]], n)
			}
		}
	}
}

func TestFloodEnds(t *testing.T) {
	f, err := newFlood([]string{"a"}, 100, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	f.publishers[0].sent[0] = measure.NumberMax - 1
	if _, _, err := f.next(0, 1); err == nil {
		t.Error("a number that no stamp holds was taken")
	}
}

func TestByRound(t *testing.T) {
	var b byRound
	b.add("long", result.Nanoseconds, []float64{1, 2})
	b.add("short", result.Number, []float64{3})
	b.add("longest", result.Ratio, []float64{4, 5, 6})
	table := b.named("figures")
	var text strings.Builder
	r := result.Result{Tables: []result.Table{table}}
	r.Text(&text)
	if got := strings.Join(strings.Fields(text.String()), " "); got != "figures long short longest 1ns 3 4.000 2ns - 5.000 - - 6.000" || table.Columns[2].Unit != result.Ratio {
		t.Errorf("%s", got)
	}
}

// A node is named with the processes of its broker.
func TestEngineNodes(t *testing.T) {
	o := DefaultEngines()
	o.Beside = []string{"redis=a=b -p {port}", "nats=c {port}"}
	o.BrokerPIDs = []string{"nats=7", "redis=8", "nats=9"}
	nodes, err := o.nodes()
	if err != nil || len(nodes) != 3 || nodes[0].name != memoryName || nodes[1].command != "a=b -p {port}" || !slices.Equal(nodes[2].brokers, []int{7, 9}) {
		t.Errorf("%+v %v", nodes, err)
	}
}

func TestEnginesOverBudget(t *testing.T) {
	side := func(name string, cpu ...float64) *engineSide {
		return &engineSide{name: name, cpu: cpu, perSecond: cpu, answers: measure.NewLatency(), deliveries: measure.NewLatency()}
	}
	o := DefaultEngines()
	r := &enginesRun{rig: &rig{}, options: &o, kinds: [][]*engineSide{{side("memory", 1000, 9000, 2000), side("redis", 2500, 11000, 3900), side("nats", 1500, 9400, 2500)}}}
	r.fill()
	// Rounds are paired: the medians of the nodes lie closer together, at 2000 and 3900.
	if m, ok := r.result.Metric("redis: node CPU on top of memory"); !ok || m.Value != 1900 || m.Spread.Q1 != 1700 || m.Spread.Q3 != 1950 {
		t.Errorf("%+v", m)
	}
	if m, ok := r.result.Metric("redis: node CPU / memory"); !ok || m.Value != 1.95 {
		t.Errorf("%+v", m)
	}
	for most, over := range map[time.Duration]bool{0: false, 1800: true, 1900: false} {
		o.OnTopMax = most
		if err := r.overBudget(); (err != nil) != over || over && err.Error() != "over budget: redis: node CPU on top of memory: median 1.9µs, the most is 1.8µs" {
			t.Errorf("%v: %v", most, err)
		}
	}
}

func TestFirstOf(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	if err := firstOf([]error{nil, nil}); err != nil {
		t.Error(err)
	}
	if err := firstOf([]error{nil, one}); !errors.Is(err, one) || err.Error() != "one" {
		t.Error(err)
	}
	if err := firstOf([]error{nil, two, one}); !errors.Is(err, two) || !strings.Contains(err.Error(), "2 publishers") {
		t.Error(err)
	}
}
