package redisengine_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"stentor/engine"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// TestSentinelFailover: subscriptions follow the master, whether the old one is killed or falls silent.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	group := redistest.Sentinel(t)
	r := newRig(t, redisengine.Config{}, redislink.Config{
		SentinelAddress: []string{group.Addrs()}, SentinelMasterName: redistest.MasterName,
	})
	r.subscribe(news...)
	r.works("before", news...)
	old := group.Failover()
	r.resumed(1)
	r.works("after the first failover", news...)
	old.Restart("--replicaof", fmt.Sprintf("127.0.0.1 %d", group.Master().Port))
	eventually(t, "the old master follows the new one", func() bool {
		state, err := old.Do("ROLE").ToArray()
		if err != nil || len(state) < 4 {
			return false
		}
		link, _ := state[3].ToString()
		return link == "connected"
	})
	frozen := group.Master()
	frozen.Freeze()
	group.WaitReplaced(frozen)
	r.resumed(2)
	r.works("after the second failover", news...)
	frozen.Thaw()
}

// forms are the two ways of a cluster to carry publications.
var forms = []struct {
	name string
	cfg  redisengine.Config
}{
	{"classic", redisengine.Config{Prefix: "classic"}},
	{"sharded", redisengine.Config{Prefix: "sharded", ShardedPubSubPartitions: 32}},
}

// many are channels of all nodes of a cluster.
func many() (names []string) {
	for i := range 40 {
		names = append(names, fmt.Sprintf("news:%d", i))
	}
	return names
}

// TestPartitionsWithoutCluster: partitions are for clusters only. One configuration serves both, and names stay as they are.
func TestPartitionsWithoutCluster(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{ShardedPubSubPartitions: 16}, single(server))
	r.subscribe(many()...)
	r.works("before", many()...)
	server.Must("CLIENT", "KILL", "TYPE", "pubsub")
	for _, channel := range many() {
		r.rec.WaitResumed(t, channel, 1)
	}
	r.works("after", many()...)
	if n, err := server.Do("EXISTS", "centrifugo.stream.news:0").AsInt64(); err != nil || n != 1 {
		t.Errorf("%d, %v: the stream has another name", n, err)
	}
	server.Kill()
	r.unreachable()
	server.Restart()
	r.works("restarted", many()...)
}

// TestClusterFailover: subscriptions outlive the loss of a node, and its replica takes over.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3, 1)
	var rigs []*rig
	for _, form := range forms {
		r := newRig(t, form.cfg, redislink.Config{ClusterAddress: []string{c.Addrs()}})
		r.subscribe(many()...)
		r.works("before", many()...)
		rigs = append(rigs, r)
	}
	c.Servers[1].Kill()
	for _, r := range rigs {
		r.works("after the failover", many()...)
	}
	c.Servers[1].Restart()
	c.WaitServes()
	for _, r := range rigs {
		r.works("with the old node as replica", many()...)
	}
	// The administrator's way: the two change places, and no connection is lost.
	c.Servers[1].Must("CLUSTER", "FAILOVER")
	for _, r := range rigs {
		r.works("after they changed places", many()...)
	}
}

// TestSlotMoves: with sharded pub/sub a channel moves to another node with its slot. Redis ends the subscription then, and the new
// node has to be found out.
func TestSlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 2, 0)
	cfg := redisengine.Config{Prefix: "moving", ShardedPubSubPartitions: 8}
	r := newRig(t, cfg, redislink.Config{ClusterAddress: []string{c.Addrs()}})
	channel := "news"
	partition := redislink.Bucket(channel, cfg.ShardedPubSubPartitions)
	var others []string
	for i := range 20 {
		others = append(others, fmt.Sprint("other:", i))
	}
	r.subscribe(append(others, channel)...)
	first := r.publish(channel, "before")
	for round := 1; round <= 4; round++ {
		moveSlot(t, c, fmt.Sprintf("{%d}", partition))
		r.rec.WaitResumed(t, channel, round)
		r.works(fmt.Sprint("round ", round), append(others, channel)...)
	}
	_, at, err := r.History(t.Context(), channel, engine.HistoryFilter{})
	if err != nil || at.Epoch != first.Epoch || at.Offset < 5 {
		t.Errorf("position %v, %v: history began in %s", at, err, first.Epoch)
	}
}

// moveSlot moves the slot of a key to the other one of two nodes, with everything in it.
func moveSlot(t *testing.T, c *redistest.Nodes, key string) {
	t.Helper()
	from, to := c.Servers[0], c.Servers[1]
	if c.MasterOf(key) == to {
		from, to = to, from
	}
	number, err := from.Do("CLUSTER", "KEYSLOT", key).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	slot := strconv.FormatInt(number, 10)
	fromID, toID := from.Must("CLUSTER", "MYID"), to.Must("CLUSTER", "MYID")
	to.Must("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.Must("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	for {
		keys, err := from.Do("CLUSTER", "GETKEYSINSLOT", slot, "100").AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		from.Must(append([]string{"MIGRATE", "127.0.0.1", strconv.Itoa(to.Port), "", "0", "5000", "KEYS"}, keys...)...)
	}
	to.Must("CLUSTER", "SETSLOT", slot, "NODE", toID)
	from.Must("CLUSTER", "SETSLOT", slot, "NODE", toID)
}

// TestClusterFrozenNode: a node that falls silent takes nobody else with it.
func TestClusterFrozenNode(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3, 1)
	r := newRig(t, forms[1].cfg, redislink.Config{ClusterAddress: []string{c.Addrs()}})
	r.subscribe(many()...)
	c.Servers[2].Freeze()
	r.works("while one is silent", many()...) // its replica takes over
	c.Servers[2].Thaw()
	r.works("after it", many()...)
}

// TestClusterDown: a cluster with a hole answers for the rest, and says of the hole that it is there.
func TestClusterDown(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 2, 0, "--cluster-require-full-coverage", "no", "--cluster-allow-pubsubshard-when-down", "no")
	r := newRig(t, forms[1].cfg, redislink.Config{ClusterAddress: []string{c.Addrs()}})
	names := many()
	r.subscribe(names...)
	c.Servers[1].Kill()
	lost := 0
	for _, channel := range names {
		eventually(t, "an answer for "+channel, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, _, err := r.History(ctx, channel, engine.HistoryFilter{})
			if err != nil && !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("%s: %v, want ErrUnreachable", channel, err)
			}
			if err != nil {
				lost++
			}
			return true
		})
	}
	if lost == 0 || lost == len(names) {
		t.Errorf("%d of %d channels are lost with one of two nodes", lost, len(names))
	}
	c.Servers[1].Restart()
	c.WaitServes()
	r.works("whole again", names...)
}
