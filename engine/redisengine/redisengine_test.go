package redisengine_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// node is a broker for a node, over a link of its own.
func node(t testing.TB, cfg redisengine.Config, link redislink.Config, n engine.Node) *redisengine.Broker {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	l, err := redislink.New(link, log)
	if err != nil {
		t.Fatal(err)
	}
	b, err := redisengine.New(cfg, l, n, log)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs a broker for as long as the test.
func run(t testing.TB, b *redisengine.Broker) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(enginetest.Patience):
			t.Error("Run goes on although its context ended")
		}
	})
}

// parallel is how many tests run at once. Most of the time they wait for servers.
const parallel = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// suite runs the suite of engines. Each engine and its peers have a prefix of their own.
func suite(t *testing.T, cfg redisengine.Config, link redislink.Config) {
	enginetest.Run(t, func(t *testing.T, n engine.Node) enginetest.Subject {
		cfg := cfg
		cfg.Prefix = fmt.Sprintf("test%x", rand.Uint64())
		var open func(t *testing.T, n engine.Node) enginetest.Subject
		open = func(t *testing.T, n engine.Node) enginetest.Subject {
			b := node(t, cfg, link, n)
			return enginetest.Subject{Broker: b, Bus: b, Peer: open}
		}
		return open(t, n)
	})
}

func TestStreams(t *testing.T) {
	t.Parallel()
	suite(t, redisengine.Config{}, redislink.Config{Address: []string{redistest.Start(t).Addr}})
}

func TestLists(t *testing.T) {
	t.Parallel()
	suite(t, redisengine.Config{HistoryUseLists: true}, redislink.Config{Address: []string{redistest.Start(t).Addr}})
}

func TestRESP2(t *testing.T) {
	t.Parallel()
	suite(t, redisengine.Config{}, redislink.Config{Address: []string{redistest.Start(t).Addr}, ForceRESP2: true})
}

func TestTwoShards(t *testing.T) {
	t.Parallel()
	suite(t, redisengine.Config{}, redislink.Config{Address: []string{redistest.Start(t).Addr, redistest.Start(t).Addr}})
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	group := redistest.Sentinel(t)
	suite(t, redisengine.Config{}, redislink.Config{SentinelAddress: []string{group.Addrs()}, SentinelMasterName: redistest.MasterName})
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3, 0)
	for name, cfg := range map[string]redisengine.Config{
		"streams": {}, "lists": {HistoryUseLists: true}, "sharded": {ShardedPubSubPartitions: 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, cfg, redislink.Config{ClusterAddress: []string{c.Addrs()}})
		})
	}
}
