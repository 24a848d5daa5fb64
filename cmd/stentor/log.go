package main

import (
	"context"
	"fmt"
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
	options := &slog.HandlerOptions{Level: levels[c.Level], ReplaceAttr: readable}
	if c.File != "" {
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("log.file: %w; name a file that the server may write to", err)
		}
		return slog.New(slog.NewJSONHandler(f, options)), func() { f.Close() }, nil
	}
	if onTerminal() {
		return slog.New(slog.NewTextHandler(os.Stderr, options)), func() {}, nil
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, options)), func() {}, nil
}

// readable gives durations their text form in JSON lines too: 30s, not a number of nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func onTerminal() bool { return term.IsTerminal(int(os.Stderr.Fd())) }

// logged is an error that standard error has in a log line, so that main need not print it.
type logged struct{ error }

func (l logged) Unwrap() error { return l.error }

// failed ends a server that has its logger.
func failed(log *slog.Logger, c config.Log, err error) error {
	log.Error("the server ends", "error", err)
	if c.File == "" && log.Enabled(context.Background(), slog.LevelError) {
		return logged{err}
	}
	return err
}

// failedEarly ends a server that could not make its logger yet. Who sits at a terminal gets plain text, one line per error;
// elsewhere the lines are JSON, as all others would have been.
func failedEarly(err error) error {
	if onTerminal() {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	for _, e := range config.All(err) {
		log.Error("the server does not start", "error", e)
	}
	return logged{err}
}
