package reactor

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// openssl is its s_client, which obeys a terminal's commands: "K" and "R" at the beginning of what is said to it at once.
type openssl struct {
	t    *testing.T
	in   io.WriteCloser
	out  *bufio.Reader
	text strings.Builder
}

func startOpenssl(t *testing.T, r *Reactor, args ...string) *openssl {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is not installed: run scripts/install.sh")
	}
	cmd := exec.Command(path, append([]string{"s_client", "-connect", r.Addr().String(), "-servername", "localhost"}, args...)...)
	c := &openssl{t: t}
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	watchdog := time.AfterFunc(waitMax, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		c.in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		watchdog.Stop()
	})
	return c
}

func (c *openssl) say(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, s); err != nil {
		c.t.Fatal(err)
	}
}

// until reads what it prints until it has printed want.
func (c *openssl) until(want string) {
	c.t.Helper()
	start := c.text.Len()
	for !strings.Contains(c.text.String()[start:], want) {
		b, err := c.out.ReadByte()
		if err != nil {
			c.t.Fatalf("no %q in %s", want, c.text.String())
		}
		c.text.WriteByte(b)
	}
}

func TestOpenssl(t *testing.T) {
	for _, c := range []struct{ version, suite string }{
		{"-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"-tls1_2", "ECDHE-ECDSA-CHACHA20-POLY1305"},
		{"-tls1_2", "ECDHE-ECDSA-AES128-SHA"},
		{"-tls1_3", "TLS_AES_128_GCM_SHA256"},
		{"-tls1_3", "TLS_AES_256_GCM_SHA384"},
		{"-tls1_3", "TLS_CHACHA20_POLY1305_SHA256"},
	} {
		t.Run(c.suite, func(t *testing.T) {
			r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
			option := map[string]string{"-tls1_2": "-cipher", "-tls1_3": "-ciphersuites"}[c.version]
			client := startOpenssl(t, r, c.version, option, c.suite, "-ign_eof")
			client.until(c.suite)
			client.say(upgradeRequest())
			client.until("101 Switching Protocols")
			for i := range 3 {
				msg := fmt.Sprint("message ", i)
				client.say(text(msg))
				client.until(msg)
			}
			client.say(text(strings.Repeat("x", 20000)))
			client.until(strings.Repeat("x", 20000))
		})
	}
}

// openssl asks for a renegotiation, which TLS 1.2 has and we refuse: the conn ends.
func TestOpensslRenegotiation(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
	client := startOpenssl(t, r, "-tls1_2")
	client.until("Verify return code")
	client.say(upgradeRequest())
	client.until("101 Switching Protocols")
	client.say("R\n")
	client.until("RENEGOTIATING")
	eventually(t, "refused", func() bool { s := r.Stats(); return s.TLSBroken == 1 })
	eventually(t, "gone", func() bool { return r.Stats().Conns == 0 })
}

// openssl updates its keys, and asks for new ones of ours.
func TestOpensslKeyUpdate(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
	client := startOpenssl(t, r, "-tls1_3")
	client.until("Verify return code")
	client.say(upgradeRequest())
	client.until("101 Switching Protocols")
	for i, command := range []string{"K\n", "k\n", "K\n"} {
		client.say(command)
		client.until("KEYUPDATE")
		client.say(text(fmt.Sprint("message ", i)))
		client.until(fmt.Sprint("message ", i))
	}
}

// A session of openssl's is resumed.
func TestOpensslResumption(t *testing.T) {
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
		file := t.TempDir() + "/session"
		client := startOpenssl(t, r, version, "-sess_out", file, "-ign_eof")
		client.until("New, ")
		client.say("GET / HTTP/1.0\r\nBad Header: x\r\n\r\n")
		client.until("400 Bad Request")
		client.until("closed")
		client = startOpenssl(t, r, version, "-sess_in", file)
		client.until("Reused, ")
	}
}
