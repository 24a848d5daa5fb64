package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"github.com/spf13/pflag"

	"stentor/server"
	"stentor/server/config"
)

// serve runs the server until it is told to stop.
func serve(ctx context.Context, flags *pflag.FlagSet) error {
	src := newSource(flags)
	loaded, err := src.load()
	if err != nil {
		return failedEarly(err)
	}
	log, closeLog, err := openLog(loaded.Config.Log)
	if err != nil {
		return failedEarly(err)
	}
	defer closeLog()
	for _, w := range loaded.Warnings {
		log.Warn(w.String())
	}
	if err := run(ctx, src, loaded, log); err != nil {
		return failed(log, loaded.Config.Log, err)
	}
	return nil
}

// run is the life of one server.
func run(ctx context.Context, src *source, loaded config.Result, log *slog.Logger) error {
	cfg := loaded.Config
	pid, err := openPIDFile(cfg.PIDFile)
	if err != nil {
		return err
	}
	defer pid.remove(log)
	memory := limitMemory(&cfg.Reactor, log)
	s, err := server.New(server.Options{
		Config:             cfg,
		Version:            version,
		Log:                log,
		OpenEngine:         openEngines(cfg, log),
		QueueTotalBytesMax: memory / 4,
	})
	if err != nil {
		return err
	}
	stop := reloadOnHangup(s, src, cfg, log)
	defer stop()
	ctx, cancel := untilSignal(ctx, func() {
		log.Warn("a second signal: ending at once")
		pid.remove(log)
		os.Exit(1)
	})
	defer cancel()

	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-s.Ready():
			pid.write(log)
			announce(s, cfg, loaded.File, log)
		case <-ctx.Done():
		}
	})
	watch.Go(func() { trimMemory(ctx, log) })
	err = s.Run(ctx)
	cancel()
	watch.Wait()
	return err
}

// untilSignal returns a context that ends at the first SIGINT or SIGTERM. The second one calls hurry.
func untilSignal(ctx context.Context, hurry func()) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		hurry()
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// announce says what runs where.
func announce(s *server.Server, cfg *config.Config, file string, log *slog.Logger) {
	log.Info("serving",
		"version", version, "go", runtime.Version(), "pid", os.Getpid(), "engine", cfg.BrokerType(), "presence", cfg.PresenceType(), "config", file,
		"address", s.Addr().String(), "tls", cfg.HTTPServer.Scheme() == "https", "loops", s.Loops(), "max_connections", s.MaxConnections())
	for _, other := range []struct {
		what string
		at   net.Addr
	}{{"TLS", s.TLSAddr()}, {"HTTP/3", s.HTTP3Addr()}, {"uni_grpc", s.GRPCAddr()}, {"the internal port", s.InternalAddr()},
		{"ACME over HTTP", s.ChallengesAddr()}} {
		if other.at != nil {
			log.Info("serving "+other.what, "address", other.at.String())
		}
	}
	if cfg.Reactor.MaxConnections == 0 {
		warnFewConnections(s.MaxConnections(), log)
	}
	if cfg.Dev.Enabled {
		printDev(s.Addr(), cfg)
	}
}
