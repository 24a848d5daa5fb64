package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"stentor/server/config"
)

func addConfigFlag(c *cobra.Command) *string {
	return c.Flags().StringP("config", "c", config.FileDefault, "configuration file: .json, .yaml, .yml or .toml")
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
	base := c.Flags().StringP("base", "b", "", "configuration file whose values take the place of the defaults")
	dryRun := c.Flags().BoolP("dry-run", "d", false, "print the file, write nothing")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg := config.Default()
		if *base != "" {
			loaded, err := config.Load(config.Options{File: *base})
			if err != nil {
				return err
			}
			cfg = loaded.Config
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

// writeNew writes a file that does not exist yet and that only its owner may read: it holds secrets.
func writeNew(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
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
		if _, err := os.Stat(*file); err != nil {
			return err
		}
		loaded, err := config.Load(config.Options{File: *file})
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
		for _, w := range loaded.Warnings {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
		}
		return nil
	}
	return c
}
