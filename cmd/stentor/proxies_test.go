package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// everyTransport is a server on which all transports of one port are on, and channels of the namespace "log" recoverable.
const everyTransport = `{
  "client": {"token": {"hmac_secret_key": "secret-of-the-tokens"}, "allow_anonymous_connect_without_token": true, "allowed_origins": ["*"]},
  "http_api": {"key": "secret-of-the-api"},
  "prometheus": {"enabled": true},
  "rpc": {"ping": {"enabled": true}},
  "channel": {"namespaces": [
    {"name": "chat", "history_size": 50, "history_ttl": "300s", "presence": true, "force_recovery": true,
     "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true},
    {"name": "log", "history_size": 200, "history_ttl": "300s", "force_recovery": true,
     "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true}
  ]}
}`

// front puts a proxy with an example of docs/proxies before p: it is p by another address. listen is how the example says where the
// proxy listens, up to the port and with it.
func front(t *testing.T, p *process, file, listen, port string, command func(dir string) []string) *process {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "proxies", file))
	if err != nil {
		t.Fatal(err)
	}
	conf, free := string(text), freePort(t)
	for from, to := range map[string]string{listen + port: strings.TrimSuffix(listen, ":") + "127.0.0.1:" + free, "127.0.0.1:8000": strings.TrimPrefix(p.url, "http://")} {
		if n := strings.Count(conf, from); n != 1 {
			t.Fatalf("docs/proxies/%s has %q %d times, want once", file, from, n)
		}
		conf = strings.Replace(conf, from, to, 1)
	}
	conf = strings.NewReplacer("200000", "2000", "100000", "1000").Replace(conf) // descriptors: a test may not have so many
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	line := command(dir)
	path, err := exec.LookPath(line[0])
	if err != nil {
		path = "/usr/sbin/" + line[0] // where Debian has it, which is not on everyone's path
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not installed; scripts/install.sh installs it", line[0])
	}
	var said bytes.Buffer
	cmd := exec.Command(path, line[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", line[0], said.String())
		}
	})
	proxied := *p
	proxied.t, proxied.url = t, "http://127.0.0.1:"+free
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(proxied.url + "/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return &proxied
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not serve", line[0])
		}
	}
}

func frontNginx(t *testing.T, p *process) *process {
	return front(t, p, "nginx.conf", "listen ", "80", func(dir string) []string {
		return []string{"nginx", "-p", dir, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off; pid nginx.pid; worker_shutdown_timeout 1s;"}
	})
}

func frontHAProxy(t *testing.T, p *process) *process {
	return front(t, p, "haproxy.cfg", "bind :", "80", func(string) []string { return []string{"haproxy", "-db", "-f", "haproxy.cfg"} })
}

// TestProxies: what users put in front of the server, as docs/proxies says.
func TestProxies(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *process) *process{"nginx": frontNginx, "HAProxy": frontHAProxy} {
		t.Run(name, func(t *testing.T) {
			p := open(t, start(t, everyTransport))
			t.Run("WebSocket", func(t *testing.T) {
				c := centrifuge.NewJsonClient(strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket", centrifuge.Config{
					Token: token(t, "42"), MinReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 200 * time.Millisecond,
				})
				defer c.Close()
				useGoSDK(t, p.in(t), c)
			})
			t.Run("upgrade on a connection that was kept", func(t *testing.T) { upgradesOnKept(t, p.in(t)) })
		})
	}
}

// metric is the value of a counter or gauge without labels.
func (p *process) metric(name string) (value int) {
	p.t.Helper()
	for line := range strings.Lines(p.get("/metrics")) {
		if rest, is := strings.CutPrefix(line, name+" "); is {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				p.t.Fatal(err)
			}
			return value
		}
	}
	p.t.Fatalf("there is no metric %s", name)
	return 0
}

// upgradesOnKept has the proxy use a connection to the server again that has served plain requests before: they are net/http's, and
// what is for a loop has to come back to one.
func upgradesOnKept(t *testing.T, p *process) {
	before := p.metric("stentor_conns_adopted_total")
	for range 20 {
		resp, err := http.Get(p.url + "/health")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		c := centrifuge.NewJsonClient(strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket", centrifuge.Config{Token: token(t, "42")})
		connected := events[centrifuge.ConnectedEvent](t)
		c.OnConnected(connected.note)
		if err := c.Connect(); err != nil {
			t.Fatal(err)
		}
		connected.next("connected")
		c.Close()
	}
	if p.metric("stentor_conns_adopted_total") == before {
		t.Error("no upgrade came on a connection that had served a request")
	}
}
