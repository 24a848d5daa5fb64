package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// clusterNodeTimeout is after how many milliseconds of silence a node of a cluster is taken for gone.
const clusterNodeTimeout = 2000

// slots is how many a cluster has.
const slots = 16384

// Nodes are a cluster.
type Nodes struct {
	Servers []*Server // the masters, then the replicas

	t       testing.TB
	masters int
}

// Cluster starts one and waits until it serves. Replica i follows master i mod masters.
func Cluster(t testing.TB, masters, replicasEach int, args ...string) *Nodes {
	t.Helper()
	c := &Nodes{t: t, masters: masters}
	args = append([]string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", strconv.Itoa(clusterNodeTimeout),
		"--repl-diskless-sync-delay", "0",
	}, args...)
	for range masters * (1 + replicasEach) {
		s := newServer(t)
		s.fixed = append(append([]string{"--port", strconv.Itoa(s.Port)}, s.usual()...), args...)
		s.Restart()
		c.Servers = append(c.Servers, s)
	}
	c.share()
	eventually(t, "the nodes know each other", func() bool {
		for _, s := range c.Servers {
			if !s.clusterSays("cluster_known_nodes:" + strconv.Itoa(len(c.Servers))) {
				return false
			}
		}
		return true
	})
	for i, s := range c.Servers[masters:] {
		s.Must("CLUSTER", "REPLICATE", c.Servers[i%masters].Must("CLUSTER", "MYID"))
	}
	c.WaitServes()
	return c
}

// share gives each master its slots and has the nodes meet.
func (c *Nodes) share() {
	c.t.Helper()
	for i, s := range c.Servers[:c.masters] {
		command := []string{"CLUSTER", "ADDSLOTS"}
		for slot := i * slots / c.masters; slot < (i+1)*slots/c.masters; slot++ {
			command = append(command, strconv.Itoa(slot))
		}
		s.Must(command...)
		s.Must("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for _, s := range c.Servers[1:] {
		s.Must("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.Servers[0].Port))
	}
}

func (s *Server) clusterSays(line string) bool {
	info, err := s.Do("CLUSTER", "INFO").ToString()
	return err == nil && strings.Contains(info, line+"\r\n")
}

// WaitServes waits until all nodes that run agree that every slot is served, each replica with its master.
func (c *Nodes) WaitServes() {
	c.t.Helper()
	eventually(c.t, "the cluster serves", func() bool {
		for _, s := range c.Servers {
			if s.cmd == nil {
				continue
			}
			if !s.clusterSays("cluster_state:ok") || !s.clusterSays(fmt.Sprintf("cluster_slots_ok:%d", slots)) {
				return false
			}
			if s.says("replication", "role:slave") && !s.says("replication", "master_link_status:up") {
				return false
			}
		}
		return true
	})
}

// Addrs are all nodes, separated by commas.
func (c *Nodes) Addrs() string {
	list := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		list[i] = s.Addr
	}
	return strings.Join(list, ",")
}

// MasterOf is the node that keeps a key, as one that runs sees it.
func (c *Nodes) MasterOf(key string) *Server {
	c.t.Helper()
	for _, s := range c.Servers {
		if s.cmd == nil {
			continue
		}
		slot, err := s.Do("CLUSTER", "KEYSLOT", key).AsInt64()
		if err != nil {
			c.t.Fatal(err)
		}
		table, err := s.Do("CLUSTER", "SLOTS").ToArray()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, row := range table {
			row, _ := row.ToArray()
			first, _ := row[0].AsInt64()
			last, _ := row[1].AsInt64()
			if slot < first || slot > last {
				continue
			}
			at, _ := row[2].ToArray()
			port, _ := at[1].AsInt64()
			return c.at(int(port))
		}
	}
	c.t.Fatalf("nobody keeps %s", key)
	return nil
}

func (c *Nodes) at(port int) *Server {
	c.t.Helper()
	for _, s := range c.Servers {
		if s.Port == port {
			return s
		}
	}
	c.t.Fatalf("port %d is not of this cluster", port)
	return nil
}
