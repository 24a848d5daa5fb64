package natsengine_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/natstest"
	"stentor/engine/natsengine"
)

// embedded runs a server in this process.
func embedded(t testing.TB, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not accept connections")
	}
	return s
}

// logs are those of t.
func logs(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func open(t testing.TB, cfg natsengine.Config, n engine.Node) *natsengine.Engine {
	t.Helper()
	e, err := natsengine.New(cfg, n, logs(t))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var prefixes atomic.Int64

// subject is a subject of the suite: each test has a prefix of its own on a server that all share.
func subject(cfg natsengine.Config) func(t *testing.T, n engine.Node) enginetest.Subject {
	return func(t *testing.T, n engine.Node) enginetest.Subject {
		mine := cfg
		mine.Prefix = fmt.Sprint("test", prefixes.Add(1))
		make := func(t *testing.T, n engine.Node) enginetest.Subject {
			e := open(t, mine, n)
			return enginetest.Subject{Broker: e, Bus: e, DataAlone: mine.Raw.Enabled}
		}
		s := make(t, n)
		s.Peer = make
		return s
	}
}

func TestSuite(t *testing.T) {
	url := embedded(t, server.Options{}).ClientURL()
	raw := natsengine.Raw{Enabled: true, Prefix: "updates.", Replacements: map[string]string{":": "."}}
	for name, cfg := range map[string]natsengine.Config{
		"plain":         {URL: url},
		"wildcards":     {URL: url, AllowWildcards: true},
		"raw":           {URL: url, Raw: natsengine.Raw{Enabled: true}},
		"raw, replaced": {URL: url, Raw: raw, AllowWildcards: true},
	} {
		t.Run(name, func(t *testing.T) { enginetest.Run(t, subject(cfg)) })
	}
}

// TestSuiteDebian runs the suite against the server that Debian has, which is years older.
func TestSuiteDebian(t *testing.T) {
	enginetest.Run(t, subject(natsengine.Config{URL: natstest.Start(t).URL()}))
}
