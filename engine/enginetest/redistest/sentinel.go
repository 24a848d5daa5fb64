package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// MasterName is what the sentinels of tests call the master they watch.
const MasterName = "tested"

// Times of sentinels, in milliseconds: a master silent for sentinelDownAfter is replaced, but none within twice sentinelFailoverTimeout
// after the last one.
const (
	sentinelDownAfter       = 1000
	sentinelFailoverTimeout = 2000
)

// Group is a master, its replica, and three sentinels of which two decide.
type Group struct {
	Servers   [2]*Server // the first one begins as master
	Sentinels [3]*Server

	t testing.TB
}

// Sentinel starts a group. Arguments are those of its two servers.
func Sentinel(t testing.TB, args ...string) *Group {
	t.Helper()
	g := &Group{t: t}
	args = append([]string{"--repl-diskless-sync-delay", "0"}, args...) // a replica is served at once
	g.Servers[0] = Start(t, args...)
	port := strconv.Itoa(g.Servers[0].Port)
	g.Servers[1] = Start(t, append([]string{"--replicaof", "127.0.0.1 " + port}, args...)...)
	eventually(t, "the replica follows the master", func() bool {
		return g.Servers[1].says("replication", "master_link_status:up") && g.Servers[0].says("replication", "connected_slaves:1")
	})
	for i := range g.Sentinels {
		g.Sentinels[i] = startSentinel(t, port)
	}
	eventually(t, "the sentinels know each other and the replica", func() bool {
		for _, s := range g.Sentinels {
			master, err := s.Do("SENTINEL", "MASTER", MasterName).AsStrMap()
			if err != nil || master["num-other-sentinels"] != "2" || master["num-slaves"] != "1" || master["flags"] != "master" {
				return false
			}
		}
		return true
	})
	return g
}

// startSentinel runs one. It writes what it learns into its configuration, so it needs a file.
func startSentinel(t testing.TB, masterPort string) *Server {
	t.Helper()
	s := newServer(t)
	file := filepath.Join(s.Dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nlogfile %s\n", s.Port, s.Dir, s.logFile()) +
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s 2\n", MasterName, masterPort) +
		fmt.Sprintf("sentinel down-after-milliseconds %s %d\n", MasterName, sentinelDownAfter) +
		fmt.Sprintf("sentinel failover-timeout %s %d\n", MasterName, sentinelFailoverTimeout)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fixed = []string{file, "--sentinel"}
	s.Restart()
	return s
}

// Addrs are the sentinels, separated by commas.
func (g *Group) Addrs() string {
	list := make([]string, len(g.Sentinels))
	for i, s := range g.Sentinels {
		list[i] = s.Addr
	}
	return strings.Join(list, ",")
}

// Master is whom the sentinels take for master.
func (g *Group) Master() *Server {
	g.t.Helper()
	at, err := g.Sentinels[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).AsStrSlice()
	if err != nil || len(at) != 2 {
		g.t.Fatalf("who is master: %v, %v", at, err)
	}
	for _, s := range g.Servers {
		if at[1] == strconv.Itoa(s.Port) {
			return s
		}
	}
	g.t.Fatalf("who is master: %v, who is not of this group", at)
	return nil
}

// Failover kills the master and waits until the other one has taken over. It returns the one that was killed.
func (g *Group) Failover() *Server {
	g.t.Helper()
	old := g.Master()
	old.Kill()
	g.WaitReplaced(old)
	return old
}

// WaitReplaced waits until another server than old is master for all sentinels, and knows it.
func (g *Group) WaitReplaced(old *Server) {
	g.t.Helper()
	other := g.Servers[0]
	if old == other {
		other = g.Servers[1]
	}
	eventually(g.t, "the replica takes over", func() bool {
		for _, s := range g.Sentinels {
			at, err := s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).AsStrSlice()
			if err != nil || len(at) != 2 || at[1] != strconv.Itoa(other.Port) {
				return false
			}
		}
		return other.says("replication", "role:master")
	})
}
