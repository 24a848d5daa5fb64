package reactor

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
)

// BenchmarkHandshake is a TLS 1.3 handshake with an ECDSA certificate, both sides and the sockets included. The client resumes
// sessions where the name says so.
func BenchmarkHandshake(b *testing.B) { benchmarkHandshake(b, clientTLS(tls.VersionTLS13)) }

func BenchmarkHandshakeResumed(b *testing.B) {
	config := clientTLS(tls.VersionTLS13)
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1000)
	benchmarkHandshake(b, config)
}

func benchmarkHandshake(b *testing.B, config *tls.Config) {
	r := start(b, Config{TLS: serverTLS()}, upgradeTo(echo))
	handshake := func() {
		raw, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer raw.Close()
		conn := tls.Client(raw, config)
		c := &client{conn, b, newReader(conn)}
		c.say(upgradeRequest())
		c.upgraded()
	}
	b.ReportAllocs()
	for b.Loop() {
		var both sync.WaitGroup
		for range 8 {
			both.Go(handshake)
		}
		both.Wait()
	}
	b.ReportMetric(float64(8*b.N)/b.Elapsed().Seconds(), "handshakes/s")
}
