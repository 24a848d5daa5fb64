package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"stentor/server/certs/certtest"
)

// TestFirstMistakes does what people do on their first day, and looks for the log line that says what to change.
func TestFirstMistakes(t *testing.T) {
	for _, test := range []struct {
		name    string
		client  centrifuge.Config
		channel string // to subscribe to
		logs    string
		remedy  string
	}{
		{
			name:   "origin",
			client: centrifuge.Config{Token: token(t, "42"), Header: http.Header{"Origin": {"https://example.com"}}},
			logs:   "a page of this origin may not connect",
			remedy: "add the origin to client.allowed_origins",
		},
		{
			name:   "missing token",
			client: centrifuge.Config{},
			logs:   "a client without a token was refused",
			remedy: "give clients a connection token signed with client.token.hmac_secret_key",
		},
		{
			name:   "token of another secret",
			client: centrifuge.Config{Token: strings.ToUpper(token(t, "42"))},
			logs:   "an invalid connection token was refused",
			remedy: "reason",
		},
		{
			name:    "no permission in the namespace",
			client:  centrifuge.Config{Token: token(t, "42")},
			channel: "locked:1",
			logs:    "a subscription without permission was refused",
			remedy:  "set allow_subscribe_for_client in the namespace",
		},
		{
			name:    "no such namespace",
			client:  centrifuge.Config{Token: token(t, "42")},
			channel: "gone:1",
			logs:    "a channel of an unknown namespace was refused",
			remedy:  "add the namespace to channel.namespaces",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, quickStart)
			c := centrifuge.NewJsonClient(strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket", test.client)
			defer c.Close()
			if test.channel != "" {
				sub, err := c.NewSubscription(test.channel)
				if err != nil {
					t.Fatal(err)
				}
				if err := sub.Subscribe(); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.Connect() // fails where the connection is refused; the log says why
			if line := p.waitLog(test.logs); !strings.Contains(line, test.remedy) || !strings.Contains(line, `"level":"INFO"`) {
				t.Errorf("no %q in the log line %s", test.remedy, line)
			}
		})
	}
}

// TestFirstMistakesAtTheStart: with these the server does not start, and one line says why and what to do.
func TestFirstMistakesAtTheStart(t *testing.T) {
	ca := certtest.New(t)
	pair, other := ca.Issue(t, certtest.Leaf{}), ca.Issue(t, certtest.Leaf{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	unprivileged := []string{"setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"}
	with := func(cert, key string) string { return block("tls", &certtest.Pair{CertFile: cert, KeyFile: key}, "") }
	for _, test := range []struct {
		name     string
		launcher []string
		config   string
		says     string
		remedy   string
	}{
		{"no certificate", nil, secured(with("/no/such/cert.pem", pair.KeyFile)),
			"http_server.tls.cert_pem: file /no/such/cert.pem: no such file", "name the file by its whole path"},
		{"no certificate named", nil, secured(`"tls": {"enabled": true}`), "http_server.tls.cert_pem: is missing", "name the file"},
		{"another key", nil, secured(with(pair.CertFile, other.KeyFile)),
			"private key does not match", "the key must be the one that the first certificate of cert_pem was made for"},
		{"privileged port", unprivileged, secured(with(pair.CertFile, pair.KeyFile) + `, "tls_port": 443`),
			"http_server.tls_port: listen tcp 127.0.0.1:443: bind: permission denied", "CAP_NET_BIND_SERVICE"},
		{"ACME for no host", nil, secured(`"tls_autocert": {"enabled": true}`),
			"http_server.tls_autocert.host_whitelist: is empty", "list the names that clients connect to"},
		{"port of gRPC", nil, `{"uni_grpc": {"enabled": true, "address": "127.0.0.1", "port": ` + strconv.Itoa(taken.Addr().(*net.TCPAddr).Port) + `}}`,
			"uni_grpc.port: listen tcp", "choose another port, or stop what listens there"},
		{"HTTP/3 without TLS", nil, secured(`"http3": {"enabled": true}`), "HTTP/3 needs TLS", "set http_server.tls.enabled and its certificate"},
		{"WebTransport without HTTP/3", nil, `{"webtransport": {"enabled": true}}`, "WebTransport needs HTTP/3", "set http_server.http3.enabled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.launcher != nil {
				need(t, test.launcher[0])
				if out, err := exec.Command(test.launcher[0], append(test.launcher[1:], "true")...).CombinedOutput(); err != nil {
					t.Skipf("nobody here may give up a capability: %v %s", err, out)
				}
			}
			file := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(file, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			line := append(slices.Clone(test.launcher), os.Args[0], "--config", file, "--http_server.address", "127.0.0.1", "--http_server.port", freePort(t))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, line[0], line[1:]...)
			cmd.Env = append(os.Environ(), asServer+"=1")
			out, err := cmd.CombinedOutput()
			var errors []string
			for said := range strings.SplitSeq(string(out), "\n") {
				if strings.Contains(said, `"level":"ERROR"`) {
					errors = append(errors, said)
				}
			}
			if err == nil || len(errors) == 0 || !strings.Contains(errors[0], test.says) || !strings.Contains(errors[0], test.remedy) {
				t.Errorf("ended with %v and said:\n%s", err, out)
			}
		})
	}
}

// TestOriginOfAStream: the browser tells its page little of why a stream cannot be read; the log tells more.
func TestOriginOfAStream(t *testing.T) {
	p := start(t, `{"client":{"allow_anonymous_connect_without_token":true},"sse":{"enabled":true}}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://example.com")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if allowed := resp.Header.Get("Access-Control-Allow-Origin"); allowed != "" {
		t.Errorf("the page of %q may read it", allowed)
	}
	if line := p.waitLog("a page of this origin may not connect"); !strings.Contains(line, "add the origin to client.allowed_origins") {
		t.Errorf("logged %s", line)
	}
}

// TestLowDescriptorLimit: the limit of open files that many systems start with admits a few hundred clients.
func TestLowDescriptorLimit(t *testing.T) {
	launcher := []string{"sh", "-c", `ulimit -n 512; exec "$0" "$@"`}
	p := startBy(t, launcher, quickStart)
	line := p.waitLog("the limit of open files admits few connections")
	for _, part := range []string{`"max_connections":2`, "ulimit -n", "LimitNOFILE=", "--ulimit nofile="} {
		if !strings.Contains(line, part) {
			t.Errorf("no %s in the log line %s", part, line)
		}
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	// A limit that was chosen is not warned of.
	p = startBy(t, launcher, quickStart, "--reactor.max_connections", "200")
	p.stop()
	if log := p.logs.all.String(); strings.Contains(log, "admits few connections") || !strings.Contains(log, `"max_connections":200`) {
		t.Errorf("the log is:\n%s", log)
	}
}
