package reactor

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// childEnv makes the test binary a server of its own, with few descriptors.
const childEnv = "REACTOR_TEST_CHILD"

const childDescriptors = DescriptorsKept + 100

// TestChild is the server of TestDescriptorsDoNotRunOut.
func TestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("runs as the child of TestDescriptorsDoNotRunOut")
	}
	limit := syscall.Rlimit{Cur: childDescriptors, Max: childDescriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	r, l := startLogged(t, Config{Loops: 2, MaxConns: 1 << 20}, upgradeTo(echo))
	fmt.Printf("\naddress %s %d\n", r.Addr(), r.Stats().ConnsMax)
	if !strings.Contains(l.String(), "fewer connections than asked for") {
		t.Errorf("logged %q", l.String())
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the parent ends it
}

// A server that is asked for more conns than it has descriptors lets in as many as are safe, refuses the others, and lives on.
func TestDescriptorsDoNotRunOut(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	child.Env = append(os.Environ(), childEnv+"=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	var most int
	lines := bufio.NewScanner(out)
	for most == 0 && lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "address %s %d", &address, &most)
	}
	if most < 50 || most > 100 {
		t.Errorf("the child lets in %d", most)
	}
	var refused atomic.Int64
	var readers sync.WaitGroup
	var conns []net.Conn
	for range childDescriptors + 200 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("after %d conns: %v", len(conns), err)
		}
		conns = append(conns, conn)
		readers.Go(func() {
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil && strings.HasPrefix(line, "HTTP/1.1 503 ") {
				refused.Add(1)
			}
		})
	}
	eventually(t, "all the others are refused", func() bool { return refused.Load() == int64(len(conns)-most) })
	for _, conn := range conns {
		conn.Close()
	}
	readers.Wait()
	eventually(t, "there is room again", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(waitMax)); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(upgradeRequest()))
		line, err := bufio.NewReader(conn).ReadString('\n')
		return err == nil && strings.HasPrefix(line, "HTTP/1.1 101 ")
	})
	in.Close()
	for lines.Scan() {
		if strings.Contains(lines.Text(), "FAIL") {
			t.Errorf("the child says %s", lines.Text())
		}
	}
	if err := child.Wait(); err != nil {
		t.Errorf("the child ended with %v", err)
	}
}
