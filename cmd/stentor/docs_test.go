package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stentor/engine/enginetest/natstest"
	"stentor/server/certs/certtest"
	"stentor/server/config"
)

var (
	docWord   = regexp.MustCompile("`([a-z_]+(?:\\.[a-z0-9_]+)+)[^`]*`")
	docMetric = regexp.MustCompile(`\bstentor_[a-z_]+`)
	docRow    = regexp.MustCompile("(?m)^\\| `(reactor\\.[a-z_]+)` \\| ([^ |]+) \\|")
	docShell  = regexp.MustCompile("(?m)^```sh\n((?:stentor|curl) .*)\n```$")
	docLink   = regexp.MustCompile(`\]\(([^)#:]+\.md)[)#]`)
)

// TestDocs: the options, metrics and files that the documentation names exist, and every metric of our own is in it.
func TestDocs(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documentation: %v", err)
	}
	metrics := ownMetrics(t)
	documented := map[string]bool{}
	for _, file := range append(files, "../../README.md") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		for _, m := range docWord.FindAllStringSubmatch(text, -1) {
			if section, _, _ := strings.Cut(m[1], "."); isOption(section) && !isOption(m[1]) {
				t.Errorf("%s names the option %s, which does not exist", file, m[1])
			}
		}
		for _, name := range docMetric.FindAllString(text, -1) {
			documented[name] = true
			if !metrics[name] {
				t.Errorf("%s names the metric %s, which does not exist", file, name)
			}
		}
		for _, m := range docLink.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
	for name := range metrics {
		if !documented[name] {
			t.Errorf("the metric %s is not documented", name)
		}
	}
}

// TestDocumentedDefaults: the table of our own options has their defaults.
func TestDocumentedDefaults(t *testing.T) {
	content, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range docRow.FindAllStringSubmatch(string(content), -1) {
		documented[m[1]] = m[2]
	}
	for _, d := range rowsOf(config.Docs(), "reactor") {
		if documented[d.Path] != d.Default {
			t.Errorf("%s has the default %s, documented is %q", d.Path, d.Default, documented[d.Path])
		}
	}
}

// TestDocumentedRequests: what docs/transports.md says to type into a shell, beside a server that was started as it says, is answered.
func TestDocumentedRequests(t *testing.T) {
	need(t, "curl")
	content, err := os.ReadFile("../../docs/transports.md")
	if err != nil {
		t.Fatal(err)
	}
	var p *process
	asked := 0
	for _, m := range docShell.FindAllStringSubmatch(string(content), -1) {
		command := m[1]
		switch {
		case strings.HasPrefix(command, "stentor "):
			p = start(t, "{}", strings.Fields(command)[1:]...)
			continue
		case strings.Contains(command, "…"): // somebody has to fill it in
			continue
		}
		command = strings.Replace(command, "http://localhost:8000", p.url, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		curl := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
		out, err := curl.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := curl.Start(); err != nil {
			t.Fatal(err)
		}
		answered := false
		for lines := bufio.NewScanner(out); !answered && lines.Scan(); {
			answered = strings.Contains(lines.Text(), `"connect":{"client":`) || lines.Text() == "{}"
		}
		cancel() // streams do not end
		_ = curl.Wait()
		if !answered {
			t.Errorf("%s is not answered", command)
		}
		asked++
	}
	if asked < 5 {
		t.Errorf("only %d requests were found", asked)
	}
}

// isOption reports that path is an option or a block of them.
func isOption(path string) bool {
	return len(rowsOf(config.Docs(), path)) > 0
}

// ownMetrics are the names of the metrics that only this server has, as a running one shows them.
func ownMetrics(t *testing.T) map[string]bool {
	names := map[string]bool{}
	overTLS := secured(block("tls", certtest.New(t).Issue(t, certtest.Leaf{}), "") + `, "tls_optional": true`)
	for _, cfg := range []string{quickStart, natsConfig(natstest.Start(t).URL()), overTLS} { // alone, with a broker, and with TLS
		p := start(t, cfg, "--prometheus.enabled")
		for line := range strings.SplitSeq(p.get("/metrics"), "\n") {
			if name, found := strings.CutPrefix(line, "# TYPE "); found && strings.HasPrefix(name, "stentor_") {
				name, _, _ = strings.Cut(name, " ")
				names[name] = true
			}
		}
	}
	return names
}
