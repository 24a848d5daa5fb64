package main

import (
	"crypto/rand"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"stentor/server"
	"stentor/server/config"
)

// source reads the configuration that the command line asks for, at the start and again at each reload.
type source struct {
	options config.Options
	devKey  string
}

func newSource(flags *pflag.FlagSet) *source {
	file, err := flags.GetString("config")
	if err != nil {
		file = config.FileDefault
	}
	return &source{options: config.Options{File: file, Flags: flags}, devKey: rand.Text()}
}

// load reads everything anew. Once there was a file, there has to be one: a file that is just being replaced must not count
// as an empty one.
func (s *source) load() (config.Result, error) {
	loaded, err := config.Load(s.options)
	if err != nil {
		return loaded, err
	}
	if loaded.File != "" {
		s.options.FileRequired = true
	}
	if c := loaded.Config; c.Dev.Enabled && c.HTTPAPI.Key == "" {
		c.HTTPAPI.Key = s.devKey // the same at each reload
	}
	return loaded, nil
}

// reloadOnHangup applies the configuration anew at each SIGHUP. One that is not valid is reported and changes nothing.
func reloadOnHangup(s *server.Server, src *source, running *config.Config, log *slog.Logger) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			next, err := reload(s, src, running, log)
			if err == nil {
				running = next
				continue
			}
			for _, e := range config.All(err) {
				log.Error("the configuration was not reloaded; the old one stays", "error", e)
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(hangup)
	}
}

// reload reads the configuration, gives the server what it can take while it runs, and says what changed. It returns what
// the server runs on then.
func reload(s *server.Server, src *source, running *config.Config, log *slog.Logger) (*config.Config, error) {
	loaded, err := src.load()
	if err != nil {
		return nil, err
	}
	r := config.Reload(running, loaded.Config)
	if err := s.Reload(r.Config); err != nil {
		return nil, err
	}
	for _, w := range loaded.Warnings {
		log.Warn(w.String())
	}
	if len(r.Restart) > 0 {
		log.Warn("some options changed that are read only at the start; restart the server to apply them", "options", r.Restart)
	}
	if len(r.Applied) == 0 {
		log.Info("the configuration was reloaded; nothing changed")
	} else {
		log.Info("the configuration was reloaded", "changed", r.Applied)
	}
	return r.Config, nil
}
