package redisengine_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"

	"stentor/engine"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// TestPresenceMixed: a node of Centrifugo and one of ours over one Redis see the same clients.
func TestPresenceMixed(t *testing.T) {
	t.Parallel() // it waits more than it works
	a, b := redistest.Start(t), redistest.Start(t)
	for name, cfg := range presenceConfigs(a) {
		t.Run(name, func(t *testing.T) {
			mixPresence(t, cfg, redislink.Config{Address: []string{a.Addr}}, []string{a.Addr}, nil)
		})
	}
	t.Run("shards", func(t *testing.T) {
		both := []string{a.Addr, b.Addr}
		mixPresence(t, redisengine.PresenceConfig{}, redislink.Config{Address: both}, both, nil)
	})
	t.Run("cluster", func(t *testing.T) {
		nodes := redistest.Cluster(t, 3, 0)
		list := nodes.Addrs()
		mixPresence(t, redisengine.PresenceConfig{UserMapping: true}, redislink.Config{ClusterAddress: []string{list}}, nil, strings.Split(list, ","))
	})
}

// otherPresence is that of Centrifugo, over shards or over a cluster.
func otherPresence(t *testing.T, cfg redisengine.PresenceConfig, shards, nodes []string) *centrifuge.RedisPresenceManager {
	t.Helper()
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		t.Fatal(err)
	}
	configs := []centrifuge.RedisShardConfig{{ClusterAddresses: nodes}}
	if nodes == nil {
		configs = nil
		for _, address := range shards {
			configs = append(configs, centrifuge.RedisShardConfig{Address: address})
		}
	}
	var opened []*centrifuge.RedisShard
	for _, c := range configs {
		shard, err := centrifuge.NewRedisShard(node, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(shard.Close)
		opened = append(opened, shard)
	}
	theirs, err := centrifuge.NewRedisPresenceManager(node, centrifuge.RedisPresenceManagerConfig{
		Prefix: cfg.Prefix, PresenceTTL: time.Minute, Shards: opened,
		EnableUserMapping: func(string) bool { return cfg.UserMapping }, UseHashFieldTTL: cfg.HashFieldTTL,
	})
	if err != nil {
		t.Fatal(err)
	}
	return theirs
}

func mixPresence(t *testing.T, cfg redisengine.PresenceConfig, link redislink.Config, shards, nodes []string) {
	cfg.Prefix = fmt.Sprintf("mixed%x", rand.Uint64())
	ours := redisengine.NewPresence(cfg, reach(t, link), slog.New(slog.NewTextHandler(t.Output(), nil)))
	theirs := otherPresence(t, cfg, shards, nodes)
	for _, channel := range []string{"room", "a}b", "{x}", "news:1"} {
		mixChannel(t, ours, theirs, channel)
	}
}

// mixChannel has clients of both kinds of node come, move and leave.
func mixChannel(t *testing.T, ours *redisengine.Presence, theirs *centrifuge.RedisPresenceManager, ch string) {
	ctx := t.Context()
	expect := func(users map[int]string) { // by client
		t.Helper()
		expectBoth(t, ours, theirs, ch, users)
	}
	weAdd := func(i int, user string) {
		t.Helper()
		if err := ours.AddPresence(ctx, ch, client(i), engine.PresenceInfo{User: user, ConnInfo: []byte("1")}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	theyAdd := func(i int, user string) {
		t.Helper()
		info := &centrifuge.ClientInfo{ClientID: printed(i), UserID: user, ConnInfo: []byte("1")}
		if err := theirs.AddPresence(ch, printed(i), info); err != nil {
			t.Fatal(err)
		}
	}
	expect(map[int]string{})
	weAdd(1, "a")
	theyAdd(2, "a")
	weAdd(3, "b")
	theyAdd(4, "c")
	expect(map[int]string{1: "a", 2: "a", 3: "b", 4: "c"})
	theyAdd(1, "a") // a client that moved
	weAdd(2, "a")
	expect(map[int]string{1: "a", 2: "a", 3: "b", 4: "c"})
	if err := ours.RemovePresence(ctx, ch, client(2), "a"); err != nil {
		t.Fatal(err)
	}
	if err := theirs.RemovePresence(ch, printed(3), "b"); err != nil {
		t.Fatal(err)
	}
	expect(map[int]string{1: "a", 4: "c"})
	if err := ours.RemovePresence(ctx, ch, client(4), "c"); err != nil {
		t.Fatal(err)
	}
	if err := theirs.RemovePresence(ch, printed(1), "a"); err != nil {
		t.Fatal(err)
	}
	expect(map[int]string{})
}

func printed(i int) string { return string(engine.AppendClientID(nil, client(i))) }

// expectBoth compares what both kinds of node see with who should be there, user by client.
func expectBoth(t *testing.T, ours *redisengine.Presence, theirs *centrifuge.RedisPresenceManager, ch string, users map[int]string) {
	t.Helper()
	want := engine.PresenceStats{Clients: len(users)}
	different := map[string]bool{}
	for _, user := range users {
		different[user] = true
	}
	want.Users = len(different)
	all, err := ours.Presence(t.Context(), ch)
	stats, statsErr := ours.PresenceStats(t.Context(), ch)
	other, otherErr := theirs.Presence(ch)
	otherStats, otherStatsErr := theirs.PresenceStats(ch)
	if err := errors.Join(err, statsErr, otherErr, otherStatsErr); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(users) || len(other) != len(users) || stats != want ||
		otherStats.NumClients != want.Clients || otherStats.NumUsers != want.Users {
		t.Errorf("%q: we see %d clients, %+v; they see %d clients, %+v; want %+v", ch, len(all), stats, len(other), otherStats, want)
	}
	for i, user := range users {
		a, b := all[printed(i)], other[printed(i)]
		if a == nil || b == nil || a.User != user || b.UserID != user || string(a.ConnInfo) != "1" || string(b.ConnInfo) != "1" ||
			a.Client != printed(i) || b.ClientID != printed(i) {
			t.Errorf("%q: client %d of %s is %+v to us and %+v to them", ch, i, user, a, b)
		}
	}
}
