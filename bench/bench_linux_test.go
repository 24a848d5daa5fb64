package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/benchtest"
	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// TestMain lets the test binary be the worker processes and the bare writer, as cmd/stentor is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		root := root()
		if err := root.Execute(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func root() *cobra.Command {
	root := &cobra.Command{Use: "stentor"}
	root.AddCommand(Command())
	return root
}

// execute runs "stentor bench" with args on server and decodes its report into result, which may be nil.
func execute(t *testing.T, server *benchtest.Server, result any, args ...string) (log string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args = append([]string{"bench"}, args...)
	args = append(args, "--url", "ws://"+server.Addr()+"/connection/websocket", "--api-key", "key", "--pid", strconv.Itoa(os.Getpid()), "--source-count", "3")
	if result != nil {
		args = append(args, "--json")
	}
	c := root()
	var out, logged bytes.Buffer
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&logged)
	err = c.ExecuteContext(ctx)
	if result != nil && out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), result); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
	} else {
		logged.Write(out.Bytes())
	}
	return logged.String(), err
}

func serve(t *testing.T, cfg benchtest.Config) *benchtest.Server {
	t.Helper()
	cfg.APIKey = "key"
	server := benchtest.Start(cfg)
	t.Cleanup(server.Close)
	return server
}

func TestIdleRun(t *testing.T) {
	server := serve(t, benchtest.Config{Secret: "s3cret", PingEvery: time.Millisecond})
	var r IdleReport
	log, err := execute(t, server, &r, "idle", "--steps", "20,40,60", "--per-channel", "4", "--publish", "--recoverable", "--settle", "20ms",
		"--hold", "50ms", "--token-hmac-secret", "s3cret", "--pprof-url", "http://"+server.Addr()+"/debug/pprof", "--workers", "3")
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if len(r.Steps) != 4 || r.Steps[0].Clients != 0 || r.Steps[3].Clients != 60 || r.Steps[3].Channels != 15 {
		t.Errorf("steps %+v", r.Steps)
	}
	for _, s := range r.Steps {
		if s.RSS == 0 || s.Heap == nil || s.Heap.Objects == 0 || s.Heap.Goroutines == 0 {
			t.Errorf("step %+v", s)
		}
	}
	// A goroutine, a buffer and a hijacked conn per client: kilobytes.
	if r.Heap == nil || r.Heap.Slope < 1000 || r.Objects.Slope < 5 || r.RSS == nil || r.Pings == 0 {
		t.Errorf("%+v heap %+v objects %+v", r, r.Heap, r.Objects)
	}
	if users := server.Users(); len(users) != 60 || users["user-59"] != 1 {
		t.Errorf("%d users", len(users))
	}

	log, err = execute(t, server, nil, "idle", "--clients", "10", "--settle", "10ms", "--token-hmac-secret", "s3cret",
		"--pprof-url", "http://"+server.Addr()+"/debug/pprof", "--max-heap", "1")
	if err == nil || !strings.Contains(err.Error(), "over budget: heap bytes per client") {
		t.Errorf("gate: %v\n%s", err, log)
	}
	if !strings.Contains(log, "heap objects") || !strings.Contains(log, "per client") {
		t.Errorf("report:\n%s", log)
	}
}

func TestFanoutRun(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  benchtest.Config
		args []string
		want int // publications
	}{
		{"rate", benchtest.Config{}, []string{"--rate", "200", "--publications", "20"}, 20},
		{"duration", benchtest.Config{}, []string{"--rate", "100", "--duration", "50ms"}, 0},
		{"acked", benchtest.Config{ChopBytes: 50}, []string{"--pace", "acked", "--publishers", "3", "--publications", "20"}, 20},
		{"delivered in batches", benchtest.Config{}, []string{"--pace", "delivered", "--publications", "5", "--burst", "4"}, 20},
		{"together", benchtest.Config{}, []string{"--pace", "delivered", "--publications", "5", "--burst", "4", "--burst-by", "together"}, 20},
		{"protobuf", benchtest.Config{Protobuf: true}, []string{"--protobuf", "--rate", "200", "--publications", "20"}, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := serve(t, c.cfg)
			var r FanoutReport
			log, err := execute(t, server, &r, append([]string{"fanout", "--subscribers", "30", "--workers", "2"}, c.args...)...)
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			if c.want > 0 && r.Publications != c.want || r.Publications == 0 || r.Deliveries != uint64(30*r.Publications) {
				t.Errorf("%d publications, %d deliveries", r.Publications, r.Deliveries)
			}
			if r.Tally != (swarm.Tally{}) || r.Latency.Count != int64(r.Deliveries) || r.CPU <= 0 || r.CPUPerDelivery <= 0 || r.Latency.Max <= 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestFanoutFindsLosses(t *testing.T) {
	server := serve(t, benchtest.Config{LoseEvery: 7})
	var r FanoutReport
	_, err := execute(t, server, &r, "fanout", "--subscribers", "5", "--rate", "1000", "--publications", "20", "--drain", "100ms")
	if err == nil || !strings.Contains(err.Error(), "2 publications are missing at 1 subscribers") || r.Tally.Missing != 2 {
		t.Errorf("%v %+v", err, r.Tally)
	}
	server = serve(t, benchtest.Config{TwiceAt: 7})
	log, err := execute(t, server, nil, "fanout", "--subscribers", "5", "--rate", "1000", "--publications", "20")
	if err == nil || !strings.Contains(err.Error(), "5 publications came twice") || !strings.Contains(log, "twice             5") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestAgainstBare(t *testing.T) {
	server := serve(t, benchtest.Config{})
	args := []string{"fanout", "--subscribers", "50", "--against-bare", "--rounds", "3", "--round-publications", "5", "--round-bursts", "2", "--burst", "4"}
	var r BareReport
	log, err := execute(t, server, &r, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if r.BurstSize != 4 || r.FrameBytes < 130 || r.FrameBytes > 200 {
		t.Errorf("%+v", r)
	}
	for _, side := range []BareSide{r.Alone, r.Burst} {
		if side.Ratio.N != 3 || side.Ratio.Median <= 0 || len(side.Server) != 3 || len(side.Bare) != 3 || side.PerFrame != 1 {
			t.Errorf("%+v", side)
		}
	}
	log, err = execute(t, server, nil, append(args, "--max-ratio", "0.001")...)
	if err == nil || !strings.Contains(err.Error(), "over budget") || !strings.Contains(log, "median of the paired ratios") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestMixedRun(t *testing.T) {
	server := serve(t, benchtest.Config{PingEvery: 5 * time.Millisecond})
	var r MixedReport
	args := []string{"mixed", "--subscribers", "20", "--requesters", "10", "--request-rate", "20", "--rate", "100", "--phase", "200ms", "--rounds", "2"}
	log, err := execute(t, server, &r, append(args, "--overload", "200ms", "--publishers", "2")...)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	// A request every 5 ms, two phases of 200 ms, each with the one that is due at its start.
	for _, p := range []MixedPhase{r.Quiet, r.Loud} {
		if p.Requests.Count < 40 || len(p.P99s) != 2 || p.Requests.P99 <= 0 {
			t.Errorf("%+v", p)
		}
	}
	if r.Quiet.Fanout.Count != 0 || r.Loud.Fanout.Count == 0 || r.P99Ratio.N != 2 || r.Tally != (swarm.Tally{}) || len(r.Faults) != 0 {
		t.Errorf("%+v", r)
	}
	if o := r.Overload; o == nil || o.Publications == 0 || o.Deliveries == 0 || o.Pings == 0 || len(o.Closes) != 0 || len(o.AskerCloses) != 0 {
		t.Errorf("%+v", o)
	}
	log, err = execute(t, server, nil, append(args, "--overload", "100ms", "--overload-rate", "100", "--request", "ping")...)
	if err != nil || !strings.Contains(log, "loud / quiet") || !strings.Contains(log, "0 requesters, 0 subscribers") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestSlowRun(t *testing.T) {
	server := serve(t, benchtest.Config{HeadMax: 50 * time.Millisecond})
	var r SlowReport
	args := []string{"slow", "--subscribers", "20", "--slow", "10", "--pause", "10ms", "--rate", "100", "--phase", "200ms", "--rounds", "2"}
	log, err := execute(t, server, &r, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if len(r.Rounds) != 2 || r.P99Ratio.N != 2 || r.Tally != (swarm.Tally{}) || r.Rounds[0].Beside.Count != 20*20 || len(r.SlowCloses) == 0 {
		t.Errorf("%+v", r)
	}
	if log, err = execute(t, server, nil, append(args, "--max-p99-ratio", "0.0001")...); err == nil || !strings.Contains(log, "beside / without") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestRefusals(t *testing.T) {
	server := serve(t, benchtest.Config{})
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"idle", "--clients", "0"}, "--steps must be from 1"},
		{[]string{"idle", "--steps", "5,5"}, "must rise"},
		{[]string{"idle", "--per-channel", "0"}, "--per-channel"},
		{[]string{"idle", "--max-heap", "5"}, "--pprof-url"},
		{[]string{"idle", "--clients", "9000000"}, "ulimit -n"},
		{[]string{"idle", "--publish", "--payload", "5"}, "--payload"},
		{[]string{"idle", "--clients", "1", "--settle", "1ms", "--pprof-url", "http://" + server.Addr() + "/nothing"}, "debug.enabled"},
		{[]string{"idle", "--clients", "1", "--settle", "1ms", "--subscriptions", "2"}, "{s}"},
		{[]string{"idle", "--clients", "1", "--pid", "1073741824"}, "no process"},
		{[]string{"idle", "--clients", "1", "--api-key", "wrong", "--publish", "--settle", "1ms"}, "http_api.key"},
		{[]string{"fanout", "--pace", "walk"}, "--pace"},
		{[]string{"fanout", "--burst-by", "bus"}, "--burst-by"},
		{[]string{"fanout", "--against-bare", "--pid", "0"}, "pgrep"},
		{[]string{"fanout", "--max-ratio", "1"}, "--against-bare"},
		{[]string{"fanout", "--url", "wss://example.org/"}, "wss://"},
		{[]string{"fanout", "--url", "http://example.org/"}, "--url"},
		{[]string{"fanout", "--url", "ws://127.0.0.1:99999/"}, "--url"},
		{[]string{"fanout", "--subscribers", "1", "--publications", "1", "--api-url", "http://" + server.Addr() + "/nothing"}, "--api-url"},
		{[]string{"mixed", "--request", "dance"}, "--request"},
		{[]string{"mixed", "--request-rate", "0"}, "--request-rate"},
		{[]string{"slow", "--slow", "1"}, "--slow"},
		{[]string{"slow", "--pause", "0s"}, "--pause"},
	} {
		// Later flags win, so that a case may name another server or process.
		root := root()
		args := append([]string{"bench", c.args[0], "--url", "ws://" + server.Addr() + "/connection/websocket", "--api-key", "key", "--pid", strconv.Itoa(os.Getpid())}, c.args[1:]...)
		root.SetArgs(args)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		if err := root.ExecuteContext(context.Background()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		name  string
		holds []string
	}{
		{"", []string{"idle", "fanout", "mixed", "slow"}},
		{"idle", []string{"Examples:", "--steps", "--connect-rate float", "(default 4000)"}},
		{"fanout", []string{"Examples:", "--against-bare", "(default 10000)"}},
		{"mixed", []string{"Examples:", "--overload duration", "3012"}},
		{"slow", []string{"Examples:", "--slow int", "(default 2000)"}},
	} {
		root := root()
		// A root whose own usage is about other flags, as that of the server is.
		root.SetUsageFunc(func(*cobra.Command) error { return errors.New("the root's usage was asked for") })
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(append([]string{"bench"}, strings.Fields(c.name+" --help")...))
		if err := root.Execute(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, text := range c.holds {
			if !strings.Contains(out.String(), text) {
				t.Errorf("the help of bench %s lacks %q:\n%s", c.name, text, out.String())
			}
		}
		if strings.Contains(out.String(), "\n  "+workerName) {
			t.Errorf("the help of bench %s shows a hidden command", c.name)
		}
	}
}

func TestIdleFit(t *testing.T) {
	r := IdleReport{Steps: []IdleStep{
		{Clients: 0, RSS: 10 << 20}, {Clients: 100, RSS: 11 << 20}, {Clients: 200, RSS: 12 << 20},
	}}
	r.fit()
	if r.Heap != nil || r.RSS == nil || r.RSS.Slope != float64(1<<20)/100 || r.RSS.Intercept != 10<<20 {
		t.Errorf("%+v", r.RSS)
	}
}

func TestOverloadCountsNoPong(t *testing.T) {
	mixed := map[string]int{"3012 no pong": 2, "3008 slow": 5}
	for _, c := range []struct {
		report OverloadReport
		rate   float64
		fails  bool
	}{
		{OverloadReport{AskerCloses: mixed}, 0, true},
		{OverloadReport{Closes: mixed}, 0, false},
		{OverloadReport{Closes: mixed}, 100, true},
		{OverloadReport{AskerCloses: map[string]int{"3008 slow": 5}}, 100, false},
	} {
		r := MixedReport{Overload: &c.report}
		if err := r.gate(&Mixed{OverloadRate: c.rate}); (err != nil) != c.fails || c.fails && !strings.Contains(err.Error(), "2 conns with 3012") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	var r MixedReport
	r.P99Ratio = measure.Spread{Median: 2}
	if err := r.gate(&Mixed{RatioMax: 1.5}); err == nil {
		t.Error("a ratio above the gate passed")
	}
}
