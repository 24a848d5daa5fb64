package bench

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"stentor/bench/benchtest"
)

func TestManyRun(t *testing.T) {
	server := serve(t, benchtest.Config{})
	args := []string{"many", "--subscribers", "30", "--per-channel", "5", "--publishers", "2", "--batch", "2", "--rate", "600"}
	r := must(t, server, append(args, "--pace", "rate", "--duration", "100ms")...)
	if metric(t, r, "channels") != 6 || metric(t, r, "publications") != 60 || curve(t, r, "delivery").Count != 300 {
		t.Errorf("%+v", r.Metrics)
	}
	lossless(t, r)
	r = must(t, server, append(args, "--step", "50ms", "--steps", "2", "--knee-latency", "10s")...)
	if len(rows(t, r, "steps to the knee")) != 2 || metric(t, r, "knee") != 900 {
		t.Errorf("%+v", r.Tables)
	}
	server = serve(t, benchtest.Config{LoseEvery: 7})
	if _, _, err := execute(t, server, append(args, "--pace", "rate", "--duration", "100ms", "--drain", "100ms")...); err == nil || !strings.Contains(err.Error(), "6 publications are missing at 6 subscribers") {
		t.Errorf("%v", err)
	}
}

func TestAPIRun(t *testing.T) {
	server := serve(t, benchtest.Config{})
	r := must(t, server, "api", "--phase", "30ms", "--rounds", "2", "--publishers", "2", "--batch", "5", "--history-channel", "h-{n}")
	if ways := rows(t, r, "ways of publishing"); len(ways) != 8 || ways[4].Name != "publish with history" {
		t.Errorf("%+v", ways)
	}
	for _, name := range []string{"publish", "batch", "broadcast with history", "fresh"} {
		if m, _ := r.Metric(name + ": publications per second"); m.Value <= 0 || m.Spread.N != 2 || curve(t, r, name).Count == 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if _, _, err := execute(t, server, "api", "--phase", "10ms", "--rounds", "1", "--api-key", "wrong"); err == nil {
		t.Error("a wrong key was taken")
	}
}

func TestConnectRun(t *testing.T) {
	server := serve(t, benchtest.Config{Secret: "s3cret"})
	for _, pipeline := range []string{"none", "commands", "all"} {
		r := must(t, server, "connect", "--clients", "30", "--rounds", "2", "--settle", "1ms", "--token-hmac-secret", "s3cret", "--pipeline", pipeline,
			"--subscriptions", "2", "--workers", "2", "--floor", "--floor-program", os.Args[0]+" bench bare")
		m, _ := r.Metric("connect: server / bare upgrade")
		if m.Value <= 0 || m.Spread.N != 2 || curve(t, r, "dialing to live").Count != 60 || metric(t, r, "connects per second") <= 0 {
			t.Errorf("%s: %+v", pipeline, r.Metrics)
		}
		if len(rows(t, r, "connect: CPU per client by round")) != 2 || metric(t, r, "connect: server / program") <= 0 {
			t.Errorf("%+v", r.Tables)
		}
	}
	if _, log, err := execute(t, server, "connect", "--clients", "3", "--rounds", "1", "--settle", "1ms", "--token-hmac-secret", "other"); err == nil || !strings.Contains(err.Error(), "invalid token") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestPingRun(t *testing.T) {
	server := serve(t, benchtest.Config{PingEvery: 20 * time.Millisecond})
	args := []string{"ping", "--clients", "20", "--settle", "1ms", "--window", "300ms", "--rounds", "2"}
	r := must(t, server, append(args, "--floor", "--tick", "20ms")...)
	if m, _ := r.Metric("ping: bare pings CPU per ping"); m.Value <= 0 || m.Spread.N != 2 || metric(t, r, "pings per second") < 500 || metric(t, r, "server CPU per client and second") <= 0 {
		t.Errorf("%+v", r.Metrics)
	}
	if _, _, err := execute(t, server, append(args, "--max-cpu", "1ns")...); err == nil || !strings.Contains(err.Error(), "over budget: server CPU per client and second") {
		t.Errorf("%v", err)
	}
	server = serve(t, benchtest.Config{})
	if _, _, err := execute(t, server, args...); err == nil || !strings.Contains(err.Error(), "no ping came") {
		t.Errorf("%v", err)
	}
}

// Only windows of whole ping intervals have the same number of pings in each round.
func TestPingWindow(t *testing.T) {
	server := serve(t, benchtest.Config{PingEvery: time.Second})
	for _, c := range []struct {
		window, refused string
		noted           bool
	}{
		{"999ms", "take --window 1s", false},
		{"1500ms", "", true},
		{"2s", "", false},
	} {
		r, log, err := execute(t, server, "ping", "--clients", "5", "--settle", "1ms", "--rounds", "1", "--window", c.window)
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v", c.window, err)
			}
		case err != nil:
			t.Errorf("%s: %v\n%s", c.window, err, log)
		case strings.Contains(strings.Join(r.Notes, ""), "not a whole number of the server's ping intervals") != c.noted:
			t.Errorf("%s: %q", c.window, r.Notes)
		}
	}
}

func TestRecoverRun(t *testing.T) {
	args := []string{"recover", "--clients", "20", "--per-channel", "5", "--missed", "6", "--rounds", "2", "--away", "10ms", "--workers", "2", "--drain", "300ms"}
	for _, cfg := range []benchtest.Config{{History: 20}, {History: 20, ChopBytes: 9}, {History: 20, Protobuf: true}} {
		server := serve(t, cfg)
		with := args
		if cfg.Protobuf {
			with = append(args, "--protobuf")
		}
		r := must(t, server, with...)
		if n := metric(t, r, "recovered publications"); n < 2*6*20 || n > 2*8*20 || metric(t, r, "clients that could not recover") != 0 {
			t.Errorf("%+v", r.Metrics)
		}
		if curve(t, r, "dialing to live again").Count != 40 {
			t.Errorf("%+v", r.Curves)
		}
		lossless(t, r)
	}
	for _, c := range []struct {
		cfg  benchtest.Config
		says string
	}{
		{benchtest.Config{}, "force_recovery"},
		{benchtest.Config{History: 20, Forgets: true}, "could not recover"},
		{benchtest.Config{History: 3}, "could not recover"},
	} {
		server := serve(t, c.cfg)
		if _, log, err := execute(t, server, args...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v\n%s", c.cfg, err, log)
		}
	}
}

func TestChurnRun(t *testing.T) {
	server := serve(t, benchtest.Config{})
	r := must(t, server, "churn", "--subscribers", "10", "--churners", "10", "--churn-rate", "100", "--rate", "50", "--phase", "200ms", "--rounds", "2")
	if n := len(rows(t, r, "rounds: latency of healthy subscribers")); n != 2 || metric(t, r, "returns per second") < 30 || curve(t, r, "dialing to live again").Count < 10 {
		t.Errorf("%+v", r.Metrics)
	}
	lossless(t, r)
}

func TestPresenceRun(t *testing.T) {
	args := []string{"presence", "--channels", "3", "--watchers", "2", "--movers", "2", "--readers", "1", "--move-rate", "20", "--read-rate", "20", "--settle", "100ms",
		"--phase", "200ms", "--drain", "200ms"}
	server := serve(t, benchtest.Config{})
	r := must(t, server, args...)
	if n := metric(t, r, "subscribes"); n == 0 || metric(t, r, "joins that watchers were told of") != 2*n || curve(t, r, "presence").Count == 0 {
		t.Errorf("%+v", r.Metrics)
	}
	must(t, serve(t, benchtest.Config{}), append(args, "--stats")...)
	server = serve(t, benchtest.Config{LoseJoin: 12})
	if _, log, err := execute(t, server, args...); err == nil || !strings.Contains(err.Error(), "has the namespace join_leave") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestSoakRun(t *testing.T) {
	server := serve(t, benchtest.Config{})
	args := []string{"soak", "--subscribers", "10", "--requesters", "5", "--request-rate", "20", "--churners", "5", "--churn-rate", "20", "--rate", "50", "--duration", "3s"}
	r := must(t, server, args...)
	if n := len(rows(t, r, "parts")); n != soakParts || metric(t, r, "clients that went and came back") < 20 || curve(t, r, "request").Count == 0 {
		t.Errorf("%d parts, %+v", n, r.Metrics)
	}
	if _, ok := r.Metric(slopeMetric); !ok {
		t.Errorf("%+v", r.Metrics)
	}
	lossless(t, r)
}

func TestEnginesRun(t *testing.T) {
	server := serve(t, benchtest.Config{History: 10})
	beside := os.Args[0] + " serve {port}"
	self := strconv.Itoa(os.Getpid())
	args := []string{"engines", "--beside", "far=" + beside, "--beside", "farther=" + beside, "--broker-pid", "far=" + self, "--broker-pid", "far=" + self,
		"--channels", "5", "--publishers", "2", "--subscribers-per-channel", "3", "--phase", "100ms", "--rounds", "3"}
	r := must(t, server, append(args, "--history-channel", "history-{n}", "--workers", "2")...)
	nodes := rows(t, r, "nodes")
	if len(nodes) != 6 || nodes[1].Name != "far" || nodes[5].Name != "farther with history" {
		t.Errorf("%+v", nodes)
	}
	for i, node := range nodes {
		for k, c := range node.Cells[:7] {
			// The broker's CPU is known only where there is one.
			if want := k != 2 || i%3 == 1; c.Known() != want || want && c <= 0 {
				t.Errorf("%s: %d: %v", node.Name, k, c)
			}
		}
		for _, figure := range []string{": publications per second", ": node CPU per publication"} {
			if m, ok := r.Metric(node.Name + figure); !ok || m.Value <= 0 || m.Spread.N != 3 {
				t.Errorf("%s: %+v", node.Name, m)
			}
		}
		// Each publication is answered once and reaches three subscribers.
		if answers, deliveries := curve(t, r, node.Name+": answer"), curve(t, r, node.Name+": delivery"); 3*answers.Count != deliveries.Count {
			t.Errorf("%s: %d answers, %d deliveries", node.Name, answers.Count, deliveries.Count)
		}
	}
	for _, figure := range []string{"far: broker CPU per publication", "far: node CPU on top of memory", "farther with history: node CPU on top of memory", "far with history: node CPU / memory"} {
		if m, ok := r.Metric(figure); !ok || m.Spread.N != 3 {
			t.Errorf("%s: %+v", figure, m)
		}
	}
	if _, ok := r.Metric("memory: node CPU on top of memory"); ok {
		t.Error("memory on top of memory")
	}
	byRound, _ := r.Table("CPU per publication by round with history")
	if len(byRound.Rows) != 3 || len(byRound.Columns) != 6 || byRound.Columns[2].Name != "on top" || byRound.Rows[2].Cells[2] != byRound.Rows[2].Cells[1]-byRound.Rows[2].Cells[0] {
		t.Errorf("%+v", byRound)
	}
	lossless(t, r)
	if last := r.Series[len(r.Series)-1]; len(last.Others) != 4 || last.Others["far"].RSS == 0 || last.Others["far broker 2"].RSS == 0 {
		t.Errorf("%+v", last)
	}
	for _, flag := range []string{" --beside '" + "far=" + beside + "' --beside '" + "farther=", " --broker-pid far=" + self + " --broker-pid far=" + self} {
		if !strings.Contains(r.Command, flag) {
			t.Errorf("no %s in %s", flag, r.Command)
		}
	}

	r = must(t, server, append(args, "--batch", "4")...)
	if answers, deliveries := curve(t, r, "far: answer"), curve(t, r, "far: delivery"); 4*3*answers.Count != deliveries.Count {
		t.Errorf("%d answers, %d deliveries", answers.Count, deliveries.Count)
	}
	lossless(t, r)
}

func TestEnginesFindLosses(t *testing.T) {
	args := []string{"engines", "--beside", "far=" + os.Args[0] + " serve {port}", "--channels", "2", "--publishers", "2", "--phase", "200ms", "--rounds", "2", "--drain", "300ms"}
	for _, c := range []struct {
		cfg          benchtest.Config
		metric, says string
	}{
		{benchtest.Config{LoseEvery: 7}, "missing", "publications are missing at"},
		{benchtest.Config{TwiceAt: 7}, "came twice", "memory: 2 publications came twice"},
		{benchtest.Config{SwapAt: 7}, "out of order", "memory: 2 publications came out of order"},
	} {
		r, log, err := execute(t, serve(t, c.cfg), args...)
		if err == nil || !strings.Contains(err.Error(), c.says) || metric(t, r, c.metric) < 1 {
			t.Errorf("%+v: %v\n%s", c.cfg, err, log)
		}
	}
	server := serve(t, benchtest.Config{})

	if _, log, err := execute(t, server, append(args, "--beside", "gone="+os.Args[0]+" serve {port} 100ms", "--phase", "10s")...); err == nil || !strings.Contains(err.Error(), "gone: the server ended: exit status 7") {
		t.Errorf("%v\n%s", err, log)
	}
}
