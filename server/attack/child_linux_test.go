package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"stentor/server"
)

// asChild makes the test binary a server with few descriptors: their number, and how many connections it is asked to take (0: as
// many as it can).
const asChild = "STENTOR_ATTACK_DESCRIPTORS"

func isChild() bool { return os.Getenv(asChild) != "" }

// runChild serves until its standard input ends. It says where, and how many clients it will take.
func runChild() int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var descriptors uint64
	cfg := settings()
	if _, err := fmt.Sscan(os.Getenv(asChild), &descriptors, &cfg.Reactor.MaxConnections); err != nil {
		return fail(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: descriptors, Max: descriptors}); err != nil {
		return fail(err)
	}
	s, err := server.New(server.Options{
		Config:     cfg,
		Log:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		OpenEngine: openMemoryEngine,
	})
	if err != nil {
		return fail(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		<-s.Ready()
		fmt.Println(s.Addr(), s.MaxConnections())
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	if err := s.Run(ctx); err != nil {
		return fail(err)
	}
	return 0
}

// child is a server in a process of its own.
type child struct {
	*house
	cmd   *exec.Cmd
	stdin io.Closer
	said  strings.Builder // its log; read it when it has ended
	room  int             // how many clients it takes
}

func startChild(t *testing.T, descriptors, connections int) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", asChild, descriptors, connections))
	c.cmd.Stderr = &c.said
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	t.Cleanup(c.stop(t))
	// All requests go over one connection, which is open before there are none left.
	c.house = &house{api: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: patience}}
	if _, err := fmt.Fscan(bufio.NewReader(stdout), &c.addr, &c.room); err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return c
}

// stop ends the process, in order.
func (c *child) stop(t *testing.T) func() {
	return func() {
		if c.house != nil {
			c.api.CloseIdleConnections()
		}
		c.stdin.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v and said:\n%s", err, c.said.String())
		}
	}
}
