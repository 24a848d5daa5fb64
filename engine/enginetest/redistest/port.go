package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Ports of servers, below those of outgoing connections. The nodes of a cluster talk to each other busPort above.
const (
	portMin = 12000
	portMax = 22000
	busPort = 10000
)

// portTriesMax is how many ports are tried.
const portTriesMax = 1000

// takePort finds a free port and keeps it for this test.
func takePort(t testing.TB) int {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("stentor-redistest-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range portTriesMax {
		port := portMin + rand.IntN(portMax-portMin)
		unlock := lockPort(t, dir, port)
		if unlock == nil {
			continue
		}
		if free(port) && free(port+busPort) {
			t.Cleanup(unlock)
			return port
		}
		unlock()
	}
	t.Fatalf("no free port between %d and %d", portMin, portMax)
	return 0
}

// lockPort keeps other tests from a port; nil if one has it.
func lockPort(t testing.TB, dir string, port int) (unlock func()) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil
	}
	return func() { file.Close() } // the file stays: who has it open, has the lock
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
