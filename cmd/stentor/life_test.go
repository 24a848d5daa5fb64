package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
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

// TestReload: SIGHUP applies channel options and tokens; a file that is not valid is reported and changes nothing.
func TestReload(t *testing.T) {
	p := start(t, quickStart)
	if status, answer := p.post("/api/publish", `{"channel":"fresh:1","data":{}}`); !strings.Contains(answer, `"code":102`) {
		t.Fatalf("a namespace that is not there: %d %s", status, answer)
	}
	file := filepath.Join(p.cmd.Dir, "config.json")
	rewrite := func(content, message string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.waitLog(message)
	}
	rewrite(strings.Replace(quickStart, `{"name": "locked"}`, `{"name": "fresh"}`, 1), "the configuration was reloaded")
	p.publish("fresh:1", `{}`)
	rewrite(`{"channel": 5}`, "the configuration was not reloaded")
	p.publish("fresh:1", `{}`)
}

// TestSecondInstance: a port that is taken is said so, and nothing else happens.
func TestSecondInstance(t *testing.T) {
	p := start(t, quickStart)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	second := exec.CommandContext(ctx, os.Args[0], "--config", filepath.Join(p.cmd.Dir, "config.json"),
		"--http_server.address", "127.0.0.1", "--http_server.port", port)
	second.Env = append(os.Environ(), asServer+"=1")
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "address already in use") {
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
