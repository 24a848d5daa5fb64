package plan

import (
	"github.com/spf13/cobra"

	"stentor/bench/cost"
)

const long = `Reckon what a number of clients takes: memory of the process and of the kernel, network, CPU, descriptors, settings, and with --cores
and --memory how many machines of that size. Each figure comes with its formula. docs/capacity.md explains them.

The coefficients are those that stentor bench --calibrate measured on this machine, or else those of the developers' machine; the
output says which.`

const example = `  # a million clients with two subscriptions, each of which gets a message a second
  stentor plan --connections 1000000 --subscriptions 2 --rate 1 --size 200

  # the same over TLS with recovery, on machines of 16 cores and 64 GiB
  stentor plan --connections 1000000 --subscriptions 2 --rate 1 --size 200 --tls --recoverable --cores 16 --memory 64GiB`

// Command makes "plan".
func Command() *cobra.Command {
	w := DefaultWorkload()
	var asJSON bool
	var file string
	c := &cobra.Command{
		Use: "plan", Short: "Reckon memory, CPU, network and machines for a number of clients",
		Long: long, Example: example, Args: cobra.NoArgs, SilenceUsage: true,
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntVarP(&w.Connections, "connections", "n", w.Connections, "number of clients")
	f.IntVar(&w.Subscriptions, "subscriptions", w.Subscriptions, "subscriptions of each client")
	f.IntVar(&w.PerChannel, "per-channel", w.PerChannel, "clients to a channel, at most all; 1: each has its own")
	f.Float64Var(&w.Rate, "rate", w.Rate, "publications a second in each channel")
	f.IntVar(&w.SizeBytes, "size", w.SizeBytes, "bytes of data of a publication")
	f.DurationVar(&w.PingInterval, "ping-interval", w.PingInterval, "client.ping_interval; 0: no pings")
	f.BoolVar(&w.TLS, "tls", w.TLS, "clients use TLS, terminated by the server")
	f.BoolVar(&w.Recoverable, "recoverable", w.Recoverable, "channels have history and recovery")
	f.IntVar(&w.History, "history", w.History, "publications that a channel keeps, with --recoverable")
	f.BoolVar(&w.Presence, "presence", w.Presence, "channels have presence")
	f.IntVar(&w.ConnectSeconds, "connect-seconds", w.ConnectSeconds, "seconds in which all clients come back after a restart")
	f.IntVar(&w.BoxCores, "cores", w.BoxCores, "cores of one machine; 0: as many as it takes")
	f.Var((*bytesFlag)(&w.BoxBytes), "memory", "memory of one machine, such as 64GiB; 0: as much as it takes")
	f.StringVar(&file, "coefficients", "", "file of a calibration (default: stentor/coefficients.json in the user's cache directory, if there is one)")
	f.BoolVar(&asJSON, "json", false, "print the plan as one JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		found, from, err := cost.Find(file)
		if err != nil {
			return err
		}
		p, err := Make(w, found, from)
		if err != nil {
			return err
		}
		if asJSON {
			return p.json(c.OutOrStdout())
		}
		p.text(c.OutOrStdout())
		return nil
	}
	return c
}
