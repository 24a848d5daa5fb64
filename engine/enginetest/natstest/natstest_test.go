package natstest_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"stentor/engine/enginetest/natstest"
)

// TestServer: a server that was killed is gone, a frozen one is silent, and both come back on the same port.
func TestServer(t *testing.T) {
	s := natstest.Start(t)
	url := s.URL()
	if !greets(t, url, 10*time.Second) {
		t.Fatal("no greeting from a server that has started")
	}
	s.Freeze()
	if greets(t, url, 200*time.Millisecond) {
		t.Error("a frozen server greets")
	}
	s.Thaw()
	if !greets(t, url, 10*time.Second) {
		t.Error("no greeting after a thaw")
	}
	s.Freeze()
	s.Kill()
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://")); err == nil {
		t.Error("a killed server is still there")
	}
	s.Restart()
	if s.URL() != url || !greets(t, url, 10*time.Second) {
		t.Errorf("%s does not greet after a restart at %s", s.URL(), url)
	}
}

func greets(t *testing.T, url string, patience time.Duration) bool {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	n, _ := conn.Read(make([]byte, 4))
	return n == 4
}
