package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/bare"
	"stentor/bench/benchtest"
)

func TestIdleRun(t *testing.T) {
	server := serve(t, benchtest.Config{Secret: "s3cret", PingEvery: time.Millisecond})
	r := must(t, server, "idlesub", "--steps", "20,40,60", "--per-channel", "4", "--publish", "--recoverable", "--settle", "20ms",
		"--hold", "300ms", "--warm-up", "10", "--token-hmac-secret", "s3cret", "--pprof-url", "/debug/pprof", "--workers", "3")
	steps := rows(t, r, "steps")
	if len(steps) != 4 || steps[0].Cells[0] != 0 || steps[3].Cells[0] != 60 || steps[3].Cells[1] != 15 {
		t.Errorf("steps %+v", steps)
	}
	for _, s := range steps {
		for _, c := range s.Cells[3:7] { // resident, heap, objects, goroutines
			if !c.Known() || c == 0 {
				t.Errorf("step %+v", s)
			}
		}
	}
	// A goroutine, a buffer and a hijacked conn per client: kilobytes.
	if metric(t, r, "heap bytes per client") < 1000 || metric(t, r, "heap objects per client") < 5 || metric(t, r, "pings answered") == 0 {
		t.Errorf("%+v", r.Metrics)
	}
	if users := server.Users(); len(users) != 60+10 || users["user-59"] != 1 || users["user-69"] != 1 {
		t.Errorf("%d users", len(users))
	}
	if len(r.Series) == 0 || r.Series[len(r.Series)-1].RSS == 0 || r.Machine.Cores == 0 || strings.Contains(r.Command, "s3cret") || !strings.Contains(r.Command, "--recoverable") {
		t.Errorf("%+v", r)
	}

	_, log, err := execute(t, server, "idle", "--clients", "10", "--settle", "10ms", "--token-hmac-secret", "s3cret",
		"--pprof-url", "http://"+server.Addr()+"/debug/pprof", "--max-heap", "1")
	if err == nil || !strings.Contains(err.Error(), "over budget: heap bytes per client") {
		t.Errorf("gate: %v\n%s", err, log)
	}
	if !strings.Contains(log, "heap objects per client") || !strings.Contains(log, "goroutines") {
		t.Errorf("report:\n%s", log)
	}
}

func TestFanoutRun(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  benchtest.Config
		args []string
		want float64 // publications; 0: some
	}{
		{"rate", benchtest.Config{}, []string{"--pace", "rate", "--rate", "200", "--publications", "20"}, 20},
		{"duration", benchtest.Config{}, []string{"--pace", "rate", "--rate", "100", "--duration", "50ms"}, 0},
		{"acked", benchtest.Config{ChopBytes: 50}, []string{"--pace", "acked", "--publishers", "3", "--publications", "20"}, 20},
		{"delivered in batches", benchtest.Config{}, []string{"--pace", "delivered", "--publications", "5", "--burst", "4"}, 20},
		{"together", benchtest.Config{}, []string{"--pace", "delivered", "--publications", "5", "--burst", "4", "--burst-by", "together"}, 20},
		{"protobuf", benchtest.Config{Protobuf: true}, []string{"--protobuf", "--pace", "rate", "--rate", "200", "--publications", "20"}, 20},
		{"quiet subscriptions", benchtest.Config{}, []string{"--channel", "fanout-{s}", "--subscriptions", "3", "--pace", "delivered", "--publications", "2"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := serve(t, c.cfg)
			r := must(t, server, append([]string{"fanout", "--subscribers", "30", "--workers", "2"}, c.args...)...)
			n := metric(t, r, "publications")
			if c.want > 0 && n != c.want || n == 0 || float64(curve(t, r, "delivery").Count) != 30*n {
				t.Errorf("%v publications, %d deliveries", n, curve(t, r, "delivery").Count)
			}
			for _, name := range []string{"missing", "came twice"} {
				if metric(t, r, name) != 0 {
					t.Errorf("%+v", r.Metrics)
				}
			}
			if metric(t, r, "server CPU per delivery") <= 0 || metric(t, r, "deliveries per second") <= 0 || curve(t, r, "API answer").Count == 0 {
				t.Errorf("%+v", r.Metrics)
			}
		})
	}
}

func TestFanoutToTheKnee(t *testing.T) {
	server := serve(t, benchtest.Config{})
	r := must(t, server, "fanout", "--subscribers", "20", "--rate", "50", "--step", "100ms", "--steps", "3", "--factor", "2", "--knee-latency", "10s")
	steps := rows(t, r, "steps to the knee")
	if len(steps) != 3 || metric(t, r, "knee") != 200 || steps[2].Name != "" || !strings.Contains(strings.Join(r.Notes, ""), "no step was lost") {
		t.Errorf("%+v %v", steps, r.Notes)
	}
	lossless(t, r)

	// A latency that no server keeps: the first step is lost.
	r = must(t, server, "fanout", "--subscribers", "20", "--rate", "50", "--step", "100ms", "--knee-latency", "1ns")
	if steps := rows(t, r, "steps to the knee"); len(steps) != 1 || steps[0].Name != "lost" || !strings.Contains(strings.Join(r.Notes, ""), "lower --rate") {
		t.Errorf("%+v %v", steps, r.Notes)
	}
}

func TestFanoutFindsLosses(t *testing.T) {
	server := serve(t, benchtest.Config{LoseEvery: 7})
	args := []string{"fanout", "--subscribers", "5", "--pace", "rate", "--rate", "1000", "--publications", "20"}
	r, _, err := execute(t, server, append(args, "--drain", "100ms")...)
	if err == nil || !strings.Contains(err.Error(), "2 publications are missing at 1 subscribers") || metric(t, r, "missing") != 2 {
		t.Errorf("%v %+v", err, r)
	}
	server = serve(t, benchtest.Config{TwiceAt: 7})
	r, _, err = execute(t, server, args...)
	if err == nil || !strings.Contains(err.Error(), "5 publications came twice") || metric(t, r, "came twice") != 5 {
		t.Errorf("%v %+v", err, r)
	}
	server = serve(t, benchtest.Config{SwapAt: 7})
	r, _, err = execute(t, server, args...)
	if err == nil || !strings.Contains(err.Error(), "5 publications came out of order") || metric(t, r, "out of order") != 5 {
		t.Errorf("%v %+v", err, r)
	}
}

func TestFanoutFloors(t *testing.T) {
	server := serve(t, benchtest.Config{})
	args := []string{"fanout", "--subscribers", "50", "--floor", "--rounds", "3", "--round-publications", "5", "--round-bursts", "2", "--burst", "4",
		"--floor-program", os.Args[0] + " bench bare"}
	r := must(t, server, args...)
	others := []string{string(bare.Write), "program"}
	if bare.UringRefusal() == nil {
		others = append(others, string(bare.Uring))
	} else if !strings.Contains(strings.Join(r.Notes, ""), "no floor through an io_uring") {
		t.Errorf("notes %v", r.Notes)
	}
	for _, part := range []string{"alone", "burst of 4"} {
		if n := len(rows(t, r, part+": CPU per delivery by round")); n != 3 {
			t.Errorf("%s: %d rounds", part, n)
		}
		for _, other := range others {
			m, ok := r.Metric(part + ": server / " + other)
			if !ok || m.Value <= 0 || m.Spread == nil || m.Spread.N != 3 {
				t.Errorf("%s, %s: %+v", part, other, m)
			}
		}
	}
	lossless(t, r)
	if _, log, err := execute(t, server, append(args, "--max-ratio", "0.001")...); err == nil || !strings.Contains(err.Error(), "over budget: alone") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestMixedRun(t *testing.T) {
	server := serve(t, benchtest.Config{PingEvery: 5 * time.Millisecond})
	args := []string{"mixed", "--subscribers", "20", "--requesters", "10", "--request-rate", "20", "--rate", "100", "--phase", "200ms", "--rounds", "2"}
	r := must(t, server, append(args, "--overload", "200ms", "--publishers", "2")...)
	// A request every 5 ms, two phases of 200 ms, each with the one that is due at its start.
	for _, name := range []string{"request, quiet", "request, loud"} {
		if c := curve(t, r, name); c.Count < 40 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if n := len(rows(t, r, "rounds: p99 of a request")); n != 2 || curve(t, r, "delivery").Count == 0 {
		t.Errorf("%d rounds", n)
	}
	lossless(t, r)
	if metric(t, r, "overload: publications") == 0 || metric(t, r, "overload: deliveries per second") == 0 || metric(t, r, "overload: pings answered") == 0 {
		t.Errorf("%+v", r.Metrics)
	}
	if n := r.Count("subscribers that ended in overload"); n != nil {
		t.Errorf("%v", n)
	}
	r = must(t, server, append(args, "--overload", "100ms", "--overload-rate", "100", "--request", "ping")...)
	if metric(t, r, "overload: requesters closed with 3012") != 0 || metric(t, r, "unanswered requests") != 0 {
		t.Errorf("%+v", r.Metrics)
	}
}

func TestTrickleRun(t *testing.T) {
	server := serve(t, benchtest.Config{HeadMax: 50 * time.Millisecond})
	args := []string{"trickle", "--subscribers", "20", "--slow", "10", "--pause", "10ms", "--rate", "100", "--phase", "200ms", "--rounds", "2"}
	r := must(t, server, args...)
	if n := len(rows(t, r, "rounds: latency of healthy subscribers")); n != 2 || curve(t, r, "delivery beside").Count != 2*20*20 || len(r.Count("slow conns that ended")) == 0 {
		t.Errorf("%+v", r)
	}
	lossless(t, r)
	if _, log, err := execute(t, server, append(args, "--max-p99-ratio", "0.0001")...); err == nil || !strings.Contains(err.Error(), "over budget: p99 beside / without") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestSlowRun(t *testing.T) {
	server := serve(t, benchtest.Config{QueueMax: 512 << 10})
	args := []string{"slow", "--subscribers", "10", "--stalled", "3", "--rate", "100", "--payload", "20000", "--phase", "1s", "--rounds", "1"}
	r := must(t, server, append(args, "--rest", "10ms")...)
	if metric(t, r, "saw close 3008") != 3 || metric(t, r, "closed with 3008 by the server's count") != 3 || metric(t, r, restRatio) <= 0 {
		t.Errorf("%+v", r.Metrics)
	}
	lossless(t, r)

	server = serve(t, benchtest.Config{QueueMax: 512 << 10, NoMetrics: true})
	r = must(t, server, args...)
	if metric(t, r, "saw close 3008") != 3 || !strings.Contains(strings.Join(r.Notes, ""), "at the end of a phase") {
		t.Errorf("%+v %v", r.Metrics, r.Notes)
	}

	server = serve(t, benchtest.Config{}) // holds whatever it has to
	if _, log, err := execute(t, server, "slow", "--subscribers", "2", "--stalled", "2", "--rate", "100", "--phase", "100ms", "--rounds", "1"); err == nil || !strings.Contains(err.Error(), "0 of 2 stalled clients") {
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
		{[]string{"idlesub", "--publish", "--payload", "5"}, "--payload"},
		{[]string{"idle", "--publish"}, "--subscriptions"},
		{[]string{"idle", "--clients", "1", "--settle", "1ms", "--pprof-url", "http://" + server.Addr() + "/nothing"}, "debug.enabled"},
		{[]string{"idle", "--clients", "1", "--settle", "1ms", "--subscriptions", "2"}, "{s}"},
		{[]string{"idle", "--clients", "1", "--pid", "1073741824"}, "no process"},
		{[]string{"idlesub", "--clients", "1", "--api-key", "wrong", "--publish", "--settle", "1ms"}, "http_api.key"},
		{[]string{"fanout", "--pace", "walk"}, "--pace"},
		{[]string{"fanout", "--burst-by", "bus"}, "--burst-by"},
		{[]string{"fanout", "--floor", "--pid", "0"}, "pgrep"},
		{[]string{"fanout", "--max-ratio", "1"}, "--floor"},
		{[]string{"fanout", "--factor", "1"}, "--factor"},
		{[]string{"fanout", "--floor", "--floor-program", "/nonexistent", "--subscribers", "1", "--rounds", "1"}, "--floor-program"},
		{[]string{"fanout", "--url", "http://example.org/"}, "--target"},
		{[]string{"fanout", "--url", "ws://127.0.0.1:99999/"}, "--target"},
		{[]string{"fanout", "--subscribers", "1", "--publications", "1", "--api-url", "http://" + server.Addr() + "/nothing"}, "--api-url"},
		{[]string{"mixed", "--request", "dance"}, "--request"},
		{[]string{"mixed", "--request-rate", "0"}, "--request-rate"},
		{[]string{"trickle", "--slow", "1"}, "--slow"},
		{[]string{"trickle", "--pause", "0s"}, "--pause"},
		{[]string{"slow", "--stalled", "0"}, "--stalled"},
		{[]string{"many", "--pace", "acked"}, "--pace"},
		{[]string{"many", "--batch", "0"}, "--batch"},
		{[]string{"api", "--ways", "pigeon"}, "--ways"},
		{[]string{"api", "--publishers", "0"}, "--publishers"},
		{[]string{"engines"}, "--beside NAME=COMMAND"},
		{[]string{"engines", "--beside", "x {port}"}, "NAME=COMMAND"},
		{[]string{"engines", "--beside", "a:b=x {port}"}, "NAME=COMMAND"},
		{[]string{"engines", "--beside", "a=x"}, "{port}"},
		{[]string{"engines", "--beside", "a=x {port}", "--beside", "a=y {port}"}, "two nodes"},
		{[]string{"engines", "--beside", "memory=x {port}"}, "--server"},
		{[]string{"engines", "--beside", "a=x {port}", "--broker-pid", "b=1"}, "no --beside has the name b"},
		{[]string{"engines", "--beside", "a=x {port}", "--broker-pid", "memory=1"}, "no --beside has the name memory"},
		{[]string{"engines", "--beside", "a=x {port}", "--broker-pid", "a"}, "NAME=PID"},
		{[]string{"engines", "--beside", "a=" + os.Args[0] + " serve {port}", "--broker-pid", "a=1073741824"}, "--broker-pid a: there is no process"},
		{[]string{"engines", "--beside", "a=sh -c 'exit 3' {port}"}, "a: the server ended: exit status 3"},
		{[]string{"engines", "--beside", "a=x {port}", "--pid", "0"}, "pgrep"},
		{[]string{"engines", "--beside", "a=x {port}", "--publishers", "101"}, "--channels"},
		{[]string{"engines", "--beside", "a=x {port}", "--channel", "all"}, "needs {n}"},
		{[]string{"engines", "--beside", "a=x {port}", "--channel", "{n}-{user}", "--subscribers-per-channel", "2"}, "needs {n}"},
		{[]string{"engines", "--beside", "a=x {port}", "--subscribers-per-channel", "0"}, "--subscribers-per-channel"},
		{[]string{"engines", "--beside", "a=x {port}", "--api-url", "http://127.0.0.1/api"}, "--api-url"},
		{[]string{"engines", "--beside", "a=x {port}", "--drain", "-1s"}, "--drain"},
		{[]string{"engines", "--beside", "a=x {port}", "--batch", "0"}, "--batch"},
		{[]string{"connect", "--pipeline", "tube", "--clients", "1", "--rounds", "1"}, "none, commands or all"},
		{[]string{"connect", "--max-ratio", "1"}, "--floor"},
		{[]string{"ping", "--pid", "0"}, "--server or --pid"},
		{[]string{"ping", "--window", "0s"}, "--window"},
		{[]string{"recover", "--seen", "0"}, "--seen"},
		{[]string{"churn", "--churn-rate", "0"}, "--churn-rate"},
		{[]string{"presence", "--readers", "0"}, "--readers"},
		{[]string{"presence", "--phase", "0s"}, "--phase"},
		{[]string{"soak", "--duration", "0s"}, "--duration"},
		{[]string{"slow", "--rest", "1s", "--pid", "0"}, "--rest"},
		{[]string{"slow", "--max-rest-ratio", "2"}, "--rest"},
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
		{"", []string{"idle", "idlesub", "fanout", "ping", "many", "api", "engines", "connect", "recover", "churn", "presence", "mixed", "slow", "trickle", "handshakes", "soak", "compare", "page"}},
		{"idle", []string{"Examples:", "--steps", "--connect-rate float", "(default 4000)"}},
		{"fanout", []string{"Examples:", "--floor ", "(default 10000)"}},
		{"mixed", []string{"Examples:", "--overload duration", "3012"}},
		{"engines", []string{"Examples:", "--beside stringArray", "(default 100)"}},
		{"slow", []string{"Examples:", "--stalled int", "(default 10)"}},
		{"trickle", []string{"Examples:", "--slow int", "(default 2000)"}},
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
	l := fit([]idleStep{{clients: 0, rss: 10 << 20}, {clients: 100, rss: 11 << 20}, {clients: 200, rss: 12 << 20}})
	if l.heap != nil || l.rss == nil || l.rss.Slope != float64(1<<20)/100 || l.rss.Intercept != 10<<20 {
		t.Errorf("%+v", l.rss)
	}
}

func TestOverloadCountsNoPong(t *testing.T) {
	mixed := map[string]int{"3012 no pong": 2, "3008 slow": 5}
	for _, c := range []struct {
		overload overload
		rate     float64
		fails    bool
	}{
		{overload{askCloses: mixed}, 0, true},
		{overload{closes: mixed}, 0, false},
		{overload{closes: mixed}, 100, true},
		{overload{askCloses: map[string]int{"3008 slow": 5}}, 100, false},
	} {
		if err := c.overload.gate(c.rate); (err != nil) != c.fails || c.fails && !strings.Contains(err.Error(), "2 conns with 3012") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
