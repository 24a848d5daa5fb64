package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"stentor/server/certs"
	"stentor/server/config"
)

const configMeaning = "configuration file: .json, .yaml, .yml or .toml"

func addConfigFlag(c *cobra.Command) *string {
	return c.Flags().StringP("config", "c", config.FileDefault, configMeaning)
}

// loadConfig reads the configuration for a tool, which prints no warnings. A file that was named has to exist.
func loadConfig(c *cobra.Command, file string) (*config.Config, error) {
	loaded, err := config.Load(config.Options{File: file, FileRequired: c.Flags().Changed("config")})
	return loaded.Config, err
}

func genConfigCommand() *cobra.Command {
	c := &cobra.Command{Use: "genconfig", Short: "Write a minimal configuration file with random secrets", Args: cobra.NoArgs}
	file := addConfigFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		format, err := config.FormatOf(*file)
		if err != nil {
			return err
		}
		content, err := config.MinimalFile(format)
		if err != nil {
			return err
		}
		return writeNew(*file, content)
	}
	return c
}

func defaultConfigCommand() *cobra.Command {
	c := &cobra.Command{Use: "defaultconfig", Short: "Write a full configuration file: all options with their values", Args: cobra.NoArgs}
	file := addConfigFlag(c)
	base := addBaseFlag(c)
	dryRun := c.Flags().BoolP("dry-run", "d", false, "print the file, write nothing")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := baseConfig(*base)
		if err != nil {
			return err
		}
		format, err := config.FormatOf(*file)
		if err != nil {
			return err
		}
		content, err := config.FullFile(cfg, format)
		if err != nil {
			return err
		}
		if *dryRun {
			_, err := c.OutOrStdout().Write(content)
			return err
		}
		return writeNew(*file, content)
	}
	return c
}

func addBaseFlag(c *cobra.Command) *string {
	return c.Flags().StringP("base", "b", "", "configuration file whose values take the place of the defaults")
}

// baseConfig is the configuration of a file; that of a server that was told nothing for "".
func baseConfig(file string) (*config.Config, error) {
	if file == "" {
		return config.Default(), nil
	}
	loaded, err := config.Load(config.Options{File: file, FileRequired: true})
	return loaded.Config, err
}

// writeNew writes a file that does not exist yet and that only its owner may read: it holds secrets.
func writeNew(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("output config file already exists")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func checkConfigCommand() *cobra.Command {
	c := &cobra.Command{Use: "checkconfig", Short: "Check a configuration file and the environment", Args: cobra.NoArgs}
	file := addConfigFlag(c)
	strict := c.Flags().BoolP("strict", "s", false, "unknown keys are errors")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := config.Load(config.Options{File: *file, FileRequired: true})
		for _, w := range loaded.Warnings {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
		}
		if err != nil {
			return err
		}
		if unknown := loaded.Unknown(); *strict && len(unknown) > 0 {
			paths := make([]string, len(unknown))
			for i, w := range unknown {
				paths[i] = w.Path
			}
			return fmt.Errorf("unknown keys in config: %s", strings.Join(paths, ", "))
		}
		if err := checkEngines(loaded.Config); err != nil {
			return err
		}
		_, err = certs.Open(loaded.Config, slog.New(slog.DiscardHandler)) // which orders nothing
		return err
	}
	return c
}
