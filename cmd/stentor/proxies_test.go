package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

// everyTransport is a server on which all transports of one port are on, and channels of the namespace "log" recoverable.
const everyTransport = `{
  "client": {"token": {"hmac_secret_key": "secret-of-the-tokens"}, "allow_anonymous_connect_without_token": true, "allowed_origins": ["*"]},
  "http_api": {"key": "secret-of-the-api"},
  "prometheus": {"enabled": true},
  "rpc": {"ping": {"enabled": true}},
  "sse": {"enabled": true}, "http_stream": {"enabled": true},
  "uni_sse": {"enabled": true}, "uni_http_stream": {"enabled": true}, "uni_websocket": {"enabled": true},
  "channel": {"namespaces": [
    {"name": "chat", "history_size": 50, "history_ttl": "300s", "presence": true, "force_recovery": true,
     "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true},
    {"name": "log", "history_size": 200, "history_ttl": "300s", "force_recovery": true,
     "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true},
    {"name": "locked"}
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

// frontTCP is a HAProxy that only moves bytes, and says whose in a PROXY header.
func frontTCP(t *testing.T, p *process) *process {
	return front(t, p, "haproxy-tcp.cfg", "bind :", "443", func(string) []string { return []string{"haproxy", "-db", "-f", "haproxy-tcp.cfg"} })
}

// TestProxies: what users put in front of the server, as docs/proxies says.
func TestProxies(t *testing.T) {
	believing := strings.Replace(everyTransport, "{", `{"http_server": {"proxy_protocol": {"trusted": ["127.0.0.0/8"]}},`, 1)
	for _, one := range []struct {
		name, cfg string
		open      func(*testing.T, *process) *process
		reuses    bool
	}{{"nginx", everyTransport, frontNginx, true}, {"HAProxy", everyTransport, frontHAProxy, true}, {"HAProxy, bytes only", believing, frontTCP, false}} {
		t.Run(one.name, func(t *testing.T) {
			p := one.open(t, start(t, one.cfg))
			t.Run("WebSocket", func(t *testing.T) {
				c := centrifuge.NewJsonClient(strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket", centrifuge.Config{
					Token: token(t, "42"), MinReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 200 * time.Millisecond,
				})
				defer c.Close()
				useGoSDK(t, p.in(t), c)
			})
			for _, transport := range []string{"http_stream", "sse"} {
				t.Run(transport, func(t *testing.T) {
					node(t, "sdk.mjs", "STENTOR="+p.url, "API_KEY="+quickStartAPIKey, "TOKEN="+token(t, "42"), "FORM=json", "TRANSPORT="+transport)
				})
			}
			t.Run("streams come at once", func(t *testing.T) { streamsThrough(t, p.in(t)) })
			if one.reuses {
				t.Run("upgrade on a connection that was kept", func(t *testing.T) { upgradesOnKept(t, p.in(t)) })
			}
		})
	}
}

// streamsThrough reads unidirectional streams, as EventSource and curl do: each publication has to come through by itself.
func streamsThrough(t *testing.T, p *process) {
	connect := `{"token":"` + channelToken(t, "42", "log:stream") + `"}`
	for path, body := range map[string]string{"/connection/uni_sse?cf_connect=" + url.QueryEscape(connect): "", "/connection/uni_http_stream": connect} {
		method := "GET"
		if body != "" {
			method = "POST"
		}
		req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		next := func(want string) {
			t.Helper()
			for lines.Scan() {
				if strings.Contains(lines.Text(), want) {
					return
				}
			}
			t.Fatalf("%s ended before %q came: %v", path, want, lines.Err())
		}
		next(`"connect"`)
		for _, n := range []string{"1", "2", "3"} {
			p.publish("log:stream", `{"n":`+n+`}`)
			next(`{"n":` + n + `}`)
		}
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

// channelToken is a connection token that subscribes its user to a channel.
func channelToken(t *testing.T, user, channel string) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "channels": []string{channel}}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(quickStartSecret))
	if err != nil {
		t.Fatal(err)
	}
	return signed
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
