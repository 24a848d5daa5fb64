package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/gobwas/ws"

	"stentor/server/certs/certtest"
)

// TestShutdown: SIGTERM closes clients with 3001, which makes them come back elsewhere, and the process ends with 0.
func TestShutdown(t *testing.T) {
	p := start(t, quickStart)
	c := centrifuge.NewJsonClient(strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket", centrifuge.Config{Token: token(t, "42")})
	defer c.Close()
	connected, connecting := events[centrifuge.ConnectedEvent](t), events[centrifuge.ConnectingEvent](t)
	c.OnConnected(connected.note)
	c.OnConnecting(connecting.note)
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	connecting.next("connecting")
	connected.next("connected")
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	if e := connecting.next("told to go elsewhere"); e.Code != 3001 || e.Reason != "shutdown" {
		t.Errorf("left with %d %s", e.Code, e.Reason)
	}
}

// TestSecondSignal: who cannot wait for clients that do not answer signals twice.
func TestSecondSignal(t *testing.T) {
	p := start(t, quickStart)
	c, _, _, err := ws.Dial(t.Context(), strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() // it never reads, so it never answers the close
	p.signal(syscall.SIGTERM)
	p.waitLog("closing clients")
	p.signal(syscall.SIGTERM)
	p.waitLog("a second signal")
	if code := p.wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// TestReload: SIGHUP applies channel options and tokens; a file that is not valid, or not there, is reported and changes nothing.
func TestReload(t *testing.T) {
	p := start(t, quickStart)
	if status, answer := p.post("/api/publish", `{"channel":"fresh:1","data":{}}`); !strings.Contains(answer, `"code":102`) {
		t.Fatalf("a namespace that is not there: %d %s", status, answer)
	}
	file := filepath.Join(p.cmd.Dir, "config.json")
	rewrite := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGHUP)
	}
	want := func(line, part string) {
		t.Helper()
		if !strings.Contains(line, part) {
			t.Errorf("no %s in the log line %s", part, line)
		}
	}
	fresh := strings.Replace(quickStart, `{"name": "locked"}`, `{"name": "fresh"}`, 1)
	rewrite(fresh)
	want(p.waitLog("the configuration was reloaded"), `"changed":["channel.namespaces[fresh]","channel.namespaces[locked]"]`)
	p.publish("fresh:1", `{}`)

	rewrite(`{"channel": 5, "http_server": {"port": "x"}}`)
	want(p.waitLog("the configuration was not reloaded"), `"error":"channel = `)
	want(p.waitLog("the configuration was not reloaded"), `"error":"http_server.port = `)
	p.publish("fresh:1", `{}`)

	rewrite(`{"client": {"token": {"hmac_secret_key": "s"}}, "channel": {"namespaces": [{"name": "fresh"}, {"name": "fresh"}]}}`)
	want(p.waitLog("the configuration was not reloaded"), "the name is used twice")
	p.publish("fresh:1", `{}`)

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	want(p.waitLog("the configuration was not reloaded"), "no such file or directory")
	p.publish("fresh:1", `{}`)

	rewrite(strings.Replace(fresh, `"api_key"`, `"client_channel_limit": 5, "api_key"`, 1))
	want(p.waitLog("some options changed that are read only at the start"), `"options":["client.channel_limit"]`)
	p.waitLog("the configuration was reloaded; nothing changed")
	p.publish("fresh:1", `{}`)
}

// TestPIDFile: the file is there while the server runs, and a second one that fails leaves it alone.
func TestPIDFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stentor.pid")
	p := start(t, quickStart, "--pid_file", file)
	holds := func() string {
		t.Helper()
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	pid := strconv.Itoa(p.cmd.Process.Pid) + "\n"
	if got := holds(); got != pid {
		t.Errorf("the file holds %q, want %q", got, pid)
	}
	second := secondInstance(t, p, "--pid_file", file)
	if out, err := second.CombinedOutput(); err == nil {
		t.Errorf("the second server ended without an error:\n%s", out)
	}
	if got := holds(); got != pid {
		t.Errorf("after a second start the file holds %q, want %q", got, pid)
	}
	p.stop()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// secondInstance is a server that wants the port of p.
func secondInstance(t *testing.T, p *process, args ...string) *exec.Cmd {
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	args = append([]string{"--config", filepath.Join(p.cmd.Dir, "config.json"), "--http_server.address", "127.0.0.1", "--http_server.port", port}, args...)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	return cmd
}

// TestSecondInstance: a port that is taken is said so, and nothing else happens.
func TestSecondInstance(t *testing.T) {
	p := start(t, quickStart)
	second := secondInstance(t, p)
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "address already in use; choose another port") {
		t.Errorf("the second server ended with %v and said:\n%s", err, out)
	}
	resp, err := http.Get(p.url + "/health")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the first server does not answer any more: %v %v", resp, err)
	}
	resp.Body.Close()
}

// TestWrongConfiguration: a value that cannot be used stops the start and names path, value and remedy.
func TestWrongConfiguration(t *testing.T) {
	for _, test := range []struct{ name, config, says string }{
		{"duration", `{"client":{"ping_interval":"soon"}}`, "client.ping_interval"},
		{"ping below pong", `{"client":{"ping_interval":"5s","pong_timeout":"8s"}}`, "pong_timeout"},
		{"half a history", `{"channel":{"without_namespace":{"history_size":10}}}`, "history_ttl"},
		{"not JSON", `{`, "config.json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(file, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "--config", file, "--http_server.port", freePort(t))
			cmd.Env = append(os.Environ(), asServer+"=1")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.says) {
				t.Errorf("ended with %v and said:\n%s", err, out)
			}
		})
	}
}

// TestServing: the log names every port, and says of the first whether it speaks TLS.
func TestServing(t *testing.T) {
	pair := certtest.New(t).Issue(t, certtest.Leaf{})
	secure, internal, grpc := freePort(t), freePort(t), freePort(t)
	p := start(t, fmt.Sprintf(`{"http_server": {%s, "tls_port": %s, "internal_port": %q, "http3": {"enabled": true}},
		"uni_grpc": {"enabled": true, "address": "127.0.0.1", "port": %s}}`, block("tls", pair, ""), secure, internal, grpc))
	for _, other := range [][2]string{{"TLS", secure}, {"HTTP/3", secure}, {"uni_grpc", grpc}, {"the internal port", internal}} {
		if line := p.waitLog("serving " + other[0]); !strings.Contains(line, `"address":"127.0.0.1:`+other[1]+`"`) {
			t.Errorf("%s: logged %s", other[0], line)
		}
	}
	p.stop()
	if first := `"address":"127.0.0.1:` + p.port() + `","tls":false`; !strings.Contains(p.logs.all.String(), first) {
		t.Errorf("no %s in the log", first)
	}
}

// TestInternalPort: what is for operators is on the internal port alone.
func TestInternalPort(t *testing.T) {
	port := freePort(t)
	p := start(t, `{"http_server":{"internal_port":"`+port+`"},"swagger":{"enabled":true},"http_api":{"key":"k","handler_prefix":"/calls"}}`)
	for _, test := range []struct {
		url, path string
		status    int
		says      string
	}{
		{"http://127.0.0.1:" + port, "/swagger", 200, "<title>"},
		{"http://127.0.0.1:" + port, "/swagger/openapi.json", 200, `"url": "/calls"`},
		{"http://127.0.0.1:" + port, "/swagger/swagger-ui-bundle.js", 200, "SwaggerUI"},
		{"http://127.0.0.1:" + port, "/health", 200, "{}"},
		{"http://127.0.0.1:" + port, "/connection/websocket", 404, ""},
		{p.url, "/swagger", 404, ""},
		{p.url, "/swagger/openapi.json", 404, ""},
		{p.url, "/health", 404, ""},
	} {
		resp, err := http.Get(test.url + test.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != test.status || !strings.Contains(string(body), test.says) {
			t.Errorf("%s%s: %d with %d bytes, %v", test.url, test.path, resp.StatusCode, len(body), err)
		}
	}
}

// TestAllInterfaces: without an address the server is reached over IPv4 and IPv6.
func TestAllInterfaces(t *testing.T) {
	p := start(t, quickStart, "--http_server.address", "")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			t.Logf("this machine has no %s", host)
			continue
		} else {
			l.Close()
		}
		resp, err := http.Get("http://" + net.JoinHostPort(host, port) + "/health")
		if err != nil {
			t.Error(err)
			continue
		}
		resp.Body.Close()
	}
}
