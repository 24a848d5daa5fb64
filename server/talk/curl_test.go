package talk

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var docCurl = regexp.MustCompile("(?m)^curl .*$")

// TestCurl runs what the documentation tells people to run.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed; scripts/install.sh installs it")
	}
	h := open(t, `{"client":{"insecure":true}}`)
	text, err := os.ReadFile("../../docs/transports.md")
	if err != nil {
		t.Fatal(err)
	}
	var session, node string
	lines := docCurl.FindAllString(string(text), -1)
	if len(lines) < 5 {
		t.Fatalf("%d lines with curl", len(lines))
	}
	for _, line := range lines {
		command := strings.Replace(line, "http://localhost:8000", "http://"+h.addr, 1)
		command = strings.Replace(command, `"session":"…","node":"…"`, `"session":"`+session+`","node":"`+node+`"`, 1)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		c := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var heard strings.Builder
		in := bufio.NewScanner(out)
		for !strings.Contains(heard.String(), `"connect":{`) && in.Scan() {
			heard.WriteString(in.Text() + "\n")
		}
		if strings.Contains(line, " -N ") != strings.Contains(heard.String(), `"connect":{`) {
			t.Errorf("%s\nheard %s", line, heard.String())
		}
		switch {
		case strings.Contains(line, "/http_stream "):
			var reply struct {
				Connect struct{ Session, Node string }
			}
			if err := json.Unmarshal([]byte(heard.String()), &reply); err != nil {
				t.Fatal(err)
			}
			session, node = reply.Connect.Session, reply.Connect.Node
			defer c.Wait()
			defer cancel() // its stream goes on until the others have been run
			continue
		case strings.Contains(line, "/emulation") && !strings.HasPrefix(heard.String(), "HTTP/1.1 204 "),
			strings.Contains(line, "/init") && !strings.HasSuffix(heard.String(), "\n{}\n"):
			t.Errorf("%s\nheard %s", line, heard.String())
		}
		cancel()
		_ = c.Wait() // it was killed in the middle of a stream
	}
}
