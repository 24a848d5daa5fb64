package reactor

import (
	"crypto/tls"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkFanout is one delivery to each of many conns, per conn: noted in a walk and written at its end, as a publication is.
// BenchmarkBareFanout is write(2) alone. Nobody reads meanwhile, so that the difference is ours and gnet's.
func BenchmarkFanout(b *testing.B) {
	fanout(b, noteAndFlush)
}

func BenchmarkBareFanout(b *testing.B) {
	fanout(b, func(conns []*Conn, frame []byte) {
		for _, c := range conns {
			_, _ = unix.Write(c.gc.Fd(), frame)
		}
	})
}

// BenchmarkTLSFanout is BenchmarkFanout over TLS 1.3: a record for each delivery.
func BenchmarkTLSFanout(b *testing.B) {
	fanoutOn(b, Config{TLS: serverTLS()}, func(r *Reactor, n int) []int {
		return silentTLSClients(b, r, n, clientTLS(tls.VersionTLS13))
	}, noteAndFlush)
}

func noteAndFlush(conns []*Conn, frame []byte) {
	for _, c := range conns {
		c.Write(frame)
	}
	for _, c := range conns {
		c.resident().Flush()
	}
}

func fanout(b *testing.B, deliver func([]*Conn, []byte)) {
	fanoutOn(b, Config{}, func(r *Reactor, n int) []int { return rawClients(b, r, n) }, deliver)
}

func fanoutOn(b *testing.B, cfg Config, connect func(*Reactor, int) []int, deliver func([]*Conn, []byte)) {
	const clients, rounds = 1000, 100 // what all rounds bring fits the sockets' buffers
	router, ch := conns(silent)
	r := start(b, cfg, router)
	fds := connect(r, clients)
	all := make([]*Conn, clients)
	for i := range all {
		all[i] = <-ch
	}
	f := frame(strings.Repeat("x", 100))
	trash := make([]byte, 64<<10)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		onLoop(r, 0, func() {
			for range rounds {
				deliver(all, f)
				if done += clients; done >= b.N {
					break
				}
			}
		})
		b.StopTimer()
		for _, fd := range fds {
			for n := len(trash); n == len(trash); {
				n, _, _ = syscall.Recvfrom(fd, trash, syscall.MSG_DONTWAIT)
			}
		}
		b.StartTimer()
	}
}
