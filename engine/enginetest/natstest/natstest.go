// Package natstest runs NATS servers for tests: the program nats-server, as a process of its own that can be killed, frozen and started
// again.
package natstest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"stentor/engine/enginetest/testport"
)

// startTimeout is how long a server may take until it accepts connections.
const startTimeout = 20 * time.Second

// Server is one NATS server on a port of 127.0.0.1, which it keeps over restarts. It ends with its test.
type Server struct {
	t       testing.TB
	program string
	args    []string
	port    int
	log     string // the name of its log

	mu      sync.Mutex
	process *process // nil while it does not run
}

// process is one run of the program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start runs a server, with further arguments for the program if there are any. Without the program the test fails.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, program: find(t), args: args, port: testport.Take(t), log: filepath.Join(t.TempDir(), "nats.log")}
	t.Cleanup(s.stop)
	s.Restart()
	return s
}

// find looks where the package of Debian puts the program, too, which is not on everybody's path.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"nats-server", "/usr/sbin/nats-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this test needs the program nats-server: run scripts/install.sh")
	return ""
}

// URL is how clients reach the server.
func (s *Server) URL() string { return "nats://" + s.address() }

func (s *Server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Kill ends the server with SIGKILL, frozen or not.
func (s *Server) Kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	s.mu.Lock()
	defer s.mu.Unlock()
	<-s.process.done
	s.process = nil
}

// Freeze stops the server without ending it: its connections stay open and nothing is answered.
func (s *Server) Freeze() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	for end := time.Now().Add(startTimeout); !standsStill(s.process.cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("natstest: the server does not stand still")
		}
	}
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

// Restart runs the server anew on its port, after Kill.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.run(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Fatal("natstest: the server does not run")
	}
	if err := s.process.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// run starts the program and waits until it accepts connections.
func (s *Server) run() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return errors.New("natstest: the server runs already")
	}
	out, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(s.program, append([]string{"--addr", "127.0.0.1", "--port", strconv.Itoa(s.port)}, s.args...)...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, attributes()
	if err := start(cmd); err != nil {
		return err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // it is killed, so it fails
		close(p.done)
	}()
	if err := s.await(p); err != nil {
		_ = cmd.Process.Kill()
		<-p.done
		return err
	}
	s.process = p
	return nil
}

// starts carries programs to the thread that starts them all. On Linux a process that is to die with its parent dies with the thread that
// started it, and threads may end before the process does; this one does not.
var starts = sync.OnceValue(func() chan<- func() {
	queue := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range queue {
			start()
		}
	}()
	return queue
})

func start(cmd *exec.Cmd) error {
	started := make(chan error)
	starts() <- func() { started <- cmd.Start() }
	return <-started
}

// await waits until the server greets.
func (s *Server) await(p *process) error {
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.done:
			log, _ := os.ReadFile(s.log)
			return fmt.Errorf("natstest: %s ended at once and says: %s", s.program, log)
		default:
		}
		if s.greets() {
			return nil
		}
	}
	return fmt.Errorf("natstest: %s does not answer on %s", s.program, s.address())
}

func (s *Server) greets() bool {
	conn, err := net.DialTimeout("tcp", s.address(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	info := make([]byte, 4)
	n, _ := conn.Read(info)
	return string(info[:n]) == "INFO"
}

// stop ends the server with its test.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.cmd.Process.Kill()
		<-s.process.done
		s.process = nil
	}
}
