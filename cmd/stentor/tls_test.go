package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/gobwas/ws"

	"stentor/server/certs/acmetest"
	"stentor/server/certs/certtest"
)

// secured is a configuration with these options of http_server.
func secured(options string) string {
	return fmt.Sprintf(`{"http_server": {%s}, "client": {"token": {"hmac_secret_key": %q}}, "http_api": {"key": %q}}`, options, quickStartSecret, quickStartAPIKey)
}

// block is what one port shows.
func block(name string, p *certtest.Pair, more string) string {
	return fmt.Sprintf(`%q: {"enabled": true, "cert_pem": %q, "key_pem": %q%s}`, name, p.CertFile, p.KeyFile, more)
}

func (p *process) port() string { return p.url[strings.LastIndexByte(p.url, ':')+1:] }

// curl asks by curl, and returns the body and behind it the line "status version".
func curl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	need(t, "curl")
	args = append([]string{"--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--write-out", "\n%{http_code} %{http_version}"}, args...)
	out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
	return string(out), err
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed; scripts/install.sh installs it", program)
	}
}

// shown is the serial number of the certificate that a port shows to openssl, in hexadecimal digits.
func shown(t *testing.T, port string) string {
	t.Helper()
	out, err := openssl(t, port)
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	x509 := exec.CommandContext(t.Context(), "openssl", "x509", "-noout", "-serial")
	x509.Stdin = strings.NewReader(out)
	serial, err := x509.Output()
	if err != nil {
		t.Fatalf("openssl x509: %v\n%s", err, out)
	}
	return strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(string(serial)), "serial="), "0")
}

func openssl(t *testing.T, port string, args ...string) (string, error) {
	t.Helper()
	need(t, "openssl")
	out, err := exec.CommandContext(t.Context(), "openssl", append([]string{"s_client", "-connect", "127.0.0.1:" + port}, args...)...).CombinedOutput()
	return string(out), err
}

func serialOf(p *certtest.Pair) string { return fmt.Sprintf("%X", p.TLS.Leaf.SerialNumber) }

// TestTLS: the port speaks TLS, to curl, OpenSSL and an SDK; a reload changes the certificate for newcomers and nothing for those who are
// there; a broken file changes nothing.
func TestTLS(t *testing.T) {
	ca := certtest.New(t)
	first, second := ca.Issue(t, certtest.Leaf{}), ca.Issue(t, certtest.Leaf{})
	p := start(t, secured(block("tls", first, "")))
	url := "https://127.0.0.1:" + p.port()
	for flags, want := range map[string]string{
		"--http1.1": "{}\n200 1.1", "--http2": "{}\n200 2", "--tls-max 1.2": "{}\n200 2", "--tlsv1.3": "{}\n200 2",
	} {
		args := append(strings.Fields(flags), "--cacert", ca.File, url+"/health")
		if got, err := curl(t, args...); err != nil || got != want {
			t.Errorf("curl %s: %v\n%s", flags, err, got)
		}
	}
	if got, err := curl(t, "http://127.0.0.1:"+p.port()+"/health"); err != nil || !strings.Contains(got, "https://") || !strings.HasSuffix(got, "\n400 1.1") {
		t.Errorf("plain HTTP: %v\n%s", err, got)
	}
	if out, err := openssl(t, p.port(), "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"); err == nil {
		t.Errorf("TLS 1.1 is spoken:\n%s", out)
	}
	if out, err := openssl(t, p.port(), "-alpn", "smtp"); err == nil {
		t.Errorf("an unknown protocol is spoken:\n%s", out)
	}

	client := centrifuge.NewJsonClient("wss://127.0.0.1:"+p.port()+"/connection/websocket", centrifuge.Config{
		Token: token(t, "42"), TLSConfig: &tls.Config{RootCAs: ca.Pool},
	})
	defer client.Close()
	connected, left := events[centrifuge.ConnectedEvent](t), events[centrifuge.ConnectingEvent](t)
	client.OnConnected(connected.note)
	client.OnConnecting(left.note)
	if err := client.Connect(); err != nil {
		t.Fatal(err)
	}
	left.next("connecting")
	connected.next("connected")

	if got := shown(t, p.port()); got != serialOf(first) {
		t.Errorf("certificate %s, want %s", got, serialOf(first))
	}
	replace(t, second.CertFile, first.CertFile) // and not yet the key
	p.signal(syscall.SIGHUP)
	if line := p.waitLog("the configuration was not reloaded"); !strings.Contains(line, "http_server.tls.cert_pem (file "+first.CertFile+")") {
		t.Errorf("logged %s", line)
	}
	if got := shown(t, p.port()); got != serialOf(first) {
		t.Errorf("certificate %s after a broken reload, want %s", got, serialOf(first))
	}
	replace(t, second.KeyFile, first.KeyFile)
	p.signal(syscall.SIGHUP)
	p.waitLog("showing another certificate from now on")
	p.waitLog("the configuration was reloaded")
	if got := shown(t, p.port()); got != serialOf(second) {
		t.Errorf("certificate %s after a reload, want %s", got, serialOf(second))
	}
	ctx := t.Context()
	if _, err := client.History(ctx, "nothing"); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the client that was there: %v", err) // it is answered, with an error
	}
	select {
	case e := <-left.ch:
		t.Errorf("the client that was there has left: %d %s", e.Code, e.Reason)
	default:
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func replace(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestMutualTLS: clients need a certificate of their own.
func TestMutualTLS(t *testing.T) {
	ca, theirs := certtest.New(t), certtest.New(t)
	mine := theirs.Issue(t, certtest.Leaf{})
	p := start(t, secured(block("tls", ca.Issue(t, certtest.Leaf{}), fmt.Sprintf(`, "client_ca_pem": %q`, theirs.File))))
	url := "https://127.0.0.1:" + p.port() + "/health"
	for _, version := range []string{"1.2", "1.3"} {
		args := []string{"--cacert", ca.File, "--tlsv1.2", "--tls-max", version, url}
		if got, err := curl(t, args...); err == nil {
			t.Errorf("%s: without a certificate:\n%s", version, got)
		}
		if got, err := curl(t, append(args, "--cert", mine.CertFile, "--key", mine.KeyFile)...); err != nil || got != "{}\n200 2" {
			t.Errorf("%s: with a certificate: %v\n%s", version, err, got)
		}
	}
}

// TestTLSOfPorts: which port speaks TLS.
func TestTLSOfPorts(t *testing.T) {
	ca := certtest.New(t)
	outer, inner := ca.Issue(t, certtest.Leaf{}), ca.Issue(t, certtest.Leaf{})
	own := freePort(t)
	for _, c := range []struct {
		name, options         string
		externalTLS, plainToo bool
		internalTLS           bool
		internalSerial        string
		ownPort               string
	}{
		{name: "one block", options: block("tls", outer, ""), externalTLS: true, internalTLS: true, internalSerial: serialOf(outer)},
		{name: "external", options: block("tls", outer, "") + `, "tls_external": true`, externalTLS: true},
		{name: "two blocks", options: block("tls", outer, "") + ", " + block("internal_tls", inner, ""), externalTLS: true, internalTLS: true, internalSerial: serialOf(inner)},
		{name: "internal", options: block("internal_tls", inner, ""), internalTLS: true, internalSerial: serialOf(inner)},
		{name: "a port of its own", options: block("tls", outer, "") + `, "tls_external": true, "tls_port": ` + own, plainToo: true, ownPort: own},
		{name: "optional", options: block("tls", outer, "") + `, "tls_optional": true, "tls_external": true`, externalTLS: true, plainToo: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			internal := freePort(t)
			p := start(t, secured(c.options+`, "internal_port": "`+internal+`"`))
			speaks := func(scheme, port, path string) bool {
				got, err := curl(t, "--cacert", ca.File, scheme+"://127.0.0.1:"+port+path)
				return err == nil && !strings.Contains(got, "\n400 ")
			}
			if got := speaks("https", p.port(), "/connection/websocket"); got != c.externalTLS {
				t.Errorf("TLS on the external port: %v", got)
			}
			if got := speaks("http", p.port(), "/api"); got != (!c.externalTLS || c.plainToo) {
				t.Errorf("plain HTTP on the external port: %v", got)
			}
			if got := speaks("https", internal, "/health"); got != c.internalTLS {
				t.Errorf("TLS on the internal port: %v", got)
			}
			if got := speaks("http", internal, "/health"); got == c.internalTLS {
				t.Errorf("plain HTTP on the internal port: %v", got)
			}
			if c.ownPort != "" && (!speaks("https", c.ownPort, "/connection/websocket") || speaks("http", c.ownPort, "/connection/websocket")) {
				t.Error("the port of its own does not speak TLS, or not only that")
			}
			if c.internalTLS {
				if got := shown(t, internal); got != c.internalSerial {
					t.Errorf("the internal port shows %s, want %s", got, c.internalSerial)
				}
			}
		})
	}
}

// TestACME: the server gets its certificate by itself, and from the cache at its second start.
func TestACME(t *testing.T) {
	port := freePort(t)
	cache := filepath.Join(t.TempDir(), "certificates")
	authority := acmetest.Start(t, "0", port)
	cfg := secured(fmt.Sprintf(`"port": %s, "tls_autocert": {"enabled": true, "host_whitelist": ["stentor.example.com"], "cache_dir": %q,
		"directory_url": %q, "directory_ca_pem": %q}`, port, cache, authority.DirectoryURL, authority.CAFile))
	shows := func() error {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", "127.0.0.1:"+port,
			&tls.Config{RootCAs: authority.Roots, ServerName: "stentor.example.com"})
		if err == nil {
			conn.Close()
		}
		return err
	}
	p := start(t, cfg, "--http_server.port", port)
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = shows(); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("no certificate: %v", err)
	}
	p.stop()
	readSlowly(t, filepath.Join(cache, "stentor.example.com")) // and still no handshake comes before it has been read
	p = start(t, strings.Replace(cfg, authority.DirectoryURL, "https://127.0.0.1:1/", 1), "--http_server.port", port)
	if err := shows(); err != nil {
		t.Errorf("at the second start: %v", err)
	}
	p.stop()
}

// readSlowly makes a file one whose first reader has to wait: a named pipe, until its content is there.
func readSlowly(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	aside := file + ".aside"
	if err := os.Rename(file, aside); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		pipe, err := os.OpenFile(file, os.O_WRONLY, 0) // waits for the reader
		if err != nil {
			return
		}
		defer pipe.Close()
		time.Sleep(300 * time.Millisecond)
		_ = os.Rename(aside, file)
		_, _ = pipe.Write(content)
	}()
}

// TestHTTP2InClearText: where it is asked for, curl speaks it without asking first.
func TestHTTP2InClearText(t *testing.T) {
	p := start(t, secured(`"h2c_external": true, "internal_port": "`+freePort(t)+`"`), "--http_api.external")
	if got, err := curl(t, "--http2-prior-knowledge", "-H", "X-API-Key: "+quickStartAPIKey, "-d", "{}", p.url+"/api/info"); err != nil || !strings.HasSuffix(got, "\n200 2") {
		t.Errorf("%v\n%s", err, got)
	}
	if got, err := curl(t, "-H", "X-API-Key: "+quickStartAPIKey, "-d", "{}", p.url+"/api/info"); err != nil || !strings.HasSuffix(got, "\n200 1.1") {
		t.Errorf("%v\n%s", err, got)
	}
}

// TestProxyProtocol: what curl says of its client in a PROXY header is believed, if it comes from a balancer.
func TestProxyProtocol(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		networks := `["10.0.0.0/8"]`
		if trusted {
			networks = `["127.0.0.0/8"]`
		}
		p := start(t, secured(`"proxy_protocol": {"trusted": `+networks+`}`))
		got, err := curl(t, "--haproxy-protocol", p.url+"/health")
		if trusted && (err != nil || got != "{}\n200 1.1") || !trusted && !strings.HasSuffix(got, "\n400 1.1") {
			t.Errorf("trusted %v: %v\n%s", trusted, err, got)
		}
		if got, err := curl(t, p.url+"/health"); (err == nil) == trusted {
			t.Errorf("without a header, trusted %v: %v\n%s", trusted, err, got)
		}
	}
}

// TestHAProxy: behind HAProxy, with PROXY headers of both versions and with TLS or without, the address that counts is the client's.
func TestHAProxy(t *testing.T) {
	ca := certtest.New(t)
	for _, c := range []struct{ name, tls, scheme string }{{"plain", "", "ws"}, {"TLS", block("tls", ca.Issue(t, certtest.Leaf{}), "") + ", ", "wss"}} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, strings.Replace(secured(c.tls+`"proxy_protocol": {"trusted": ["127.0.0.1"]}`), `"client": {`, `"client": {"connection_limit_per_ip": 1, `, 1))
			lines, binary := freePort(t), freePort(t)
			haproxy(t, fmt.Sprintf(`
defaults
	mode tcp
	timeout connect 5s
	timeout client 60s
	timeout server 60s
listen lines
	bind 127.0.0.1:%s
	server stentor 127.0.0.1:%s send-proxy source 127.0.0.1
listen binary
	bind 127.0.0.1:%s
	server stentor 127.0.0.1:%s send-proxy-v2 proxy-v2-options crc32c,unique-id source 127.0.0.1
	unique-id-format %%[uuid()]
`, lines, p.port(), binary, p.port()), lines, binary)
			upgrade := func(from, port string) error {
				d := ws.Dialer{
					NetDial:   (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
					TLSConfig: &tls.Config{RootCAs: ca.Pool},
					Timeout:   15 * time.Second,
				}
				conn, _, _, err := d.Dial(t.Context(), c.scheme+"://127.0.0.1:"+port+"/connection/websocket")
				if err == nil {
					t.Cleanup(func() { conn.Close() })
				}
				return err
			}
			for _, one := range []struct{ from, port string }{{"127.0.0.2", lines}, {"127.0.0.3", binary}} {
				if err := upgrade(one.from, one.port); err != nil {
					t.Errorf("the first of %s: %v", one.from, err)
				}
				for _, port := range []string{lines, binary} {
					if err := upgrade(one.from, port); err == nil || !strings.Contains(err.Error(), "503") {
						t.Errorf("one more of %s: %v", one.from, err)
					}
				}
			}
		})
	}
}

// haproxy runs HAProxy until the test ends, and waits for its ports.
func haproxy(t *testing.T, cfg string, ports ...string) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy"
	}
	need(t, program)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", file)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy:\n%s", out.String())
		}
	})
	for _, port := range ports {
		deadline := time.Now().Add(15 * time.Second)
		for {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("HAProxy does not listen: %v", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
