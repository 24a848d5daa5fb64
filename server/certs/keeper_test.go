package certs

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/server/certs/certtest"
	"stentor/server/config"
)

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// take returns what was logged since the last time.
func (l *logs) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

func newLogs() (*logs, *slog.Logger) {
	l := new(logs)
	return l, slog.New(slog.NewTextHandler(l, nil))
}

func withTLS(p *certtest.Pair) *config.Config {
	cfg := config.Default()
	cfg.HTTPServer.TLS = config.TLSConfig{Enabled: true, CertPEM: config.PEMData(p.CertFile), KeyPEM: config.PEMData(p.KeyFile)}
	return cfg
}

// listen echoes bytes over TLS.
func listen(t *testing.T, cfg *tls.Config) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

// meet connects and has one byte echoed, so that it is known whether the server took our certificate, and tickets have come.
func meet(t *testing.T, address string, client *tls.Config) (*tls.Conn, error) {
	t.Helper()
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: client}
	raw, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := raw.(*tls.Conn)
	t.Cleanup(func() { conn.Close() })
	return conn, echo(conn)
}

func echo(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

func mustMeet(t *testing.T, address string, client *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := meet(t, address, client)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func serialOf(conn *tls.Conn) string {
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestReload(t *testing.T) {
	l, log := newLogs()
	ca := certtest.New(t)
	first, second := ca.Issue(t, certtest.Leaf{}), ca.Issue(t, certtest.Leaf{})
	cfg := withTLS(first)
	s, err := Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.take(); !strings.Contains(got, "showing a certificate") || !strings.Contains(got, "http_server.tls.cert_pem") {
		t.Errorf("logged %s", got)
	}
	address := listen(t, s.External.Config("h2", "http/1.1"))
	client := &tls.Config{RootCAs: ca.Pool, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	before := mustMeet(t, address, client)
	if got := serialOf(before); got != first.TLS.Leaf.SerialNumber.String() {
		t.Errorf("certificate %s", got)
	}

	// The same again: nothing to say.
	if err := s.Reload(cfg); err != nil || l.take() != "" {
		t.Errorf("nothing has changed: %v", err)
	}

	// A file that is broken changes nothing; the error names it.
	broken := withTLS(second)
	if err := os.WriteFile(second.CertFile+".broken", []byte("-----BEGIN CERTIFICATE-----\nhalf"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken.HTTPServer.TLS.CertPEM += ".broken"
	if err := s.Reload(broken); err == nil || !strings.Contains(err.Error(), "http_server.tls.cert_pem (file "+second.CertFile+".broken)") {
		t.Errorf("a broken file: %v", err)
	}
	broken.HTTPServer.TLS.CertPEM = config.PEMData(first.CertFile)
	if err := s.Reload(broken); err == nil || !strings.Contains(err.Error(), second.KeyFile) || !strings.Contains(err.Error(), "does not match") {
		t.Errorf("the key of another: %v", err)
	}
	if got := serialOf(mustMeet(t, address, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"})); got != first.TLS.Leaf.SerialNumber.String() {
		t.Errorf("after a broken file the certificate is %s", got)
	}

	// Another certificate in the same file.
	copyFile(t, second.CertFile, first.CertFile)
	copyFile(t, second.KeyFile, first.KeyFile)
	l.take()
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if got := l.take(); !strings.Contains(got, "showing another certificate from now on") {
		t.Errorf("logged %s", got)
	}
	if got := serialOf(mustMeet(t, address, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"})); got != second.TLS.Leaf.SerialNumber.String() {
		t.Errorf("certificate %s after the reload", got)
	}
	if err := echo(before); err != nil {
		t.Errorf("the conn that was there: %v", err)
	}
	if again := mustMeet(t, address, client); !again.ConnectionState().DidResume {
		t.Error("a session from before the reload is not resumed")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestForms(t *testing.T) {
	ca := certtest.New(t)
	pair := ca.Issue(t, certtest.Leaf{})
	for _, form := range []struct {
		name string
		of   func(file string) config.PEMData
	}{
		{"file", func(file string) config.PEMData { return config.PEMData(file) }},
		{"text", func(file string) config.PEMData { return config.PEMData(content(t, file)) }},
		{"base64", func(file string) config.PEMData {
			return config.PEMData(base64.StdEncoding.EncodeToString([]byte(content(t, file))))
		}},
	} {
		t.Run(form.name, func(t *testing.T) {
			cfg := config.Default()
			cfg.HTTPServer.TLS = config.TLSConfig{
				Enabled: true, CertPEM: form.of(pair.CertFile), KeyPEM: form.of(pair.KeyFile), ClientCAPEM: form.of(ca.File),
			}
			s, err := Open(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			address := listen(t, s.External.Config("http/1.1"))
			mustMeet(t, address, &tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{pair.TLS}})
		})
	}
}

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProtocols(t *testing.T) {
	ca := certtest.New(t)
	s, err := Open(withTLS(ca.Issue(t, certtest.Leaf{})), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address := listen(t, s.External.Config("h2", "http/1.1"))
	for _, c := range []struct {
		offered []string
		max     uint16
		want    string
		err     string
	}{
		{nil, 0, "", ""},
		{[]string{"http/1.1"}, 0, "http/1.1", ""},
		{[]string{"http/1.1", "h2"}, 0, "h2", ""},
		{[]string{"smtp", "h2"}, tls.VersionTLS12, "h2", ""},
		{[]string{"smtp"}, 0, "", "no application protocol"},
		{[]string{"acme-tls/1"}, 0, "", "no application protocol"},
		{nil, tls.VersionTLS11, "", "protocol version"},
	} {
		conn, err := meet(t, address, &tls.Config{RootCAs: ca.Pool, NextProtos: c.offered, MinVersion: tls.VersionTLS10, MaxVersion: c.max})
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%v, version %x: %v, want %s", c.offered, c.max, err, c.err)
		case c.err == "" && (err != nil || conn.ConnectionState().NegotiatedProtocol != c.want):
			t.Errorf("%v: %v", c.offered, err)
		}
	}
}

// Clients are asked for a certificate. Who is trusted can change, also for sessions that were there before.
func TestClientCA(t *testing.T) {
	ca, theirs, others := certtest.New(t), certtest.New(t), certtest.New(t)
	cfg := withTLS(ca.Issue(t, certtest.Leaf{}))
	cfg.HTTPServer.TLS.ClientCAPEM = config.PEMData(theirs.File)
	s, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address := listen(t, s.External.Config("http/1.1"))
	as := func(p *certtest.Pair) *tls.Config {
		c := &tls.Config{RootCAs: ca.Pool, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		if p != nil {
			c.Certificates = []tls.Certificate{p.TLS}
		}
		return c
	}
	friend := as(theirs.Issue(t, certtest.Leaf{}))
	if _, err := meet(t, address, as(nil)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
	if _, err := meet(t, address, as(others.Issue(t, certtest.Leaf{}))); err == nil {
		t.Error("a certificate of others was taken")
	}
	mustMeet(t, address, friend)
	if conn := mustMeet(t, address, friend); !conn.ConnectionState().DidResume {
		t.Error("the session is not resumed")
	}
	cfg.HTTPServer.TLS.ClientCAPEM = config.PEMData(others.File)
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := meet(t, address, friend); err == nil {
		t.Error("a session of somebody who is not trusted any more was resumed")
	}
	mustMeet(t, address, as(others.Issue(t, certtest.Leaf{})))

	cfg.HTTPServer.TLS.ClientCAPEM = "/no/such/file.pem"
	if err := s.Reload(cfg); err == nil || !strings.Contains(err.Error(), "http_server.tls.client_ca_pem: file /no/such/file.pem: no such file") {
		t.Errorf("no file: %v", err)
	}
}

func TestDoubts(t *testing.T) {
	ca, other := certtest.New(t), certtest.New(t)
	now := time.Now()
	chain := ca.Issue(t, certtest.Leaf{})
	for _, c := range []struct {
		name  string
		leaf  certtest.Leaf
		chain string
		want  string // in the log; "" nothing but the certificate
	}{
		{"good", certtest.Leaf{}, "", ""},
		{"with its authority", certtest.Leaf{}, content(t, ca.File), ""},
		{"expired", certtest.Leaf{NotAfter: now.Add(-time.Minute)}, "", "the certificate has expired"},
		{"early", certtest.Leaf{NotBefore: now.Add(time.Hour)}, "", "the certificate is not valid yet"},
		{"soon", certtest.Leaf{NotAfter: now.Add(24 * time.Hour)}, "", "the certificate expires soon"},
		{"nobody", certtest.Leaf{Names: []string{}}, "", "the certificate names no host"},
		{"another authority", certtest.Leaf{}, content(t, other.File), "the chain of the certificate is not in order"},
		{"another certificate", certtest.Leaf{}, content(t, chain.CertFile), "the chain of the certificate is not in order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, log := newLogs()
			pair := ca.Issue(t, c.leaf)
			cfg := withTLS(pair)
			cfg.HTTPServer.TLS.CertPEM = config.PEMData(content(t, pair.CertFile) + c.chain)
			if _, err := Open(cfg, log); err != nil {
				t.Fatal(err)
			}
			got := l.take()
			if warned := strings.Contains(got, "level=WARN"); warned != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("logged %s", got)
			}
		})
	}
}

// TestPorts: which block is for which port.
func TestPorts(t *testing.T) {
	ca := certtest.New(t)
	pair := ca.Issue(t, certtest.Leaf{})
	for _, c := range []struct {
		name   string
		change func(cfg *config.Config)
		want   string // a letter for each port that speaks TLS: External, Internal, Uni, grpC; the same letter for the same block
	}{
		{"nothing", func(c *config.Config) { c.HTTPServer.TLS.Enabled = false }, ""},
		{"one port", func(*config.Config) {}, "E"},
		{"two ports", func(c *config.Config) { c.HTTPServer.InternalPort = "1" }, "EE"},
		{"external alone", func(c *config.Config) { c.HTTPServer.InternalPort, c.HTTPServer.TLSExternal = "1", true }, "E"},
		{"two blocks", func(c *config.Config) {
			c.HTTPServer.InternalPort, c.HTTPServer.TLSExternal = "1", true
			c.HTTPServer.InternalTLS = c.HTTPServer.TLS
		}, "EI"},
		{"internal alone", func(c *config.Config) {
			c.HTTPServer.InternalPort, c.HTTPServer.InternalTLS = "1", c.HTTPServer.TLS
			c.HTTPServer.TLS = config.TLSConfig{}
		}, "I"},
		{"gRPC", func(c *config.Config) {
			c.UniGRPC.Enabled, c.GRPCAPI.Enabled = true, true
			c.UniGRPC.TLS, c.GRPCAPI.TLS = c.HTTPServer.TLS, c.HTTPServer.TLS
		}, "EUC"},
		{"gRPC that is off", func(c *config.Config) { c.UniGRPC.TLS, c.GRPCAPI.TLS = c.HTTPServer.TLS, c.HTTPServer.TLS }, "E"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := withTLS(pair)
			c.change(cfg)
			s, err := Open(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, port := range []struct {
				letter string
				keeper *Keeper
			}{{"E", s.External}, {"I", s.Internal}, {"U", s.UniGRPC}, {"C", s.GRPCAPI}} {
				switch {
				case port.keeper == nil:
				case port.letter == "I" && port.keeper == s.External:
					got += "E"
				default:
					got += port.letter
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// twoBlocks are open and show first, for browsers and for gRPC; second is what a reload may bring.
func twoBlocks(t *testing.T) (s *Set, first, second *certtest.Pair) {
	t.Helper()
	ca := certtest.New(t)
	first, second = ca.Issue(t, certtest.Leaf{}), ca.Issue(t, certtest.Leaf{})
	cfg := withTLS(first)
	cfg.UniGRPC.Enabled, cfg.UniGRPC.TLS = true, cfg.HTTPServer.TLS
	s, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, first, second
}

// TestAllOrNothing: one bad block keeps the others as they are.
func TestAllOrNothing(t *testing.T) {
	s, first, second := twoBlocks(t)
	next := withTLS(second)
	next.UniGRPC.TLS = next.HTTPServer.TLS
	next.UniGRPC.TLS.KeyPEM = config.PEMData(first.KeyFile)
	if err := s.Reload(next); err == nil || !strings.HasPrefix(err.Error(), "uni_grpc.tls.cert_pem") {
		t.Fatalf("got %v", err)
	}
	if got := s.External.current.Load().pair.Leaf; !got.Equal(first.TLS.Leaf) {
		t.Error("the other block has changed")
	}
}

// TestReloadWithoutTLS: whether a port speaks TLS changes at a restart only. A configuration that is for after it, and names no certificate
// any more, keeps nothing else from being reloaded.
func TestReloadWithoutTLS(t *testing.T) {
	s, first, second := twoBlocks(t)
	next := withTLS(second)
	next.UniGRPC.TLS = next.HTTPServer.TLS
	next.HTTPServer.TLS = config.TLSConfig{}
	if err := s.Reload(next); err != nil {
		t.Fatal(err)
	}
	if got := s.External.current.Load().pair.Leaf; !got.Equal(first.TLS.Leaf) {
		t.Error("the port whose block is off shows another certificate")
	}
	if got := s.UniGRPC.current.Load().pair.Leaf; !got.Equal(second.TLS.Leaf) {
		t.Error("the other port does not show the new one")
	}
}
