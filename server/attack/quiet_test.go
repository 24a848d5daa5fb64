package attack

import (
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"stentor/codec/ws"
)

// quiet is a socket of which the Go runtime knows nothing: it adds nothing to the heap, so that what the heap grows by is the
// server's.
type quiet int

// dialQuiet opens a socket that the caller closes.
func dialQuiet(t *testing.T, h *house) quiet {
	t.Helper()
	addr := netip.MustParseAddrPort(h.addr)
	syscall.ForkLock.RLock() // a child process must not inherit it
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	q := quiet(fd)
	forgiving := unix.NsecToTimeval(int64(2 * patience))
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &forgiving)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	}
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (q quiet) close() { unix.Close(int(q)) }

func (q quiet) say(t *testing.T, s string) {
	t.Helper()
	if n, err := unix.Write(int(q), []byte(s)); n != len(s) {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(s), err)
	}
}

// Read implements io.Reader.
func (q quiet) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(q), b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (q quiet) hearUpgrade(t *testing.T) {
	t.Helper()
	var head strings.Builder
	for b := make([]byte, 1); !strings.HasSuffix(head.String(), "\r\n\r\n"); head.WriteByte(b[0]) {
		if _, err := q.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(head.String(), ws.AcceptKey(testKey)) {
		t.Fatalf("no upgrade: %q", head.String())
	}
}

// hearAll reads until the server ends the connection.
func (q quiet) hearAll(t *testing.T) string {
	t.Helper()
	all, err := io.ReadAll(q)
	if err != nil {
		t.Fatalf("%v, after %q", err, all)
	}
	return string(all)
}

// setReceiveBuffer makes the window of a socket small.
func setReceiveBuffer(fd uintptr, bytes int) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
}
