package redistest

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSingle(t *testing.T) {
	s := Start(t)
	other := Start(t)
	if s.Port == other.Port || s.Dir == other.Dir {
		t.Fatalf("two servers share a place: %d, %s", s.Port, s.Dir)
	}
	s.Must("SET", "k", "v")
	s.Kill()
	if _, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
		t.Error("a killed server answers")
	}
	s.Restart("--appendonly", "yes", "--appendfsync", "always")
	if got := s.Must("GET", "k"); got != "" {
		t.Errorf("a server that keeps nothing kept %q", got)
	}
	s.Must("SET", "k", "w")
	s.Kill()
	s.Restart("--appendonly", "yes")
	if got := s.Must("GET", "k"); got != "w" {
		t.Errorf("a server that writes everything down has %q", got)
	}
}

func TestFrozen(t *testing.T) {
	s := Start(t)
	s.Freeze()
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 10)); n > 0 || err == nil {
		t.Errorf("a frozen server said %d bytes, %v", n, err)
	}
	s.Thaw()
	s.Must("PING")
	s.Freeze() // the end of the test has to cope with it
}

func TestEndsWithTest(t *testing.T) {
	var pid int
	t.Run("one", func(t *testing.T) { pid = Start(t).Pid() })
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d after its test: %v", pid, err)
	}
}

func TestPassword(t *testing.T) {
	s := Start(t, "--requirepass", "secret")
	s.Must("SET", "k", "v")
	if !s.AtLeast(5, 0) || s.AtLeast(1000, 0) {
		t.Error("the version makes no sense")
	}
}

func TestTLS(t *testing.T) {
	s := StartTLS(t, NewAuthority(t), "--tls-auth-clients", "yes")
	s.Must("SET", "k", "v")
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("PING\r\n"))
	_ = c.SetReadDeadline(time.Now().Add(Patience))
	answer := make([]byte, 10)
	if n, _ := c.Read(answer); strings.Contains(string(answer[:n]), "PONG") {
		t.Error("it speaks plain text")
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	g := Sentinel(t)
	first := g.Master()
	first.Must("SET", "k", "v")
	eventually(t, "the replica has it", func() bool { return g.Servers[1].Must("GET", "k") == "v" })
	if killed := g.Failover(); killed != first || g.Master() == first {
		t.Error("the master is the same")
	}
	if got := g.Master().Must("GET", "k"); got != "v" {
		t.Errorf("the new master has %q", got)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := Cluster(t, 3, 1)
	master := c.MasterOf("k")
	master.Must("SET", "k", "v")
	eventually(t, "a replica has it", func() bool {
		for _, s := range c.Servers[3:] {
			if n, err := s.Do("DBSIZE").AsInt64(); err == nil && n == 1 {
				return true
			}
		}
		return false
	})
	master.Kill()
	eventually(t, "the replica takes over", func() bool { return c.MasterOf("k") != master })
	c.WaitServes()
	if got := c.MasterOf("k").Must("GET", "k"); got != "v" {
		t.Errorf("the new master has %q", got)
	}
}
