package redisengine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/memengine"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// reach runs a link for as long as the test, and waits until it works.
func reach(t testing.TB, cfg redislink.Config) *redislink.Link {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	link, err := redislink.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for _, s := range link.Shards() {
		eventually(t, s.Name()+" is reached", func() bool {
			_, err := s.Client()
			return err == nil
		})
	}
	return link
}

// eventually waits until holds does.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(enginetest.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: still not so after %v", what, enginetest.Patience)
		}
	}
}

// newPresence is one with keys of its own.
func newPresence(t testing.TB, cfg redisengine.PresenceConfig, link *redislink.Link) *redisengine.Presence {
	cfg.Prefix = fmt.Sprintf("test%x", rand.Uint64())
	return redisengine.NewPresence(cfg, link, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// presenceSuite runs the suite for presence. A peer is another node, over connections of its own.
func presenceSuite(t *testing.T, cfg redisengine.PresenceConfig, link redislink.Config) {
	mine, theirs := reach(t, link), reach(t, link)
	enginetest.RunPresence(t, func(t *testing.T, n engine.Node) enginetest.Subject {
		prefix := fmt.Sprintf("test%x", rand.Uint64())
		open := func(l *redislink.Link, n engine.Node) enginetest.Subject {
			cfg := cfg
			cfg.Prefix = prefix
			p := redisengine.NewPresence(cfg, l, slog.New(slog.NewTextHandler(t.Output(), nil)))
			return enginetest.Subject{Broker: memengine.New(memengine.Config{}, n), Presence: p}
		}
		s := open(mine, n)
		s.Peer = func(_ *testing.T, n engine.Node) enginetest.Subject { return open(theirs, n) }
		return s
	})
}

// presenceConfigs are all ways to keep presence that a server can.
func presenceConfigs(s *redistest.Server) map[string]redisengine.PresenceConfig {
	all := map[string]redisengine.PresenceConfig{"clients": {}, "users": {UserMapping: true}}
	if s.AtLeast(7, 4) {
		all["fields"] = redisengine.PresenceConfig{HashFieldTTL: true}
		all["fields and users"] = redisengine.PresenceConfig{HashFieldTTL: true, UserMapping: true}
	}
	return all
}

func TestPresence(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := redistest.Start(t)
	for name, cfg := range presenceConfigs(server) {
		t.Run(name, func(t *testing.T) { presenceSuite(t, cfg, redislink.Config{Address: []string{server.Addr}}) })
	}
}

func TestPresenceRESP2(t *testing.T) {
	t.Parallel() // it waits more than it works
	presenceSuite(t, redisengine.PresenceConfig{UserMapping: true}, redislink.Config{Address: []string{redistest.Start(t).Addr}, ForceRESP2: true})
}

func TestPresenceShards(t *testing.T) {
	t.Parallel() // it waits more than it works
	link := redislink.Config{Address: []string{redistest.Start(t).Addr, redistest.Start(t).Addr}}
	presenceSuite(t, redisengine.PresenceConfig{UserMapping: true}, link)
}

func TestPresenceCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	nodes := redistest.Cluster(t, 3, 0)
	for name, cfg := range presenceConfigs(nodes.Servers[0]) {
		t.Run(name, func(t *testing.T) { presenceSuite(t, cfg, redislink.Config{ClusterAddress: []string{nodes.Addrs()}}) })
	}
	p := newPresence(t, redisengine.PresenceConfig{}, reach(t, redislink.Config{ClusterAddress: []string{nodes.Addrs()}}))
	for _, channel := range []string{"}a", ""} {
		if err := p.AddPresence(t.Context(), channel, [16]byte{1}, engine.PresenceInfo{}, time.Minute); !errors.Is(err, codec.ErrorBadRequest) {
			t.Errorf("channel %q, which a cluster cannot keep: %v, want ErrorBadRequest", channel, err)
		}
	}
}

// TestPresencePages: a channel too large for one page is read whole, and without those who are gone.
func TestPresencePages(t *testing.T) {
	server := redistest.Start(t)
	for name, cfg := range presenceConfigs(server) {
		t.Run(name, func(t *testing.T) {
			p := newPresence(t, cfg, reach(t, redislink.Config{Address: []string{server.Addr}}))
			ctx := t.Context()
			const clients, users = 5000, 100
			add(t, p, "ch", clients, func(i int) (string, time.Duration) {
				if i%2 == 0 {
					return "gone" + strconv.Itoa(i%users), time.Millisecond
				}
				return strconv.Itoa(i % users), time.Hour
			})
			var all map[string]*codec.ClientInfo
			eventually(t, "one half is gone", func() bool {
				var err error
				if all, err = p.Presence(ctx, "ch"); err != nil {
					t.Fatal(err)
				}
				return len(all) <= clients/2
			})
			if len(all) != clients/2 {
				t.Fatalf("%d clients are left, want %d", len(all), clients/2)
			}
			for i := 1; i < clients; i += 2 {
				id := string(engine.AppendClientID(nil, client(i)))
				if info := all[id]; info == nil || info.User != strconv.Itoa(i%users) || info.Client != id || string(info.ConnInfo) != strconv.Itoa(i) {
					t.Fatalf("client %d is %+v", i, info)
				}
			}
			want := engine.PresenceStats{Clients: clients / 2, Users: users / 2}
			eventually(t, "the numbers are right", func() bool { // Redis itself removes fields when it has time
				stats, err := p.PresenceStats(ctx, "ch")
				return err == nil && stats == want
			})
		})
	}
}

func client(i int) (id [16]byte) {
	copy(id[:], strconv.Itoa(i))
	return id
}

// add puts n clients into a channel, many at once. of says whose a client is and how long it stays.
func add(t testing.TB, p *redisengine.Presence, channel string, n int, of func(i int) (user string, ttl time.Duration)) {
	t.Helper()
	const workers = 50
	done := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := w; i < n && err == nil; i += workers {
				user, ttl := of(i)
				info := engine.PresenceInfo{User: user, ConnInfo: []byte(strconv.Itoa(i))}
				err = p.AddPresence(context.Background(), channel, client(i), info, ttl)
			}
			done <- err
		}()
	}
	for range workers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// TestPresenceIsRemoved: entries of clients that went without a word do not stay in Redis, though nobody reads them.
func TestPresenceIsRemoved(t *testing.T) {
	server := redistest.Start(t)
	for name, cfg := range presenceConfigs(server) {
		t.Run(name, func(t *testing.T) {
			server.Must("FLUSHALL")
			p := newPresence(t, cfg, reach(t, redislink.Config{Address: []string{server.Addr}}))
			add(t, p, "ch", 1000, func(i int) (string, time.Duration) { return "u" + strconv.Itoa(i), time.Millisecond })
			eventually(t, "one is left", func() bool {
				if err := p.AddPresence(t.Context(), "ch", client(9999), engine.PresenceInfo{User: "u"}, time.Hour); err != nil {
					t.Fatal(err)
				}
				return sizes(server) <= 4
			})
			if err := p.RemovePresence(t.Context(), "ch", client(9999), "u"); err != nil {
				t.Fatal(err)
			}
			if n := sizes(server); n != 0 {
				t.Errorf("an empty channel has %d entries", n)
			}
			// A channel that everybody left without a word goes as a whole.
			add(t, p, "ch", 10, func(i int) (string, time.Duration) { return "u", time.Millisecond })
			eventually(t, "nothing is left", func() bool { return sizes(server) == 0 })
		})
	}
}

// sizes adds up the sizes of all hashes and sets.
func sizes(server *redistest.Server) (n int64) {
	keys, _ := server.Do("KEYS", "*").AsStrSlice()
	for _, key := range keys {
		if size, err := server.Do("HLEN", key).AsInt64(); err == nil {
			n += size
		}
		if size, err := server.Do("ZCARD", key).AsInt64(); err == nil {
			n += size
		}
	}
	return n
}

// TestPresenceKeys: what is in Redis, and under which names, is what other servers of this protocol write and read.
func TestPresenceKeys(t *testing.T) {
	server := redistest.Start(t)
	cfg := redisengine.PresenceConfig{Prefix: "pre", UserMapping: true}
	p := redisengine.NewPresence(cfg, reach(t, redislink.Config{Address: []string{server.Addr}}), slog.New(slog.DiscardHandler))
	id, ctx := [16]byte{0x12, 15: 0xff}, t.Context()
	if err := p.AddPresence(ctx, "news", id, engine.PresenceInfo{User: "joe", ConnInfo: []byte(`{}`)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	const field = "12000000-0000-0000-0000-0000000000ff"
	if got, want := server.Must("HGET", "pre.presence.data.news", field), "\x0a\x03joe\x12\x24"+field+"\x1a\x02{}"; got != want {
		t.Errorf("the info is %q, want %q", got, want)
	}
	if got := server.Must("HGET", "pre.presence.user.clients.news", "joe"); got != "1" {
		t.Errorf("the user has %q clients", got)
	}
	now, err := server.Do("TIME").AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	second, _ := strconv.ParseFloat(now[0], 64)
	for key, member := range map[string]string{"pre.presence.expire.news": field, "pre.presence.user.expire.news": "joe"} {
		till, err := strconv.ParseFloat(server.Must("ZSCORE", key, member), 64)
		if err != nil || till < second+30 || till > second+61 {
			t.Errorf("%s ends at %v (%v), and now it is %v", key, till, err, second)
		}
	}
	if n, _ := server.Do("DBSIZE").AsInt64(); n != 4 {
		t.Errorf("there are %d keys", n)
	}

	// Another server writes times in whole seconds, and lets the keys go with the last of them.
	const other = "00000000-0000-0000-0000-000000000001"
	server.Must("HSET", "pre.presence.data.news", other, "\x0a\x03ann\x12\x24"+other)
	server.Must("ZADD", "pre.presence.expire.news", strconv.Itoa(int(second)+60), other)
	server.Must("HSET", "pre.presence.data.news", "gone", "\x0a\x04gone")
	server.Must("ZADD", "pre.presence.expire.news", strconv.Itoa(int(second)-1), "gone")
	server.Must("HSET", "pre.presence.data.news", "broken", "\xff")
	server.Must("ZADD", "pre.presence.expire.news", strconv.Itoa(int(second)+60), "broken")
	server.Must("EXPIRE", "pre.presence.data.news", "60")
	all, err := p.Presence(ctx, "news")
	if err != nil || len(all) != 2 || all[other] == nil || all[other].User != "ann" || all[field] == nil {
		t.Errorf("there are %v, %v", all, err)
	}
}

// TestPresenceOfUsers: the number of users is right though clients of one went without a word.
func TestPresenceOfUsers(t *testing.T) {
	server := redistest.Start(t)
	for name, cfg := range presenceConfigs(server) {
		if !cfg.UserMapping {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := newPresence(t, cfg, reach(t, redislink.Config{Address: []string{server.Addr}}))
			ctx := t.Context()
			say := func(i int, ttl time.Duration) {
				t.Helper()
				if err := p.AddPresence(ctx, "ch", client(i), engine.PresenceInfo{User: "u"}, ttl); err != nil {
					t.Fatal(err)
				}
			}
			// However often clients of a user vanish and others come: who leaves as the last one takes the user along.
			for turn := range 3 {
				say(1, time.Millisecond)
				say(2, time.Millisecond)
				eventually(t, "they are gone", func() bool {
					stats, err := p.PresenceStats(ctx, "ch")
					return err == nil && stats == engine.PresenceStats{}
				})
				say(3, time.Hour)
				if err := p.RemovePresence(ctx, "ch", client(3), "u"); err != nil {
					t.Fatal(err)
				}
				if stats, err := p.PresenceStats(ctx, "ch"); err != nil || stats != (engine.PresenceStats{}) {
					t.Errorf("turn %d: %+v, %v", turn, stats, err)
				}
			}
		})
	}
}

// TestPresenceTooOld: a server that cannot expire fields says so, instead of keeping clients for ever.
func TestPresenceTooOld(t *testing.T) {
	server := redistest.Start(t)
	if server.AtLeast(7, 4) {
		t.Skip("this server can expire fields of a hash")
	}
	p := newPresence(t, redisengine.PresenceConfig{HashFieldTTL: true}, reach(t, redislink.Config{Address: []string{server.Addr}}))
	err := p.AddPresence(t.Context(), "ch", client(1), engine.PresenceInfo{User: "u"}, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "turn presence_hash_field_ttl off") || errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("error %v, want one that tells what to do", err)
	}
	if n, _ := server.Do("DBSIZE").AsInt64(); n != 0 {
		t.Errorf("%d keys stay in Redis", n)
	}
}

// TestPresenceUnreachable: without a server there is an error at once.
func TestPresenceUnreachable(t *testing.T) {
	server := redistest.Start(t)
	link := reach(t, redislink.Config{Address: []string{server.Addr}})
	p := newPresence(t, redisengine.PresenceConfig{}, link)
	server.Kill()
	eventually(t, "the server is given up", func() bool {
		_, err := link.Shards()[0].Client()
		return err != nil
	})
	ctx := t.Context()
	_, err1 := p.Presence(ctx, "ch")
	_, err2 := p.PresenceStats(ctx, "ch")
	for _, err := range []error{
		p.AddPresence(ctx, "ch", client(1), engine.PresenceInfo{}, time.Minute), p.RemovePresence(ctx, "ch", client(1), ""), err1, err2,
	} {
		if !errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("error %v, want ErrUnreachable", err)
		}
	}
}

// TestPresenceReplica: presence is read from replicas, which nothing can be removed from, and from the master if there is none.
func TestPresenceReplica(t *testing.T) {
	t.Parallel() // it waits more than it works
	group := redistest.Sentinel(t)
	link := reach(t, redislink.Config{SentinelAddress: []string{group.Addrs()}, SentinelMasterName: redistest.MasterName, ReplicaReads: true})
	shard := link.Shards()[0]
	eventually(t, "replicas are read from", func() bool {
		client, err1 := shard.Client()
		reader, err2 := shard.Reader()
		return err1 == nil && err2 == nil && client != reader
	})
	for name, cfg := range presenceConfigs(group.Servers[0]) {
		t.Run(name, func(t *testing.T) {
			p := newPresence(t, cfg, link)
			add(t, p, "ch", 20, func(i int) (string, time.Duration) {
				if i < 10 {
					return "gone", time.Millisecond
				}
				return strconv.Itoa(i % 2), time.Hour
			})
			group.Servers[0].Must("CONFIG", "RESETSTAT")
			right := func() bool {
				all, err1 := p.Presence(t.Context(), "ch")
				stats, err2 := p.PresenceStats(t.Context(), "ch")
				if err := errors.Join(err1, err2); err != nil {
					t.Fatal(err)
				}
				return len(all) == 10 && stats == engine.PresenceStats{Clients: 10, Users: 2}
			}
			eventually(t, "the replica knows", right)
			if stats := group.Servers[0].Must("INFO", "commandstats"); strings.Contains(stats, "cmdstat_eval") {
				t.Errorf("the master was asked: %s", stats)
			}
		})
	}
	group.Servers[1].Kill()
	p := newPresence(t, redisengine.PresenceConfig{}, link)
	add(t, p, "ch", 1, func(int) (string, time.Duration) { return "u", time.Hour })
	if all, err := p.Presence(t.Context(), "ch"); err != nil || len(all) != 1 {
		t.Errorf("without a replica there are %d clients, %v", len(all), err)
	}
}
