package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"stentor/server/config"
)

func defaultEnvCommand() *cobra.Command {
	c := &cobra.Command{Use: "defaultenv", Short: "Print the environment variable of every option with its value", Args: cobra.NoArgs}
	base := addBaseFlag(c)
	changed := c.Flags().Bool("base-non-zero-only", false, "with --base: only the options that differ from their defaults")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := baseConfig(*base)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(c.OutOrStdout())
		for _, line := range config.EnvOf(cfg, *changed) {
			fmt.Fprintln(out, line)
		}
		return out.Flush()
	}
	return c
}

// headingDefault and headingMax are levels of Markdown headings.
const (
	headingDefault = 2
	headingMax     = 6
)

func configDocCommand() *cobra.Command {
	c := &cobra.Command{Use: "configdoc", Short: "Print the reference of all options as Markdown", Args: cobra.NoArgs}
	c.Flags().BoolP("markdown", "m", true, "as Markdown, the only form there is")
	section := c.Flags().StringP("section", "s", "", "only this section, for example client or client.token")
	level := c.Flags().IntP("level", "l", headingDefault, "level of the headings, 1 to 6")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *level < 1 || *level > headingMax {
			return fmt.Errorf("level %d: there are headings of level 1 to %d", *level, headingMax)
		}
		rows := rowsOf(config.Docs(), *section)
		if len(rows) == 0 {
			return fmt.Errorf("no section %q; the sections are the first names of option paths, for example client", *section)
		}
		out := bufio.NewWriter(c.OutOrStdout())
		writeReference(out, rows, strings.Repeat("#", *level))
		return out.Flush()
	}
	return c
}

// rowsOf keeps the options of a section; all for "".
func rowsOf(all []config.Doc, section string) []config.Doc {
	var rows []config.Doc
	for _, d := range all {
		rest, below := strings.CutPrefix(d.Path, section)
		if section == "" || below && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			rows = append(rows, d)
		}
	}
	return rows
}

// writeReference writes one table for each first name of the paths.
func writeReference(w io.Writer, rows []config.Doc, heading string) {
	before := ""
	for _, d := range rows {
		if name, _, _ := strings.Cut(d.Path, "."); strings.TrimSuffix(name, "[]") != before {
			if before != "" {
				fmt.Fprintln(w)
			}
			before = strings.TrimSuffix(name, "[]")
			fmt.Fprintf(w, "%s %s\n\n| Option | Type | Default | Meaning | Environment variable |\n|---|---|---|---|---|\n", heading, before)
		}
		meaning := d.Meaning
		if d.NotBuilt {
			meaning = strings.TrimSpace(meaning + " (not built yet)")
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", d.Path, code(d.Type), code(d.Default), cell(meaning), code(d.Env))
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

// cell keeps a text inside its cell.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }
