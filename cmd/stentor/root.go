package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"stentor/bench"
	"stentor/bench/doctor"
	"stentor/bench/plan"
	"stentor/server/config"
)

// rootCommand builds the whole tree of commands. The root itself serves.
func rootCommand() *cobra.Command {
	root := serveCommand()
	root.Use = "stentor"
	root.Short = "Real-time messaging edge server: publish over HTTP, deliver over WebSocket"
	root.Long = "Stentor delivers what backends publish to browsers and phones. It speaks the Centrifuge client protocol v2 and the\n" +
		"Centrifugo v6 server API and configuration. Without a sub-command it serves."
	root.Args = noSuchCommand
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(
		serveCommand(),
		versionCommand(),
		genConfigCommand(), checkConfigCommand(), defaultConfigCommand(), defaultEnvCommand(), configDocCommand(),
		genTokenCommand(), genSubTokenCommand(), checkTokenCommand(), checkSubTokenCommand(),
		bench.Command(), doctor.Command(), plan.Command(),
	)
	return root
}

// noSuchCommand refuses arguments of the root: they are misspelled commands.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%s; did you mean %q?", text, near[0])
	}
	return fmt.Errorf("%s; %s --help lists the commands", text, c.CommandPath())
}

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server; the same as no sub-command",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return serve(c.Context(), c.Flags()) },
	}
	config.BindFlags(c.Flags())
	plain := c.UsageFunc()
	c.SetUsageFunc(func(asked *cobra.Command) error {
		if asked != c {
			return plain(asked) // the function is inherited by the commands below
		}
		return usage(c)
	})
	return c
}

// usage prints the usage of a command that serves: its many flags stand under headings.
func usage(c *cobra.Command) error {
	w := c.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n  %s [flags]\n", c.CommandPath())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s [command]\n\nCommands:\n", c.CommandPath())
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-16s%s\n", sub.Name(), sub.Short)
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n%s", config.FlagUsages(c.Flags()))
	return err
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintf(c.OutOrStdout(), "Stentor %s (Go version: %s)\n", version, runtime.Version())
		},
	}
}
