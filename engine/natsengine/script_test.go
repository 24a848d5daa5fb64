package natsengine_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// script is a server that greets, answers pings, and says what it is told to.
type script struct {
	listener net.Listener

	mu   sync.Mutex
	last net.Conn
}

func newScript(t *testing.T) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{listener: l}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.last = conn
			s.mu.Unlock()
			conns.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		if s.last != nil {
			s.last.Close()
		}
		s.mu.Unlock()
		conns.Wait()
	})
	return s
}

func (s *script) url() string { return "nats://" + s.listener.Addr().String() }

func (s *script) serve(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "INFO {\"server_id\":\"script\",\"max_payload\":1048576,\"proto\":1}\r\n")
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "PING") {
			s.mu.Lock()
			fmt.Fprint(conn, "PONG\r\n")
			s.mu.Unlock()
		}
	}
}

// say sends text to the newest client.
func (s *script) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(s.last, text)
}
