package bench

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Names of the command and of the hidden sub-commands that child processes run.
const (
	benchName  = "bench"
	workerName = "worker"
	bareName   = "bare"
)

// scenarios are all measurements, each with its defaults, in the order of the help.
func scenarios() []*scenario {
	return []*scenario{
		idleScenario(), idleSubScenario(), pingScenario(), fanoutScenario(), manyScenario(), apiScenario(), enginesScenario(),
		connectScenario(), recoverScenario(), churnScenario(), presenceScenario(), slowScenario(), trickleScenario(), handshakesScenario(), mixedScenario(), soakScenario(),
	}
}

// Command makes "bench" with its sub-commands. Its children run the same program: the root command must do nothing of its own, nor write
// to standard output, before one of these sub-commands runs.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   benchName,
		Short: "Measure a running server from outside (Linux only)",
		Long: `Measure a server of the client protocol from outside, ours or another: memory of idle clients, latency and CPU of fan-out, requests
beside a fan-out, storms, recovery, slow clients. The clients are raw non-blocking sockets in worker processes.

Give --server 'command' to start the server for the run, or --target and the --pid of one that runs, for its memory and CPU. For more
clients than the descriptor limit allows, several workers are started by themselves; the server's own limit must be high enough.

A run prints tables, or with --json one line of JSON; --out FILE appends that line to a file for "compare" and "page", and --html FILE
writes a page with charts. A run whose messages are missing, come twice or out of order ends with an error.

With --calibrate it measures what clients and messages cost on this machine, with servers that it starts itself, and writes the file that
stentor plan reckons with.`,
		Example: `  stentor bench fanout --server 'stentor -c config.json -p {port}' --api-key KEY --html fanout.html
  stentor bench --calibrate`,
		Args: cobra.NoArgs, SilenceUsage: true,
	}
	calibrate := &Calibrate{Clients: calibrateClients}
	c.Flags().BoolVar(&calibrate.On, "calibrate", false, "measure what things cost on this machine, for stentor plan: about two minutes")
	c.Flags().IntVar(&calibrate.Clients, "clients", calibrate.Clients, "with --calibrate: number of clients")
	c.Flags().StringVar(&calibrate.File, "coefficients", "", "with --calibrate: file to write (default: stentor/coefficients.json in the user's cache directory)")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if !calibrate.On {
			return cmd.Help()
		}
		return calibrate.run(cmd)
	}
	c.SetUsageFunc(usage)
	for _, sc := range scenarios() {
		c.AddCommand(sc.command())
	}
	c.AddCommand(compareCommand(), pageCommand())
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
				fmt.Fprintf(w, "  %-10s %s\n", sub.Name(), sub.Short)
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
