package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"stentor/server/config"
)

// levels are the names of log.level. trace is below what anything logs at, none above all.
var levels = map[string]slog.Level{
	"none": slog.LevelError + 100, "trace": slog.LevelDebug - 4, "debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warn": slog.LevelWarn, "error": slog.LevelError, "fatal": slog.LevelError + 4,
}

// openLog makes the logger: text on a terminal, JSON lines on standard error elsewhere, JSON lines in log.file if that is set.
func openLog(c config.Log) (log *slog.Logger, closeLog func(), err error) {
	options := &slog.HandlerOptions{Level: levels[c.Level]}
	if c.File != "" {
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("log.file: %w; name a file that the server may write to", err)
		}
		return slog.New(slog.NewJSONHandler(f, options)), func() { f.Close() }, nil
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return slog.New(slog.NewTextHandler(io.Writer(os.Stderr), options)), func() {}, nil
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, options)), func() {}, nil
}
