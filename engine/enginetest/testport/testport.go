// Package testport gives tests ports for servers that they start, stop and start again.
//
// A port is taken from outside the range from which the system chooses ports of outgoing connections, and is locked by a file for as long
// as the test runs: otherwise one of these, or another test, could have it while its server is down.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Ports that are given out.
const (
	portMin = 5000
	portMax = 22000
)

// triesMax is how many ports are tried.
const triesMax = 1000

// Take finds a free port of 127.0.0.1 and keeps it for this test. The ports that are each of the distances above it are free, too.
func Take(t testing.TB, distances ...int) int {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("stentor-testport-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range triesMax {
		port := portMin + rand.IntN(portMax-portMin)
		unlock := lock(t, dir, port)
		if unlock == nil {
			continue
		}
		if free(port, distances) {
			t.Cleanup(unlock)
			return port
		}
		unlock()
	}
	t.Fatalf("no free port between %d and %d", portMin, portMax)
	return 0
}

// lock keeps other tests from a port; nil if one has it.
func lock(t testing.TB, dir string, port int) (unlock func()) {
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

func free(port int, distances []int) bool {
	for _, d := range append([]int{0}, distances...) {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+d))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
