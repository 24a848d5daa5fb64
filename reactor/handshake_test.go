package reactor

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTLSConfigIsChecked(t *testing.T) {
	for name, c := range map[string]*TLS{
		"no config":      {},
		"nil":            {Config: func() *tls.Config { return nil }},
		"dynamic sizes":  {Config: func() *tls.Config { return new(tls.Config) }},
		"negative limit": {Config: serverTLS().Config, HandshakesMax: -1},
	} {
		if _, err := New(Config{Addr: "127.0.0.1:0", TLS: c}, neverRoute(t)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTLSVersionsAreCounted(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
	a, b := dialWSS(t, r, clientTLS(tls.VersionTLS12)), dialWSS(t, r, clientTLS(tls.VersionTLS13))
	if s := r.Stats(); s.TLS12 != 1 || s.TLS13 != 1 || s.Handshakes != 2 || s.HandshakesDone != 2 || s.Adopted != 0 || s.Conns != 2 || s.Accepted != 2 {
		t.Errorf("%+v", s)
	}
	a.Close()
	b.Close()
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.TLS12 == 0 && s.TLS13 == 0 && s.Conns == 0 })
}

func TestTLSResumption(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
		config := clientTLS(version)
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i := range 3 {
			c := dialWSS(t, r, config)
			c.say(text("hello"))
			c.expect("hello") // and the tickets before it
			if got := c.Conn.(*tls.Conn).ConnectionState().DidResume; got != (i > 0) {
				t.Errorf("conn %d: resumed is %v", i, got)
			}
		}
	})
}

func TestTLSClientCertificates(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		r := start(t, Config{TLS: serverTLS(func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, testAuthority().pool
		})}, upgradeTo(echo))
		good := clientTLS(version)
		good.Certificates = []tls.Certificate{testAuthority().issue("client")}
		c := dialWSS(t, r, good)
		c.say(text("hello"))
		c.expect("hello")

		stranger := newAuthority()
		bad := clientTLS(version)
		bad.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert := stranger.issue("client")
			return &cert, nil
		}
		for name, config := range map[string]*tls.Config{"none": clientTLS(version), "of a stranger": bad} {
			conn := tls.Client(dialRaw(t, r).Conn, config)
			_, err := conn.Write([]byte("x"))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			if err == nil || !strings.Contains(err.Error(), "remote error: tls: ") {
				t.Errorf("%s: %v", name, err)
			}
		}
		eventually(t, "counted", func() bool { s := r.Stats(); return s.HandshakesFailed == 2 && s.Conns == 1 })
	})
}

// Handshakes that cannot succeed fail with the alert that says why.
func TestTLSHandshakeFailures(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, neverRoute(t))
	for _, c := range []struct {
		name, alert string
		change      func(*tls.Config)
	}{
		{"ALPN", "no application protocol", func(c *tls.Config) { c.NextProtos = []string{"smtp"} }},
		{"version", "protocol version", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }},
		{"cipher suite", "handshake failure", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}},
	} {
		config := clientTLS(0)
		c.change(config)
		err := tls.Client(dialRaw(t, r).Conn, config).Handshake()
		if err == nil || !strings.Contains(err.Error(), c.alert) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	eventually(t, "counted", func() bool { s := r.Stats(); return s.HandshakesFailed == 3 && s.HandshakesDone == 0 && s.Conns == 0 })
}

// A name that is far too long is the business of the tls.Config's functions; a hello that is too long is ours.
func TestTLSOversizeName(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, neverRoute(t))
	for _, n := range []int{10000, 17000} {
		config := clientTLS(0)
		config.ServerName, config.InsecureSkipVerify = strings.Repeat("x", n), true
		raw := dialRaw(t, r)
		err := tls.Client(raw.Conn, config).Handshake()
		if big := n > helloBytesMax; big == (err == nil) {
			t.Errorf("a name of %d bytes: %v", n, err)
		}
		raw.Close()
	}
	eventually(t, "all gone", func() bool { return r.Stats().Conns == 0 })
}

// A panic in a function of the tls.Config costs its own handshake only.
func TestTLSPanic(t *testing.T) {
	boom := true
	r := start(t, Config{TLS: serverTLS(func(c *tls.Config) {
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if boom {
				boom = false
				panic("boom")
			}
			return nil, nil
		}
	})}, upgradeTo(echo))
	if err := tls.Client(dialRaw(t, r).Conn, clientTLS(0)).Handshake(); err == nil {
		t.Error("no error")
	}
	c := dialWSS(t, r, clientTLS(0))
	c.say(text("hello"))
	c.expect("hello")
	if s := r.Stats(); s.Panics != 1 || s.HandshakesFailed != 1 {
		t.Errorf("%d panics, %d failures", s.Panics, s.HandshakesFailed)
	}
}

// stall begins a handshake that it will not end.
func stall(t *testing.T, r *Reactor, hello []byte) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A crowd that begins handshakes and does not end them, or not even begins, keeps nobody out and costs a bounded number of
// goroutines.
func TestTLSStallers(t *testing.T) {
	crowd, most := 5000, 500
	if raceEnabled {
		crowd, most = 1000, 100 // all is some ten times slower
	}
	config := serverTLS()
	config.HandshakesMax, config.HandshakesQueuedMax = most, crowd
	r := start(t, Config{TLS: config, Loops: 2, HeadTimeout: time.Minute}, upgradeTo(echo))
	hello := helloOf(clientTLS(tls.VersionTLS13))
	for i := range crowd {
		switch i % 5 {
		case 0:
			stall(t, r, nil)
		case 1:
			stall(t, r, hello[:len(hello)/2])
		default:
			stall(t, r, hello)
		}
		if i%500 == 0 {
			r.handshakes.mu.Lock()
			if n := r.handshakes.begun; n > most {
				t.Errorf("%d handshakes have begun", n)
			}
			r.handshakes.mu.Unlock()
		}
	}
	// It is the last in the queue, so that all before it are computed first.
	raw := dialRaw(t, r)
	if err := raw.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw.Conn, clientTLS(tls.VersionTLS13))
	c := &client{conn, t, newReader(conn)}
	c.say(upgradeRequest())
	c.upgraded()
	c.say(text("hello"))
	c.expect("hello")
	s := r.Stats()
	if s.HandshakesRefused != 0 || s.HandshakesEvicted < uint64(crowd/10) {
		t.Errorf("refused %d, evicted %d", s.HandshakesRefused, s.HandshakesEvicted)
	}
}

// When all places are taken by clients that stall, newcomers wait for the oldest of those to be ended, and not for all.
func TestTLSEviction(t *testing.T) {
	t.Parallel() // it waits most of the time
	config := serverTLS()
	config.HandshakesMax, config.HandshakesQueuedMax = 4, 10
	r := start(t, Config{TLS: config}, upgradeTo(echo))
	hello := helloOf(clientTLS(tls.VersionTLS13))
	var stalled []net.Conn
	for range 4 {
		stalled = append(stalled, stall(t, r, hello))
	}
	eventually(t, "all places are taken", func() bool { return r.Stats().Handshaking == 4 })
	c := dialWSS(t, r, clientTLS(tls.VersionTLS13))
	c.say(text("hello"))
	c.expect("hello")
	// The clients' deadlines are far away.
	eventually(t, "one has ended", func() bool { return r.Stats().Handshaking == 3 })
	if got := r.Stats().HandshakesEvicted; got != 1 {
		t.Errorf("evicted %d", got)
	}
	if err := stalled[0].SetReadDeadline(time.Now().Add(waitMax)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(stalled[0]); err != nil {
		t.Errorf("the oldest was not the one to go: %v", err)
	}
}

// Over the queue's limit conns are closed.
func TestTLSRefusal(t *testing.T) {
	config := serverTLS()
	config.HandshakesMax, config.HandshakesQueuedMax = 1, 1
	r := start(t, Config{TLS: config}, neverRoute(t))
	hello := helloOf(clientTLS(tls.VersionTLS13))
	stall(t, r, hello)
	stall(t, r, hello)
	eventually(t, "full", func() bool { return r.Stats().Handshaking == 2 })
	for range 3 {
		stall(t, r, hello)
	}
	eventually(t, "refused", func() bool { return r.Stats().HandshakesRefused >= 1 })
}

// A handshake has the time that a head has, from the accept on.
func TestTLSHandshakeDeadline(t *testing.T) {
	t.Parallel() // it waits most of the time
	r := start(t, Config{TLS: serverTLS(), HeadTimeout: 500 * time.Millisecond}, neverRoute(t))
	conn := stall(t, r, helloOf(clientTLS(tls.VersionTLS13)))
	if err := conn.SetReadDeadline(time.Now().Add(waitMax)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the stream does not end: %v", err)
	}
	// What is left of it is for the head.
	c := dialTLS(t, r, clientTLS(tls.VersionTLS13))
	c.expectEnd()
	eventually(t, "counted", func() bool { s := r.Stats(); return s.HandshakesFailed == 1 && s.HeadTimeouts == 1 && s.Conns == 0 })
}

// Stop ends handshakes, wherever they are.
func TestStopDuringHandshakes(t *testing.T) {
	config := serverTLS()
	config.HandshakesMax, config.HandshakesQueuedMax = 3, 6
	r := start(t, Config{TLS: config}, neverRoute(t))
	hello := helloOf(clientTLS(tls.VersionTLS13))
	for range 6 {
		stall(t, r, hello)
	}
	eventually(t, "under way", func() bool { return r.Stats().Handshaking == 6 })
	r.shutDown()
	<-r.done
	eventually(t, "all ended", func() bool { s := r.Stats(); return s.Handshaking == 0 && s.Conns == 0 })
}

// Conns with TLS come and go by resets, in the middle of everything, while all are written to. Nobody hears what is another's.
func TestTLSChurn(t *testing.T) {
	const clients, rounds = 4, 40
	var made atomic.Int64
	all := [2][]*tagged{}
	r := start(t, Config{Loops: 2, SendBufferBytes: 8 << 10, TLS: serverTLS()}, routes(func(h *Head) Verdict {
		return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
			p := &tagged{tag: "tag " + strings.Repeat("x", int(made.Add(1)))}
			p.c = c
			c.Write(frame(p.tag))
			all[c.Loop().ID()] = append(all[c.Loop().ID()], p)
			return p
		}}
	}))
	stop := make(chan struct{})
	var broadcaster sync.WaitGroup
	broadcaster.Go(func() {
		until(stop, func() {
			for id := range 2 {
				onLoop(r, id, func() {
					for _, p := range all[id] {
						p.c.Write(frame(p.tag))
					}
				})
			}
		})
	})
	var churn sync.WaitGroup
	for i := range clients {
		churn.Go(func() {
			config := clientTLS([]uint16{tls.VersionTLS12, tls.VersionTLS13}[i%2])
			for j := range rounds {
				if !churnTLSOnce(t, r, config, j) {
					return
				}
			}
		})
	}
	churn.Wait()
	close(stop)
	broadcaster.Wait()
	eventually(t, "all gone", func() bool {
		s := r.Stats()
		return s.Conns == 0 && s.TLS12+s.TLS13 == 0 && s.Handshaking == 0 && s.QueuedBytes == 0
	})
	for id := range 2 {
		onLoop(r, id, func() {
			for _, p := range all[id] {
				if n := p.closed.Load(); n != 1 {
					t.Errorf("a receiver was closed %d times", n)
				}
			}
		})
	}
}

// churnTLSOnce is one client of TestTLSChurn, which resets in the middle of its handshake or once it has heard some frames. It reports
// whether all of those were for it.
func churnTLSOnce(t *testing.T, r *Reactor, config *tls.Config, round int) bool {
	raw := dialRaw(t, r)
	_ = raw.Conn.(*net.TCPConn).SetLinger(0)
	defer raw.Close()
	if round%4 == 0 {
		_, _ = raw.Write(helloOf(config)[:100+round])
		return true
	}
	conn := tls.Client(raw.Conn, config)
	c := &client{conn, t, newReader(conn)}
	c.say(upgradeRequest())
	c.upgraded()
	mine := ""
	for k := range 10 {
		_, payload, err := c.hear()
		if err != nil {
			t.Error(err)
			return false
		}
		if k == 0 {
			mine = payload
		}
		if payload != mine {
			t.Errorf("%q got a frame for %q", mine, payload)
			return false
		}
	}
	return true
}
