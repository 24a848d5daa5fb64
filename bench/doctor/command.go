package doctor

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"stentor/bench/cost"
)

// Exit codes, for scripts.
const (
	exitWall    = 1 // a wall stands below the goal
	exitUnknown = 2 // it could not be told, or the command was called wrongly
)

// Failure is an error with an exit code of its own.
type Failure struct {
	code int
	err  error
}

func (f *Failure) Error() string { return f.err.Error() }
func (f *Failure) Unwrap() error { return f.err }

// ExitCode is what the program ends with.
func (f *Failure) ExitCode() int { return f.code }

const long = `Read the limits of this machine and of this process, and say for each how many connections it is enough for, which wall comes first,
and the line that moves it. Nothing is changed.

Run it as the user, in the container and in the unit that the server runs in: limits differ between them. With --client it judges the
machine of a load generator or of a proxy, which has one local port for each connection.

Exit code: 0 nothing stands below the goal, 1 something does, 2 it could not be told.`

const example = `  # is this machine ready for a million connections?
  stentor doctor

  # a load generator that spreads 100,000 connections over 4 addresses
  stentor doctor --client --connections 100000 --addresses 4`

// connectionsDefault is what the whole program is built for.
const connectionsDefault = 1_000_000

// Command makes "doctor".
func Command() *cobra.Command {
	g := Goal{Connections: connectionsDefault, Addresses: 1}
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "Tell which limit of this machine is hit first, and how to move it (Linux only)",
		Long: long, Example: example, SilenceUsage: true,
		Args: func(c *cobra.Command, args []string) error { return wrong(cobra.NoArgs(c, args)) },
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrong(err) })
	f := c.Flags()
	f.SortFlags = false
	f.IntVarP(&g.Connections, "connections", "n", g.Connections, "number of connections to judge for")
	f.BoolVar(&g.Client, "client", false, "judge a load generator or a proxy instead of the server")
	f.IntVar(&g.Addresses, "addresses", g.Addresses, "with --client: pairs of a source and a server address that the connections are spread over")
	f.BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := g.check(); err != nil {
			return wrong(err)
		}
		r := Judge(os.DirFS("/"), ThisProcess(), g)
		if !asJSON {
			r.text(c.OutOrStdout())
			return r.failure()
		}
		lines := json.NewEncoder(c.OutOrStdout())
		lines.SetIndent("", "  ")
		lines.SetEscapeHTML(false)
		if err := lines.Encode(r); err != nil {
			return err
		}
		return r.failure()
	}
	return c
}

// wrong is the failure of a command that was called wrongly; nil for nil.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	return &Failure{exitUnknown, err}
}

// addressesMax is far above what one machine has.
const addressesMax = 1 << 16

func (g Goal) check() error {
	switch {
	case g.Connections < 1 || g.Connections > ConnectionsMax:
		return fmt.Errorf("--connections %d: want 1 to %s", g.Connections, cost.Count(ConnectionsMax))
	case g.Addresses < 1 || g.Addresses > addressesMax:
		return fmt.Errorf("--addresses %d: want 1 to %s", g.Addresses, cost.Count(addressesMax))
	case g.Addresses > 1 && !g.Client:
		return fmt.Errorf("--addresses belongs to --client: a server takes no port for a client")
	}
	return nil
}

// failure is the verdict as an error; nil if all is good.
func (r *Report) failure() error {
	switch r.Verdict {
	case Wall:
		return &Failure{exitWall, fmt.Errorf("this machine does not reach %s connections: %s ends them at %s", cost.Count(r.Goal), r.Walls[0].Name, count(r.Walls[0].Connections))}
	case Unknown:
		return &Failure{exitUnknown, fmt.Errorf("whether this machine reaches %s connections could not be told", cost.Count(r.Goal))}
	}
	return nil
}
