package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"stentor/engine/enginetest/redistest"
)

// redisEngine is the engine of nodes over Redis; more are fields of its block, JSON.
func redisEngine(more string) string {
	return `"engine":{"type":"redis","redis":{"connect_timeout":"1s","io_timeout":"2s",` + more + `}}`
}

// addresses is the field of that name.
func addresses(list ...string) string {
	text, _ := json.Marshal(list) // strings have JSON
	return `"address":` + string(text)
}

// redisFault is a fault of a single Redis server, which the nodes reach through a line.
type redisFault struct {
	name    string
	args    []string // of the server
	happens func(s *redistest.Server, n *line)
	check   func(t *testing.T, a account)
}

// outage is how long faults last: longer than any time-out that the nodes have.
const outage = 5 * time.Second

var redisFaults = []redisFault{
	{name: "killed, all forgotten", happens: func(s *redistest.Server, _ *line) {
		s.Kill()
		time.Sleep(2 * time.Second)
		s.Restart()
	}},
	{name: "killed, all kept", args: []string{"--appendonly", "yes", "--appendfsync", "always"}, happens: func(s *redistest.Server, _ *line) {
		s.Kill()
		time.Sleep(2 * time.Second)
		s.Restart("--appendonly", "yes", "--appendfsync", "always")
	}, check: func(t *testing.T, a account) {
		if a.announced > 0 { // the epoch goes on: whatever was missed is recovered
			t.Errorf("%d publications did not come although Redis kept them", a.announced)
		}
	}},
	{name: "frozen", happens: func(s *redistest.Server, _ *line) {
		s.Freeze()
		time.Sleep(outage)
		s.Thaw()
	}, check: nothingMissed},
	{name: "connections reset", happens: func(_ *redistest.Server, n *line) {
		n.cut()
		time.Sleep(2 * time.Second)
		n.mend()
	}, check: nothingMissed},
	{name: "partitioned in silence", happens: func(_ *redistest.Server, n *line) {
		n.stall()
		time.Sleep(outage)
		n.flows()
	}, check: nothingMissed},
	{name: "slow", happens: func(_ *redistest.Server, n *line) {
		n.delay.Store(int64(200 * time.Millisecond))
		time.Sleep(outage)
		n.delay.Store(0)
	}, check: nothingMissed},
	{name: "flushed", happens: func(s *redistest.Server, _ *line) { s.Must("FLUSHALL") }},
	{name: "out of memory", happens: func(s *redistest.Server, _ *line) {
		s.Must("CONFIG", "SET", "maxmemory", "1")
		time.Sleep(2 * time.Second)
		s.Must("CONFIG", "SET", "maxmemory", "0")
	}, check: nothingMissed},
}

func nothingMissed(t *testing.T, a account) {
	t.Helper()
	if a.announced > 0 {
		t.Errorf("%d publications did not come although Redis had them", a.announced)
	}
}

// TestFaultsRedis: whatever becomes of Redis, clients stay connected, nothing that was acknowledged is lost without their being told,
// and service comes back by itself.
func TestFaultsRedis(t *testing.T) {
	for _, x := range redisFaults {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, x.args...)
			n := newLine(t, "http://"+s.Addr)
			c := newCluster(t, 2, redisEngine(addresses(strings.TrimPrefix(n.url, "http://"))), "log", faultChannels, fansPerChannel)
			a := c.play(fault{name: "Redis " + x.name, happens: func(*cluster) time.Time { x.happens(s, n); return time.Now() }})
			if x.check != nil {
				x.check(t, a)
			}
		})
	}
}

// TestRedisDownAtStart: nodes start without it, clients connect, and all is well when it comes.
func TestRedisDownAtStart(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	c := newCluster(t, 2, redisEngine(addresses(s.Addr)), "log", faultChannels, fansPerChannel)
	if _, _, err := c.publish(c.nodes[0], c.channels[0], -1); err == nil || !strings.Contains(err.Error(), `"code":100`) {
		t.Errorf("publish without Redis: %v, want error 100", err)
	}
	time.Sleep(time.Second)
	s.Restart()
	c.play(fault{name: "Redis down at start", happens: func(*cluster) time.Time { return time.Now() }})
}

// TestFaultsFailover: a master that goes is replaced. What only it had is gone with it, and clients are told.
func TestFaultsFailover(t *testing.T) {
	t.Run("Sentinel", func(t *testing.T) {
		g := redistest.Sentinel(t)
		sentinels, _ := json.Marshal([]string{g.Addrs()})
		engine := redisEngine(`"sentinel_address":` + string(sentinels) + `,"sentinel_master_name":"` + redistest.MasterName + `"`)
		c := newCluster(t, 2, engine, "log", faultChannels, fansPerChannel)
		c.play(fault{name: "Sentinel failover", happens: func(*cluster) time.Time { g.Failover(); return time.Now() }})
	})
	for name, more := range map[string]string{"Cluster": "", "Cluster, sharded PUB/SUB": `,"sharded_pub_sub_partitions":32`} {
		t.Run(name, func(t *testing.T) {
			g := redistest.Cluster(t, 3, 1)
			nodes, _ := json.Marshal([]string{g.Addrs()})
			c := newCluster(t, 2, redisEngine(`"cluster_address":`+string(nodes)+more), "log", faultChannels, fansPerChannel)
			c.play(fault{name: name + " failover", happens: func(*cluster) time.Time {
				g.Servers[0].Kill()
				g.WaitServes()
				return time.Now()
			}})
		})
	}
}
