package certs

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stentor/server/certs/acmetest"
	"stentor/server/config"
)

const waitMax = 30 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitMax); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// plug is a listener whose port is known before the certificates are.
func plug(t *testing.T) (net.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, port
}

func withACME(a *acmetest.Authority, dir string, hosts ...string) *config.Config {
	cfg := config.Default()
	cfg.HTTPServer.TLSAutocert = config.TLSAutocert{
		Enabled: true, HostWhitelist: hosts, CacheDir: dir, Email: "somebody@example.com", ServerName: hosts[0],
		DirectoryURL: a.DirectoryURL, DirectoryCAPEM: config.PEMData(a.CAFile),
	}
	return cfg
}

// serve answers HTTP over TLS with what the set shows.
func serve(t *testing.T, l net.Listener, s *Set) {
	server := &http.Server{TLSConfig: s.External.Config("h2", "http/1.1"), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { server.Close() })
}

// runs works for certificates until the test ends.
func runs(t *testing.T, a *Authority) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func hello(t *testing.T, address string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: waitMax}, "tcp", address, cfg)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// TestALPNChallenge: the authority asks on the port itself, which wants certificates of its clients, but not of the authority.
func TestALPNChallenge(t *testing.T) {
	l, port := plug(t)
	acme := acmetest.Start(t, "0", port)
	dir := t.TempDir()
	logged, log := newLogs()
	cfg := withACME(acme, dir, "one.example.com", "bücher.example")
	s, err := Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, s)
	address := l.Addr().String()
	if _, err := hello(t, address, &tls.Config{RootCAs: acme.Roots, ServerName: "one.example.com"}); err == nil {
		t.Error("a certificate before there is one")
	}
	runs(t, s.Authority)
	for _, name := range []string{"one.example.com", "ONE.example.com", "xn--bcher-kva.example", ""} {
		eventually(t, "a certificate for "+name, func() bool {
			conn, err := hello(t, address, &tls.Config{RootCAs: acme.Roots, ServerName: name, InsecureSkipVerify: name == ""})
			return err == nil && strings.Contains(conn.ConnectionState().PeerCertificates[0].DNSNames[0], ".example")
		})
	}
	for _, name := range []string{"two.example.com", "one.example.com.", "localhost", "a..b"} {
		if _, err := hello(t, address, &tls.Config{ServerName: name, InsecureSkipVerify: true}); err == nil && name != "one.example.com." {
			t.Errorf("a certificate for %s", name)
		}
	}
	if got := logged.take(); strings.Count(got, "showing a certificate of an ACME authority") != 2 {
		t.Errorf("logged %s", got)
	}

	// Another start finds them, although nobody can be asked any more.
	cfg.HTTPServer.TLSAutocert.DirectoryURL = "https://127.0.0.1:1/"
	again, err := Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	again.Authority.Preload()
	l2, _ := plug(t)
	serve(t, l2, again)
	if _, err := hello(t, l2.Addr().String(), &tls.Config{RootCAs: acme.Roots, ServerName: "one.example.com"}); err != nil {
		t.Errorf("from the cache: %v", err)
	}
	// One that has been mangled is not taken for one.
	if err := os.WriteFile(filepath.Join(dir, "one.example.com"), []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(cfg, log); err != nil || s.Authority.isCached(s.Authority.hosts["one.example.com"]) {
		t.Errorf("a mangled certificate: %v", err)
	}
}

// TestHTTPChallenge: the authority cannot reach the port itself and asks by HTTP. What else comes there is sent on.
func TestHTTPChallenge(t *testing.T) {
	l, _ := plug(t)
	plain, port := plug(t)
	acme := acmetest.Start(t, port, "0")
	cfg := withACME(acme, "", "one.example.com")
	s, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.Authority.HTTPHandler()}
	go func() { _ = server.Serve(plain) }()
	t.Cleanup(func() { server.Close() })
	serve(t, l, s)
	runs(t, s.Authority)
	eventually(t, "a certificate", func() bool {
		_, err := hello(t, l.Addr().String(), &tls.Config{RootCAs: acme.Roots, ServerName: "one.example.com"})
		return err == nil
	})
	once := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]int{"/page": http.StatusFound, "/.well-known/acme-challenge/x": http.StatusNotFound} {
		req, _ := http.NewRequest(http.MethodGet, "http://"+plain.Addr().String()+path, nil)
		req.Host = "one.example.com"
		resp, err := once.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || want == http.StatusFound && resp.Header.Get("Location") != "https://one.example.com/page" {
			t.Errorf("%s: %s, %s", path, resp.Status, resp.Header.Get("Location"))
		}
	}
}

// TestClientsAndChallenge: a port that wants certificates of its clients asks the authority for none.
func TestClientsAndChallenge(t *testing.T) {
	l, port := plug(t)
	acme := acmetest.Start(t, "0", port)
	cfg := withACME(acme, "", "one.example.com")
	cfg.HTTPServer.TLS.ClientCAPEM = config.PEMData(acme.CAFile)
	s, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, s)
	runs(t, s.Authority)
	eventually(t, "a certificate", func() bool { return s.Authority.hosts["one.example.com"].ready.Load() })
	conn, err := hello(t, l.Addr().String(), &tls.Config{RootCAs: acme.Roots, ServerName: "one.example.com"})
	if err == nil {
		_, err = conn.Read(make([]byte, 1)) // with TLS 1.3 the client is told after its own part
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a client without a certificate: %v", err)
	}
	if _, err := hello(t, l.Addr().String(), &tls.Config{RootCAs: acme.Roots, ServerName: "one.example.com", NextProtos: []string{"acme-tls/1"}}); err == nil {
		t.Error("an answer to a challenge that is over")
	}
}

// TestStuckAuthority: one that does not answer costs handshakes nothing.
func TestStuckAuthority(t *testing.T) {
	asked := make(chan struct{}, 1)
	stuck := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	t.Cleanup(stuck.Close)
	t.Cleanup(stuck.CloseClientConnections)
	cfg := withACME(&acmetest.Authority{DirectoryURL: stuck.URL}, "", "one.example.com", "two.example.com", "three.example.com")
	s, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Authority.manager.Client.HTTPClient = stuck.Client()
	runs(t, s.Authority)
	<-asked
	for range 100 {
		_, err := s.Authority.certificate(&tls.ClientHelloInfo{ServerName: "one.example.com"})
		if err != errNotYet {
			t.Fatal(err)
		}
		if _, err = s.Authority.certificate(&tls.ClientHelloInfo{ServerName: "four.example.com"}); err != errUnknownHost {
			t.Fatal(err)
		}
	}
	if n := len(s.Authority.orders); n > ordersMax {
		t.Errorf("%d orders at the same time", n)
	}
}

// TestRefusedOrder: what goes wrong is in the log, with a remedy.
func TestRefusedOrder(t *testing.T) {
	acme := acmetest.Start(t, "0", "0")
	logged, log := newLogs()
	s, err := Open(withACME(acme, "", "one.example.com"), log)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, s.Authority)
	all := ""
	eventually(t, "a warning", func() bool {
		all += logged.take()
		return strings.Contains(all, "no certificate from the ACME authority") && strings.Contains(all, "remedy=")
	})
}

// TestCacheThatCannotBeWritten: the remedy is about the directory, not about the network.
func TestCacheThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	a := &cfg.HTTPServer.TLSAutocert
	a.Enabled, a.HostWhitelist, a.CacheDir, a.DirectoryURL = true, []string{"one.example.com"}, filepath.Join(file, "cache"), "https://127.0.0.1:1/"
	logged, log := newLogs()
	s, err := Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, s.Authority)
	all := ""
	eventually(t, "a warning", func() bool {
		all += logged.take()
		return strings.Contains(all, "no certificate from the ACME authority")
	})
	if !strings.Contains(all, "http_server.tls_autocert.cache_dir") {
		t.Errorf("logged %s", all)
	}
}

func TestWrongAuthorityOptions(t *testing.T) {
	for _, c := range []struct {
		change func(c *config.TLSAutocert)
		want   string
	}{
		{func(c *config.TLSAutocert) { c.HostWhitelist = []string{"a b.example"} }, `host_whitelist: "a b.example" is no name of a host`},
		{func(c *config.TLSAutocert) { c.ServerName = "b.example" }, `server_name: "b.example" is not in host_whitelist`},
		{func(c *config.TLSAutocert) { c.DirectoryCAPEM = "/no/such/file.pem" }, "http_server.tls_autocert.directory_ca_pem: file /no/such/file.pem"},
	} {
		options := config.TLSAutocert{HostWhitelist: []string{"a.example"}}
		c.change(&options)
		if _, err := NewAuthority(&options, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
