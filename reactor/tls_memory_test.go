package reactor

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"syscall"
	"testing"
)

// silentTLSClients connects and upgrades n clients that have a descriptor each and nothing on the heap: what crypto/tls needed for
// the handshake is forgotten.
func silentTLSClients(t testing.TB, r *Reactor, n int, config *tls.Config) []int {
	fds := make([]int, 0, n)
	t.Cleanup(func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	})
	for range n {
		conn, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := &client{tls.Client(conn, config), t, nil}
		c.in = newReader(c.Conn)
		c.say(upgradeRequest())
		c.upgraded()
		file, err := conn.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Dup(int(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		file.Close()
		conn.Close()
	}
	return fds
}

// idleTLSBytesMax and idleTLSObjectsMax are what an idle conn with TLS may cost more than one without.
const (
	idleTLSBytesMax   = 3700
	idleTLSObjectsMax = 21
)

func TestMemoryOfIdleTLSConns(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has its own memory")
	}
	overBoth(t, func(t *testing.T, version uint16) {
		const clients = 300
		r := start(t, Config{Loops: 2, TLS: serverTLS()}, routes(func(*Head) Verdict {
			return Verdict{Kind: Upgrade, Open: func(*Conn) Receiver { return idler{} }}
		}))
		config := clientTLS(version)
		silentTLSClients(t, r, 100, config) // pools and tables get their first size
		bytesBefore, objectsBefore := heap()
		silentTLSClients(t, r, clients, config)
		eventually(t, "no handshake goes on", func() bool { return r.Stats().Handshaking == 0 })
		bytesAfter, objectsAfter := heap()
		bytes := float64(bytesAfter-bytesBefore) / clients
		objects := float64(objectsAfter-objectsBefore) / clients
		t.Logf("%.0f bytes and %.2f objects per idle conn", bytes, objects)
		if bytes > idleBytesMax+idleTLSBytesMax || objects > idleObjectsMax+idleTLSObjectsMax {
			t.Errorf("%.0f bytes and %.2f objects per idle conn, want %d and %d at the most",
				bytes, objects, idleBytesMax+idleTLSBytesMax, idleObjectsMax+idleTLSObjectsMax)
		}
	})
}

// crypto/tls's Conn is laid out as tlslayout.go takes it to be. When this fails after a new version of Go: read whether rawInput
// and hand are still empty between two records and made anew when they are needed, and change tlslayout.go. Until then an idle
// conn costs some KB more and nothing else happens.
func TestTLSLayout(t *testing.T) {
	if !tlsLayout.known {
		t.Error("tls.Conn is not what it was in Go 1.26")
	}
	for _, x := range []any{0, struct{}{}, struct{ rawInput, hand []byte }{}, struct{ rawInput bytes.Buffer }{}} {
		if tlsLayoutOf(reflect.TypeOf(x)).known {
			t.Errorf("%T passes for a tls.Conn", x)
		}
	}
}
