package natstest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Ports of servers, below those of outgoing connections: otherwise one of these could have the port while its server is down.
const (
	portMin = 5000
	portMax = 12000
)

// portTriesMax is how many ports are tried.
const portTriesMax = 1000

// takePort finds a free port and keeps it for this test, from other tests as well.
func takePort(t testing.TB) int {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("stentor-natstest-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range portTriesMax {
		port := portMin + rand.IntN(portMax-portMin)
		lock, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && isFree(port) {
			t.Cleanup(func() { lock.Close() }) // the file stays: who has it open, has the lock
			return port
		}
		lock.Close()
	}
	t.Fatalf("no free port between %d and %d", portMin, portMax)
	return 0
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
