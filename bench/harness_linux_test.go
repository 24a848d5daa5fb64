package bench

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/benchtest"
	"stentor/bench/measure"
	"stentor/bench/result"
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
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		serveAlone(os.Args[2:])
	}
	os.Exit(m.Run())
}

func root() *cobra.Command {
	root := &cobra.Command{Use: "stentor"}
	root.AddCommand(Command())
	return root
}

// execute runs "stentor bench" with args on server and returns its result, and what it said beside that.
func execute(t *testing.T, server *benchtest.Server, args ...string) (r *result.Result, log string, err error) {
	t.Helper()
	return executeAt(t, "ws://"+server.Addr()+"/connection/websocket", append([]string{args[0], "--api-key", "key", "--pid", strconv.Itoa(os.Getpid())}, args[1:]...)...)
}

// executeAt is execute with a server of any kind.
func executeAt(t *testing.T, target string, args ...string) (r *result.Result, log string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	with := []string{"bench", args[0], "--target", target, "--source-count", "3", "--json"}
	args = append(with, args[1:]...) // later flags win
	c := root()
	var out, logged bytes.Buffer
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&logged)
	err = c.ExecuteContext(ctx)
	if out.Len() == 0 {
		return nil, logged.String(), err
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 {
		t.Errorf("%d lines of JSON", lines)
	}
	all, readErr := result.Read(&out)
	if readErr != nil || len(all) != 1 {
		t.Fatalf("%v in %s", readErr, out.String())
	}
	if (all[0].Error != "") != (err != nil) {
		t.Errorf("the result says %q, the run %v", all[0].Error, err)
	}
	all[0].Text(&logged)
	return &all[0], logged.String(), err
}

// must is execute of a run that succeeds.
func must(t *testing.T, server *benchtest.Server, args ...string) *result.Result {
	t.Helper()
	r, log, err := execute(t, server, args...)
	if err != nil || r == nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return r
}

// metric is the value of a metric that must be there.
func metric(t *testing.T, r *result.Result, name string) float64 {
	t.Helper()
	m, ok := r.Metric(name)
	if !ok {
		t.Fatalf("no metric %q in %+v", name, r.Metrics)
	}
	return m.Value
}

// curve is a curve that must be there.
func curve(t *testing.T, r *result.Result, name string) measure.Percentiles {
	t.Helper()
	c, ok := r.Curve(name)
	if !ok || c.Percentiles.Max <= 0 || len(c.Points) == 0 {
		t.Fatalf("no curve %q in %+v", name, r.Curves)
	}
	return c.Percentiles
}

// rows are those of a table that must be there.
func rows(t *testing.T, r *result.Result, name string) []result.Row {
	t.Helper()
	table, ok := r.Table(name)
	if !ok {
		t.Fatalf("no table %q in %+v", name, r.Tables)
	}
	return table.Rows
}

// lossless checks the counts of what did not arrive as it should.
func lossless(t *testing.T, r *result.Result) {
	t.Helper()
	for _, name := range []string{"missing", "came twice", "out of order"} {
		if n := metric(t, r, name); n != 0 {
			t.Errorf("%s: %v", name, n)
		}
	}
	if n := r.Count("faults"); n != nil {
		t.Errorf("faults %v", n)
	}
}

// serveAlone is a server process for --server: it listens on the port that it is given, and ends after a while if it is given one.
func serveAlone(args []string) {
	server, err := benchtest.StartAt("127.0.0.1:"+args[0], benchtest.Config{APIKey: "key"})
	if err != nil {
		os.Exit(1)
	}
	defer server.Close()
	if len(args) > 1 {
		life, _ := time.ParseDuration(args[1])
		time.Sleep(life)
		os.Stderr.WriteString("it is time\n")
		os.Exit(7)
	}
	select {}
}

func serve(t *testing.T, cfg benchtest.Config) *benchtest.Server {
	t.Helper()
	cfg.APIKey = "key"
	server := benchtest.Start(cfg)
	t.Cleanup(server.Close)
	return server
}
