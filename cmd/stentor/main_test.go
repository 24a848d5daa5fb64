package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stentor/server/auth"
	"stentor/server/config"
)

// TestMain lets the test binary be the server: the tests start it as a process of its own, the same program that main runs.
// Scripts call it by its name.
func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		os.Exit(0)
	}
	testscript.Main(m, map[string]func(){"stentor": main})
}

const asServer = "TEST_AS_STENTOR"

// process is a running server.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string // http://127.0.0.1:port
	logs *logs
}

// logs keeps what a server wrote and tells when something was.
type logs struct {
	r    io.Reader
	seen chan logLine
	all  bytes.Buffer // read after done
	done chan struct{}
}

// logLine is a line of the log: all of it, and the message in it.
type logLine struct{ text, message string }

// quickStart is the configuration of the widely copied quick start of the version 5 era, with flat names.
const quickStart = `{
  "token_hmac_secret_key": "secret-of-the-tokens",
  "api_key": "secret-of-the-api",
  "allowed_origins": ["http://localhost:3000"],
  "namespaces": [
    {"name": "chat", "history_size": 50, "history_ttl": "300s", "presence": true, "force_recovery": true,
     "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true},
    {"name": "notifications", "history_size": 10, "history_ttl": "60s", "presence": true, "allow_subscribe_for_client": true},
    {"name": "locked"}
  ]
}`

const (
	quickStartAPIKey = "secret-of-the-api"
	quickStartSecret = "secret-of-the-tokens"
)

// start runs a server with this configuration on a free port of the loopback address and waits until it serves.
func start(t *testing.T, cfg string, args ...string) *process {
	t.Helper()
	return startBy(t, nil, cfg, args...)
}

// startBy is start through a launcher: a command that runs what follows it.
func startBy(t *testing.T, launcher []string, cfg string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	line := append(slices.Clone(launcher), os.Args[0], "--config", file, "--http_server.address", "127.0.0.1", "--http_server.port", port,
		"--health.enabled")
	line = append(line, args...)
	p := &process{t: t, cmd: exec.Command(line[0], line[1:]...), url: "http://127.0.0.1:" + port}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), asServer+"=1")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.logs = &logs{r: stderr, seen: make(chan logLine, 1024), done: make(chan struct{})}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.logs.follow()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			<-p.logs.done
			p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.logs.all.String())
		}
	})
	p.waitLog("serving")
	return p
}

func (l *logs) follow() {
	defer close(l.done)
	defer close(l.seen)
	scan := bufio.NewScanner(l.r)
	scan.Buffer(nil, 1<<20) // stacks are long lines
	for scan.Scan() {
		l.all.Write(scan.Bytes())
		l.all.WriteByte('\n')
		var line struct {
			Message string `json:"msg"`
		}
		if json.Unmarshal(scan.Bytes(), &line) == nil {
			select {
			case l.seen <- logLine{scan.Text(), line.Message}:
			default:
			}
		}
	}
}

// waitLog waits for a log line whose message begins so, and returns all of the line.
func (p *process) waitLog(prefix string) string {
	p.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, more := <-p.logs.seen:
			if !more {
				p.t.Fatalf("the server ended before it logged %q", prefix)
			}
			if strings.HasPrefix(line.message, prefix) {
				return line.text
			}
		case <-timeout:
			p.t.Fatalf("the server did not log %q", prefix)
		}
	}
}

// signal sends s to the server.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the server as an operator would and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.wait()
}

// wait returns the exit code of a server that was told to end; -1 if a signal ended it.
func (p *process) wait() int {
	<-p.logs.done
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// post calls the server API and returns status and body.
func (p *process) post(path, body string) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "apikey "+quickStartAPIKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

// get reads one of the server's pages.
func (p *process) get(path string) string {
	p.t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("GET %s: status %d, %v", path, resp.StatusCode, err)
	}
	return string(content)
}

// publish sends a publication through the server API.
func (p *process) publish(channel, data string) {
	p.t.Helper()
	status, answer := p.post("/api/publish", fmt.Sprintf(`{"channel":%q,"data":%s}`, channel, data))
	if status != http.StatusOK || strings.Contains(answer, `"error"`) {
		p.t.Fatalf("publish: %d %s", status, answer)
	}
}

func token(t *testing.T, user string) string {
	t.Helper()
	token, err := auth.MintConnection(config.Token{HMACSecretKey: quickStartSecret}, user, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// node runs one of the scripts that drive real clients.
func node(t *testing.T, script string, env ...string) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("Node.js is not installed; scripts/install.sh installs it")
	}
	dir := filepath.Join("..", "..", "scripts", "e2e")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Skip("the JavaScript SDK is not installed; scripts/install.sh installs it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s", out)
}
