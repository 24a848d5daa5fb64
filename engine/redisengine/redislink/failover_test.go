package redislink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stentor/engine"
	"stentor/engine/enginetest/redistest"
)

func sentinels(g *redistest.Group) Config {
	return Config{
		SentinelAddress: []string{g.Addrs()}, SentinelMasterName: redistest.MasterName,
		ConnectTimeout: 2 * time.Second, IOTimeout: 2 * time.Second,
	}
}

// TestSentinelFailover: the link goes to the new master when the old one is killed, and when it is frozen.
func TestSentinelFailover(t *testing.T) {
	t.Parallel() // it waits more than it works
	g := redistest.Sentinel(t)
	cfg := sentinels(g)
	cfg.ReplicaReads = true
	link, _ := open(t, cfg)
	shard := link.Shard("")
	eventually(t, "it works", works(shard))
	if err := set(shard, "k", "before"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "replicas are read from", func() bool { return role(t, shard) == "slave" })

	old := g.Failover()
	eventually(t, "it writes to the new master", works(shard))
	if got := g.Master().Must("GET", "k"); got != "v" {
		t.Errorf("the new master has %q", got)
	}
	eventually(t, "without replicas the master is read from", func() bool { return role(t, shard) == "master" })
	old.Restart("--replicaof", fmt.Sprintf("127.0.0.1 %d", g.Master().Port)) // sentinels would do so too, after 10 s
	eventually(t, "it is read from", func() bool { return role(t, shard) == "slave" })

	frozen := g.Master()
	frozen.Freeze()
	g.WaitReplaced(frozen)
	eventually(t, "it writes to the next master", works(shard))
	if got := old.Must("GET", "k"); got != "v" {
		t.Errorf("the next master has %q", got)
	}
	frozen.Thaw()
}

// role is that of the server where the shard reads.
func role(t *testing.T, shard *Shard) string {
	t.Helper()
	c, err := shard.Reader()
	if err != nil {
		return ""
	}
	answer, err := c.Do(context.Background(), c.B().Role().Build()).ToArray()
	if err != nil {
		return ""
	}
	role, err := answer[0].ToString()
	if err != nil {
		t.Fatal(err)
	}
	return role
}

// TestSentinelsComeAndGo: the link finds sentinels that are down at start, and needs only one.
func TestSentinelsComeAndGo(t *testing.T) {
	t.Parallel() // it waits more than it works
	g := redistest.Sentinel(t)
	for _, s := range g.Sentinels {
		s.Stop()
	}
	link, said := open(t, sentinels(g))
	eventually(t, "the log says that they are down", func() bool { return len(said.with("cannot be reached")) == 1 })
	g.Sentinels[2].Restart()
	eventually(t, "it works", works(link.Shard("")))
	g.Sentinels[2].Stop()
	time.Sleep(2 * probeInterval)
	if err := set(link.Shard(""), "k", "v"); err != nil {
		t.Errorf("without sentinels, but with the master: %v", err)
	}
}

// keys are so many that every node of a cluster has some.
func keys() (list []string) {
	for i := range 60 {
		list = append(list, fmt.Sprint("key", i))
	}
	return list
}

func allWork(s *Shard) func() bool {
	return func() bool {
		for _, key := range keys() {
			if set(s, key, "v") != nil {
				return false
			}
		}
		return true
	}
}

// TestCluster: all forms of address find all nodes, and the link follows when a master is replaced. Meanwhile what the others keep
// goes on.
func TestCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	nodes := redistest.Cluster(t, 3, 1)
	one := nodes.Servers[0].Addr
	lists := quick("none:1")
	lists.ClusterAddress = []string{nodes.Addrs()}
	reads := quick("redis+cluster://" + one + "?replica_client_enabled=true")
	var shard *Shard
	for _, cfg := range []Config{lists, quick(one), quick("redis://" + one), quick("redis+cluster://" + one + "?addr=" + nodes.Servers[1].Addr), reads} {
		link, _ := open(t, cfg)
		shard = link.Shard("")
		eventually(t, "all keys work", allWork(shard))
		if !shard.Cluster() {
			t.Errorf("%+v: not taken for a cluster", cfg)
		}
	}
	eventually(t, "replicas are read from", func() bool {
		client, err1 := shard.Client()
		reader, err2 := shard.Reader()
		if err1 != nil || err2 != nil || client == reader {
			return false
		}
		got, err := reader.Do(context.Background(), reader.B().Get().Key("key1").Build()).ToString()
		return err == nil && got == "v" && readBy(nodes.Servers[3:])
	})

	victim := nodes.Servers[0]
	others := keys()[:0]
	for _, key := range keys() {
		if nodes.MasterOf(key) != victim {
			others = append(others, key)
		}
	}
	victim.Kill()
	for range 20 {
		for _, key := range others[:5] {
			if err := set(shard, key, "v"); err != nil && !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("a key of another master: %v", err)
			}
		}
		if _, err := shard.Client(); err != nil {
			t.Errorf("with one of six nodes gone: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	eventually(t, "all keys work again", allWork(shard))
}

// readBy reports that one of these servers was asked for a value.
func readBy(servers []*redistest.Server) bool {
	for _, s := range servers {
		if info, err := s.Do("INFO", "commandstats").ToString(); err == nil && strings.Contains(info, "cmdstat_get:") {
			return true
		}
	}
	return false
}
