package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PortMark stands in a command for a free port, which is then chosen for it.
const PortMark = "{port}"

// Limits of a server that is started.
const (
	// ReadyTimeout is how long it may take until its port answers.
	ReadyTimeout = 30 * time.Second
	// StopTimeout is how long it may take to end after SIGTERM: a server drains its clients.
	StopTimeout = 20 * time.Second

	askEvery = 20 * time.Millisecond
)

// FreePort is a port of 127.0.0.1 that nobody listens on now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Server is a server process. Make it with Start.
type Server struct {
	cmd  *exec.Cmd
	said tail
	done chan struct{}
	err  error // once done
}

// Start runs command in a shell that it takes the place of, so that the process is the server's own. It does not outlive this process.
func Start(command string, port int) (*Server, error) {
	command = strings.ReplaceAll(command, PortMark, strconv.Itoa(port))
	s := &Server{cmd: exec.Command("/bin/sh", "-c", "exec "+command), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	s.cmd.SysProcAttr = attributes()
	started := make(chan error)
	go func() {
		// The kernel ends a child when the thread that started it ends, so that this thread has to stay.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			close(s.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	return s, nil
}

// PID is the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says how the process ended, with the last that it said. It is to be called after Done.
func (s *Server) Err() error {
	how := "exit status 0"
	if s.err != nil {
		how = s.err.Error()
	}
	text := "the server ended: " + how
	if said := s.said.String(); said != "" {
		text += ", and last said:\n" + said
	}
	return errors.New(text)
}

// Await returns when addr takes conns. A server that ends before that is an error.
func (s *Server) Await(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, ReadyTimeout, fmt.Errorf("the server does not listen on %s after %v: does the port in --server agree with --target?", addr, ReadyTimeout))
	defer cancel()
	every := time.NewTicker(askEvery)
	defer every.Stop()
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.done:
			return s.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-every.C:
		}
	}
}

// Stop asks the process to end and waits for it.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(StopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}
