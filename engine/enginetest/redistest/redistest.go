// Package redistest runs real Redis servers for tests: single ones, a master with replica and sentinels, clusters.
//
//	s := redistest.Start(t)              // a server of this test, gone with it
//	s.Kill(); s.Restart("--appendonly", "yes"); s.Freeze(); s.Thaw()
//
// Each server listens on a free port of 127.0.0.1 and has a directory of its own. It ends with its test and, on Linux, with the process
// of the test however that ends. What it wrote to its log is shown when the test fails.
//
// A port is taken from outside the range from which the system chooses ports of outgoing connections, and is locked by a file, so that it
// stays ours while a server is down and comes back. That the server who answers there is the one that was started is checked by
// its process id.
package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine/enginetest/testport"
)

// Patience is how long anything here is waited for.
const Patience = 30 * time.Second

// busPort is how far above their port the nodes of a cluster talk to each other.
const busPort = 10000

// startsMax is how often a server is started that ends at once: something else may have its port.
const startsMax = 5

// Server is one process of Redis. Its methods are for the goroutine of its test.
type Server struct {
	Addr string // host:port
	Port int
	Dir  string

	t        testing.TB
	fixed    []string    // arguments of every start
	tls      *tls.Config // nil without
	password string      // of the last start

	cmd    *exec.Cmd      // nil while it does not run
	gone   chan struct{}  // closed when the process has ended
	client rueidis.Client // made when it is first needed after a start
}

// Start runs a server that keeps nothing on disk, unless args say otherwise. They are those of the command line: "--appendonly", "yes".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t)
	s.fixed = append([]string{"--port", strconv.Itoa(s.Port)}, s.usual()...)
	s.Restart(args...)
	return s
}

// usual are the arguments of every server but sentinels, without its port.
func (s *Server) usual() []string {
	return []string{"--bind", "127.0.0.1", "--dir", s.Dir, "--logfile", s.logFile(), "--daemonize", "no", "--save", ""}
}

func newServer(t testing.TB) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("this test needs redis-server: run scripts/install.sh")
	}
	port := testport.Take(t, busPort)
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Port: port, Dir: t.TempDir(), t: t}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			s.showLog()
		}
	})
	return s
}

// Restart stops the server if it runs and starts it again on the same port and directory, with these arguments instead of former ones.
func (s *Server) Restart(args ...string) {
	s.t.Helper()
	s.Stop()
	s.password = ""
	if i := slices.Index(args, "--requirepass"); i >= 0 && i+1 < len(args) {
		s.password = args[i+1]
	}
	var err error
	for range startsMax {
		if err = s.start(args); err == nil {
			return
		}
		s.Kill()
	}
	s.showLog()
	s.t.Fatalf("redis-server on %s: %v", s.Addr, err)
}

// start runs the process and waits until it answers.
func (s *Server) start(args []string) error {
	cmd := exec.Command("redis-server", append(append([]string{}, s.fixed...), args...)...)
	dieWithParent(cmd)
	gone := make(chan struct{})
	if err := startProcess(cmd, gone); err != nil {
		return err
	}
	s.cmd, s.gone = cmd, gone
	for end := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		err := s.answers()
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("it ended at once: %v", cmd.ProcessState)
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("no answer after %v: %w", Patience, err)
		}
	}
}

// answers reports that the process answers, and is the one that has the port.
func (s *Server) answers() error {
	info, err := s.Do("INFO", "server").ToString()
	if err != nil {
		return err
	}
	if !strings.Contains(info, fmt.Sprintf("\nprocess_id:%d\r", s.cmd.Process.Pid)) {
		return errors.New("another server has this port")
	}
	return s.Do("PING").Error() // an error while it reads its data
}

// Do asks the server, if it is there within Patience.
func (s *Server) Do(args ...string) rueidis.RedisResult {
	if s.client == nil {
		client, err := rueidis.NewClient(rueidis.ClientOption{
			InitAddress: []string{s.Addr}, ForceSingleClient: true, DisableCache: true, DisableRetry: true, TLSConfig: s.tls, Password: s.password,
			PipelineMultiplex: -1, RingScaleEachConn: 4, ReadBufferEachConn: 4096, WriteBufferEachConn: 4096,
		})
		if err != nil {
			if client != nil {
				client.Close()
			}
			return rueidis.NewErrorResult(err)
		}
		s.client = client
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return s.client.Do(ctx, s.client.B().Arbitrary(args...).Build())
}

// Must asks the server and fails the test if it does not agree. It returns the answer as text, if that is one.
func (s *Server) Must(args ...string) string {
	s.t.Helper()
	answer := s.Do(args...)
	if err := answer.Error(); err != nil && !rueidis.IsRedisNil(err) {
		s.t.Fatalf("%s at %s: %v", strings.Join(args, " "), s.Addr, err)
	}
	text, _ := answer.ToString()
	return text
}

// Pid is the process, 0 if it does not run.
func (s *Server) Pid() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Stop ends the server as an administrator does.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as a power cut does.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	s.signal(signal)
	s.signal(syscall.SIGCONT) // a frozen one would not hear
	select {
	case <-s.gone:
	case <-time.After(Patience):
		s.t.Errorf("redis-server %d does not end after %v", s.Pid(), signal)
		s.signal(syscall.SIGKILL)
		<-s.gone
	}
	s.cmd = nil
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

// Freeze stops the process without closing anything: its connections stay, and say nothing.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("%v to redis-server %d: %v", signal, s.Pid(), err)
	}
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "redis.log") }

// logShownMax is how much of a log is shown, in bytes.
const logShownMax = 4096

func (s *Server) showLog() {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		s.t.Logf("the log of redis-server on %s: %v", s.Addr, err)
		return
	}
	s.t.Logf("the end of the log of redis-server on %s:\n%s", s.Addr, text[max(0, len(text)-logShownMax):])
}

// AtLeast reports that the server's version is this one or later.
func (s *Server) AtLeast(major, minor int) bool {
	s.t.Helper()
	for line := range strings.Lines(s.Must("INFO", "server")) {
		version, is := strings.CutPrefix(line, "redis_version:")
		if !is {
			continue
		}
		var has, minorHas int
		if _, err := fmt.Sscanf(version, "%d.%d", &has, &minorHas); err != nil {
			s.t.Fatalf("version %q: %v", version, err)
		}
		return has > major || has == major && minorHas >= minor
	}
	s.t.Fatal("the server does not tell its version")
	return false
}

// eventually waits until holds does.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: still not so after %v", what, Patience)
		}
	}
}

// says reports that what INFO tells of a section has all these lines.
func (s *Server) says(section string, lines ...string) bool {
	info, err := s.Do("INFO", section).ToString()
	for _, line := range lines {
		if err != nil || !strings.Contains(info, line+"\r\n") {
			return false
		}
	}
	return true
}
