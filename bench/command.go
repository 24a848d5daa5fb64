package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stentor/bench/pipe"
)

// Names of the hidden sub-commands that child processes run.
const (
	workerName = "worker"
	bareName   = "bare"
)

// Command makes "bench" with its sub-commands. Its children run the same program: the root command must do nothing of its own, nor write
// to standard output, before one of these sub-commands runs.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a running server from outside (Linux only)",
		Long: `Measure a running server of the client protocol from outside: memory of idle clients, latency and CPU of fan-out, requests
beside a fan-out, slow clients. The clients are raw non-blocking sockets in worker processes.

Give --pid of the server for its memory and CPU, and --pprof-url for its heap. For more clients than the descriptor limit allows,
several workers are started by themselves; the server's own limit must be high enough.`,
		Args: cobra.NoArgs,
	}
	c.SetUsageFunc(usage)
	c.AddCommand(idleCommand(), fanoutCommand(), mixedCommand(), slowCommand())
	c.AddCommand(child(workerName, work), child(bareName, workBare))
	return c
}

// helpColumns is how wide the help is set.
const helpColumns = 120

// usage prints examples, sub-commands and flags whatever the root command prints of its own.
func usage(c *cobra.Command) error {
	w := c.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n  %s\n", c.UseLine())
	if c.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-8s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	fmt.Fprintf(w, "\nFlags:\n%s", c.LocalFlags().FlagUsagesWrapped(helpColumns))
	return nil
}

// child is a sub-command that serves its parent over standard input and output.
func child(name string, run func(io.Reader, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Hidden: true, Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error { return run(os.Stdin, os.Stdout) },
	}
}

// Streams is where a run writes, and how it starts its children.
type Streams struct {
	Out  io.Writer // the report
	Log  io.Writer // what is going on
	JSON bool      // the report as one JSON object

	Worker, Bare pipe.Command
}

func (s *Streams) logf(format string, args ...any) {
	fmt.Fprintf(s.Log, format+"\n", args...)
}

// report is what a run prints in the end.
type report interface {
	text(w io.Writer)
}

func (s *Streams) print(r report) error {
	if !s.JSON {
		r.text(s.Out)
		return nil
	}
	lines := json.NewEncoder(s.Out)
	lines.SetIndent("", "  ")
	return lines.Encode(r)
}

// scenario makes the sub-command of one measurement. run is its work, with the flags already read.
func scenario(name, short, long, example string, t *Target, run func(context.Context, *Streams) error) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: name, Short: short, Long: long, Example: example, Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			parent := strings.Fields(cmd.Parent().CommandPath())[1:]
			s := &Streams{Out: cmd.OutOrStdout(), Log: cmd.ErrOrStderr(), JSON: asJSON}
			for name, to := range map[string]*pipe.Command{workerName: &s.Worker, bareName: &s.Bare} {
				self, err := pipe.Self(append(parent[:len(parent):len(parent)], name)...)
				if err != nil {
					return err
				}
				*to = self
			}
			return run(ctx, s)
		},
	}
	c.Flags().SortFlags = false
	t.flags(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	return c
}

// DefaultTarget is a server that runs on this machine with its defaults.
func DefaultTarget() Target {
	return Target{
		URL: "ws://127.0.0.1:8000/connection/websocket", User: "user-{n}", ConnectRate: 4000, InFlightMax: 512,
		SourceCount: 64, Patience: 20 * time.Second,
	}
}

func (t *Target) flags(f *pflag.FlagSet) {
	f.StringVar(&t.URL, "url", t.URL, "WebSocket address of the server (ws:// only)")
	f.StringVar(&t.APIURL, "api-url", t.APIURL, "address of the HTTP API (default: /api on the host of --url)")
	f.StringVar(&t.APIKey, "api-key", t.APIKey, "key of the HTTP API (http_api.key)")
	f.IntVar(&t.PID, "pid", t.PID, "process id of the server, for its memory and CPU; 0: leave them out")
	f.StringVar(&t.TokenSecret, "token-hmac-secret", t.TokenSecret, "sign an HS256 token for each client with this secret (client.token.hmac_secret_key); empty: anonymous clients")
	f.StringVar(&t.User, "user", t.User, "user id in the tokens; {n} is the number of the client")
	f.StringVar(&t.Origin, "origin", t.Origin, "Origin header of the clients; empty: none")
	f.BoolVar(&t.Protobuf, "protobuf", t.Protobuf, "speak Protobuf instead of JSON")
	f.IntVar(&t.Workers, "workers", t.Workers, "worker processes for the main clients; 0: as few as the descriptor limit allows")
	f.Float64Var(&t.ConnectRate, "connect-rate", t.ConnectRate, "conns opened per second; 0: as fast as --in-flight allows")
	f.IntVar(&t.InFlightMax, "in-flight", t.InFlightMax, "conns per worker that are opening at the same time")
	f.StringVar(&t.Source, "source", t.Source, "first source address of the clients (default: 127.0.0.2 for a server on 127.0.0.0/8, otherwise the system's choice)")
	f.IntVar(&t.SourceCount, "source-count", t.SourceCount, "number of consecutive source addresses, each with some 28,000 ports")
	f.DurationVar(&t.Patience, "patience", t.Patience, "give up when nothing happens for so long while opening")
}
