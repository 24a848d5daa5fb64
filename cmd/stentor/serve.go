package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/spf13/pflag"

	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server"
	"stentor/server/config"
)

// serve runs the server until it is told to stop.
func serve(ctx context.Context, flags *pflag.FlagSet) error {
	load := func() (config.Result, error) {
		return config.Load(config.Options{File: configFile(flags), Flags: flags})
	}
	loaded, err := load()
	if err != nil {
		return err
	}
	cfg := loaded.Config
	log, closeLog, err := openLog(cfg.Log)
	if err != nil {
		return err
	}
	defer closeLog()
	for _, w := range loaded.Warnings {
		log.Warn(w.String())
	}
	if cfg.Dev.Enabled {
		prepareDev(cfg)
	}
	memory := limitMemory(&cfg.Reactor, log)
	s, err := server.New(server.Options{
		Config:             cfg,
		Version:            version,
		Log:                log,
		OpenEngine:         openMemoryEngine,
		QueueTotalBytesMax: memory / 4,
	})
	if err != nil {
		return err
	}
	removePID, err := writePID(cfg.PIDFile)
	if err != nil {
		return err
	}
	defer removePID()

	stop := reloadOnHangup(s, load, log)
	defer stop()
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	go func() {
		select {
		case <-s.Ready():
			announce(s, cfg, loaded.File, log)
		case <-ctx.Done():
		}
		<-ctx.Done()
		cancel() // a second signal ends the process at once
	}()
	return s.Run(ctx)
}

func openMemoryEngine(r engine.Receiver) (engine.Broker, error) {
	return memengine.New(memengine.Config{}, r), nil
}

func configFile(flags *pflag.FlagSet) string {
	file, err := flags.GetString("config")
	if err != nil {
		return ""
	}
	return file
}

// announce says what runs where.
func announce(s *server.Server, cfg *config.Config, file string, log *slog.Logger) {
	log.Info("serving",
		"version", version, "go", runtime.Version(), "pid", os.Getpid(), "engine", cfg.Engine.Type, "config", file,
		"address", s.Addr().String(), "loops", s.Loops(), "max_connections", s.MaxConnections())
	if cfg.Dev.Enabled {
		printDev(s.Addr(), cfg)
	}
}

// reloadOnHangup applies the configuration anew at each SIGHUP. One that is not valid is reported and changes nothing.
func reloadOnHangup(s *server.Server, load func() (config.Result, error), log *slog.Logger) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			loaded, err := load()
			if err == nil {
				err = s.Reload(loaded.Config)
			}
			if err != nil {
				log.Error("the configuration was not reloaded; the old one stays", "error", err)
				continue
			}
			for _, w := range loaded.Warnings {
				log.Warn(w.String())
			}
			log.Info("the configuration was reloaded")
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(hangup)
	}
}

// writePID keeps the process id in a file while the server runs.
func writePID(path string) (remove func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("pid_file: %w; name a file in a directory that the server may write to", err)
	}
	return func() {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			fmt.Fprintln(os.Stderr, "pid_file:", err)
		}
	}, nil
}

// limitMemory sets the collector's target and limit, and returns the limit in bytes.
func limitMemory(c *config.Reactor, log *slog.Logger) int64 {
	limit, source := c.MemoryLimit, "reactor.memory_limit"
	if limit == 0 {
		limit, source = availableMemory()
	}
	debug.SetGCPercent(c.GOGC)
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	log.Info("memory", "gogc", c.GOGC, "limit_bytes", limit, "from", source)
	return limit
}
