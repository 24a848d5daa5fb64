package reactor

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Two headers that say the same: the client is 192.0.2.1:56324.
const (
	proxyLine   = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
	proxyBinary = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"
	proxyClient = "192.0.2.1:56324"
)

func trusting(networks ...string) Config {
	var cfg Config
	for _, n := range networks {
		cfg.ProxyTrusted = append(cfg.ProxyTrusted, netip.MustParsePrefix(n))
	}
	return cfg
}

// tellPeer upgrades /ws for pipes that answer every message with the peer's address, and refuses all else with it.
func tellPeer() routes {
	return func(h *Head) Verdict {
		switch h.Path {
		case "/ws":
			return Verdict{Kind: Upgrade, Open: func(c *Conn) Receiver {
				return &pipe{c: c, onReceive: func(p *pipe, _ []byte) { p.send(c.RemoteAddr()) }}
			}}
		case "/http":
			return Verdict{}
		}
		return Verdict{Kind: Refuse, Status: 418, Body: h.RemoteAddr()}
	}
}

func TestProxyHeader(t *testing.T) {
	for _, cfg := range []Config{trusting("127.0.0.0/8"), trusting("fd00::/8", "127.0.0.1/32")} {
		r := start(t, cfg, tellPeer())
		for _, c := range []struct{ name, header, client string }{
			{"line", proxyLine, proxyClient},
			{"binary", proxyBinary, proxyClient},
			{"IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "[2001:db8::1]:1"},
			{"unknown", "PROXY UNKNOWN\r\n", ""},
			{"local", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				whole, pieces, upgraded := dialRaw(t, r), dialRaw(t, r), dialRaw(t, r)
				request := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
				whole.say(c.header + request)
				for _, b := range []byte(c.header + request) {
					pieces.say(string([]byte{b}))
				}
				upgraded.say(c.header + upgradeRequest() + text("x"))
				upgraded.upgraded()
				for _, conn := range []*client{whole, pieces} {
					conn.head()
					if body, _ := io.ReadAll(conn.in); string(body) != or2(c.client, conn.LocalAddr().String()) {
						t.Errorf("the client is %s, want %s", body, c.client)
					}
				}
				upgraded.expect(or2(c.client, upgraded.LocalAddr().String()))
			})
		}
		eventually(t, "nothing is kept of those that have gone", func() bool {
			kept := 0
			onLoop(r, 0, func() { kept = len(r.drivers[0].clients) })
			return kept == 0
		})
	}
}

func or2(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// What does not begin with a header that makes sense ends without a word.
func TestBadProxyHeader(t *testing.T) {
	r := start(t, trusting("127.0.0.1/32"), neverRoute(t))
	bad := []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"PROXY " + strings.Repeat("x", 1<<20),
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + strings.Repeat("x", 65535),
	}
	for _, header := range bad {
		c := dialRaw(t, r)
		_, _ = io.WriteString(c, header) // it may be cut off in the middle
		c.expectEnd()
	}
	if got := r.Stats().BadProxyHeaders; got != uint64(len(bad)) {
		t.Errorf("%d bad headers counted, want %d", got, len(bad))
	}
}

// A header is believed once, and only from whom it is to come.
func TestProxyHeaderOfAnybody(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		said string
	}{
		{Config{}, proxyLine}, {Config{}, proxyBinary},
		{trusting("10.0.0.0/8", "::1/128"), proxyLine}, {trusting("10.0.0.0/8", "::1/128"), proxyBinary},
		{trusting("127.0.0.0/8"), proxyLine + proxyLine}, {trusting("127.0.0.0/8"), proxyLine + proxyBinary},
	} {
		r := start(t, c.cfg, neverRoute(t))
		conn := dialRaw(t, r)
		conn.say(c.said + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if head := conn.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
			t.Errorf("%.40q is answered with %q", c.said, head)
		}
	}
}

func TestProxyDeadline(t *testing.T) {
	cfg := trusting("127.0.0.0/8")
	cfg.HeadTimeout = 200 * time.Millisecond
	r := start(t, cfg, neverRoute(t))
	silent, stuck, headless := dialRaw(t, r), dialRaw(t, r), dialRaw(t, r)
	stuck.say(proxyLine[:20])
	headless.say(proxyLine)
	silent.expectEnd()
	stuck.expectEnd()
	headless.expectEnd()
	if s := r.Stats(); s.BadProxyHeaders != 1 || s.HeadTimeouts+s.HelloTimeouts != 1 {
		t.Errorf("%d headers and %d heads not in time, want 1 and 1", s.BadProxyHeaders, s.HeadTimeouts+s.HelloTimeouts)
	}
	eventually(t, "no memory is held for them", func() bool { return r.Stats().QueuedBytes == 0 })
}

// The address goes along to net/http, and comes back with an upgrade.
func TestProxyHandOff(t *testing.T) {
	r := start(t, trusting("127.0.0.0/8"), tellPeer())
	server := &http.Server{Handler: r.AdoptHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.RemoteAddr)
	}))}
	go func() { _ = server.Serve(r.HTTPListener()) }()
	defer server.Close()
	c := dialRaw(t, r)
	c.say(proxyBinary + "GET /http HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != proxyClient {
		t.Errorf("net/http sees %s", body)
	}
	c.say(upgradeRequest())
	c.upgraded()
	c.say(text("x"))
	c.expect(proxyClient)
}

// HTTP/2 in clear text is taken where it is asked for, and a bad request elsewhere.
func TestH2C(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		r := start(t, Config{H2C: wanted}, upgradeTo(echo))
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		server := &http.Server{Protocols: protocols, Handler: r.AdoptHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.WriteString(w, req.Proto)
		}))}
		go func() { _ = server.Serve(r.HTTPListener()) }()
		defer server.Close()

		only2 := new(http.Protocols)
		only2.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: only2}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport, Timeout: waitMax}).Get("http://" + r.Addr().String() + "/")
		if (err == nil) != wanted {
			t.Fatalf("wanted %v: %v", wanted, err)
		}
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "HTTP/2.0" {
				t.Errorf("served by %s", body)
			}
		}
		c := dialWS(t, r)
		c.say(text("as before"))
		c.expect("as before")
	}
}

// FuzzProxied: whatever comes from a balancer ends or gets an answer, and never the wrong address.
func FuzzProxied(f *testing.F) {
	for _, seed := range []string{proxyLine, proxyBinary, proxyLine + proxyLine, "PROXY UNKNOWN\r\n", "GET / HTTP/1.1\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	r := start(f, trusting("127.0.0.0/8"), routes(func(h *Head) Verdict {
		if addr := h.RemoteAddr(); addr == "" {
			f.Errorf("no address")
		} else if _, err := netip.ParseAddrPort(addr); err != nil {
			f.Errorf("address %q", addr)
		}
		return Verdict{Kind: Refuse}
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		conn, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			t.Skip(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(waitMax))
		_, _ = conn.Write(b)
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatalf("no end after %q", b)
		}
	})
}

// With TLS the header is in front of the hello, in clear text; the address lasts through the handshake, wherever the conn goes then.
func TestProxyTLS(t *testing.T) {
	cfg := trusting("127.0.0.0/8")
	cfg.TLS = serverTLS()
	r := start(t, cfg, tellPeer())
	server := &http.Server{Handler: r.AdoptHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.Proto+" "+req.RemoteAddr)
	}))}
	go func() { _ = server.Serve(r.HTTPListener()) }()
	defer server.Close()
	proxied := func(protocols ...string) *client {
		t.Helper()
		raw := dialRaw(t, r)
		raw.say(proxyBinary)
		config := clientTLS(0)
		config.NextProtos = protocols
		conn := tls.Client(raw.Conn, config)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		return &client{conn, t, newReader(conn)}
	}
	c := proxied()
	c.say(upgradeRequest() + text("x"))
	c.upgraded()
	c.expect(proxyClient)

	c = proxied("http/1.1")
	c.say("GET /http HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "HTTP/1.1 "+proxyClient {
		t.Errorf("net/http sees %s", body)
	}
	c.say(upgradeRequest())
	c.upgraded()
	c.say(text("x"))
	c.expect(proxyClient)

	transport := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		return proxied("h2").Conn, nil
	}}
	defer transport.CloseIdleConnections()
	resp, err = (&http.Client{Transport: transport, Timeout: waitMax}).Get("https://localhost/http")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "HTTP/2.0 "+proxyClient {
		t.Errorf("net/http sees %s", body)
	}

	// The other way round it is no header.
	inside := dialRaw(t, r)
	inside.say("\x16\x03\x01")
	inside.expectEnd()
}

// A handshake for another protocol than ours, as of an ACME authority that asks who we are, is all there is.
func TestTLSOfAnotherProtocol(t *testing.T) {
	r := start(t, Config{TLS: serverTLS(func(c *tls.Config) { c.NextProtos = append(c.NextProtos, "acme-tls/1") })}, neverRoute(t))
	config := clientTLS(0)
	config.NextProtos = []string{"acme-tls/1"}
	c := dialTLS(t, r, config)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.expectEnd()
	eventually(t, "it is not counted any more", func() bool { s := r.Stats(); return s.Conns == 0 && s.TLS12+s.TLS13 == 0 })
}
