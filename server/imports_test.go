package server

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// rule is one row of the import table: files of package from (not its tests) may import, of our own packages, nothing that deny
// names and nothing outside only. A pattern ending in "/..." matches a package and all below it; outside names other modules or
// the standard library.
type rule struct {
	from string
	only []string // nil: anything that deny does not name
	deny []string
}

var importTable = []rule{
	{from: "codec", only: []string{"codec/..."}, deny: []string{"net", "net/...", "time", "sync", "reflect"}},
	{from: "codec/ws", only: []string{}, deny: []string{"net", "net/..."}},
	{from: "codec/ws/wstest", only: []string{"codec/ws"}},
	{from: "codec/wire", only: []string{}},
	{from: "codec/delta", only: []string{}},
	{from: "reactor", only: []string{"codec/ws", "reactor/loop", "reactor/proxyproto", "reactor/quiet"}},
	{from: "reactor/proxyproto", only: []string{}},
	{from: "reactor/loop", only: []string{"reactor/quiet"}},
	{from: "reactor/quiet", only: []string{}},
	{from: "engine", only: []string{"codec"}},
	{from: "engine/ring", only: []string{"codec"}, deny: []string{"sync", "time"}},
	{from: "engine/memengine", deny: []string{"server/...", "reactor/...", "engine/redisengine", "engine/natsengine"}},
	{from: "engine/redisengine", deny: []string{"server/...", "reactor/...", "engine/memengine", "engine/natsengine"}},
	{from: "engine/redisengine/redislink", only: []string{"engine", "engine/credentials", "engine/pause"}},
	{from: "engine/natsengine", deny: []string{"server/...", "reactor/...", "engine/memengine", "engine/redisengine"}},
	{from: "engine/redisnats", only: []string{"codec", "engine"}},
	{from: "engine/credentials", only: []string{}},
	{from: "engine/pause", only: []string{}},
	{from: "engine/enginetest", deny: []string{"server/...", "reactor/..."}},
	{from: "engine/enginetest/redistest", only: []string{"engine/enginetest/testport"}},
	{from: "engine/enginetest/natstest", only: []string{"engine/enginetest/testport"}},
	{from: "server/config", only: []string{}},
	{from: "server/certs", only: []string{"engine/credentials", "engine/pause", "server/config"}},
	{from: "server/certs/acmetest", only: []string{}},
	{from: "server/certs/certtest", only: []string{}},
	{from: "server/channel", only: []string{"codec", "engine", "server/config"}},
	{from: "server/hub", deny: []string{"reactor", "server/session", "net", "net/..."}},
	{from: "server/session", deny: []string{"reactor", "net", "net/...", "server/transport/...", "engine/memengine", "server/api"}},
	{from: "server/auth", deny: []string{"server/transport/...", "server/hub"}},
	{from: "server/policy", deny: []string{"server/transport/...", "server/hub"}},
	{from: "server/api", deny: []string{"reactor", "reactor/loop", "server/transport/..."}},
	{from: "server/probe", only: []string{"codec", "engine", "reactor/loop", "server/hub"}},
	{from: "server/cluster", deny: []string{"reactor", "reactor/loop", "server/transport/...", "server/hub", "server/session"}},
	{from: "server/cluster/control", only: []string{}},
	{from: "server/swagger", only: []string{}},
	{from: "server/transport/pipe", only: []string{"codec", "reactor", "reactor/loop"}, deny: []string{"net", "net/..."}},
	{from: "server/transport/...", deny: []string{"server/api", "engine/..."}},
	{from: "bench/cost", only: []string{}},
	{from: "bench/doctor", only: []string{"bench/cost"}},
	{from: "bench/plan", only: []string{"bench/cost", "bench/doctor", "codec", "codec/ws"}},
	{from: "bench/...", deny: []string{"server/...", "engine/...", "reactor/..."}},
}

// gnetOnlyIn is the one package that may import gnet, and enginesOnlyIn the one that may name concrete engines. So may testNode, which
// only tests import.
const (
	gnetOnlyIn    = "reactor"
	enginesOnlyIn = "cmd/stentor"
	testNode      = "server/pipetest"
)

func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "github.com/panjf2000/gnet/") && p.name() != gnetOnlyIn {
				t.Errorf("%s imports gnet; only %s may", p.name(), gnetOnlyIn)
			}
			own, isOwn := strings.CutPrefix(imported, "stentor/")
			if own == testNode {
				t.Errorf("%s imports %s; only tests may", p.name(), testNode)
			}
			if isOwn && strings.HasSuffix(own, "engine") && own != "engine" && p.name() != enginesOnlyIn && p.name() != testNode {
				t.Errorf("%s imports %s; only %s names concrete engines", p.name(), own, enginesOnlyIn)
			}
			for _, r := range importTable {
				if matches(r.from, p.name()) {
					r.check(t, p.name(), imported)
				}
			}
		}
	}
}

func (r rule) check(t *testing.T, from, imported string) {
	t.Helper()
	own, isOwn := strings.CutPrefix(imported, "stentor/")
	for _, d := range r.deny {
		if matches(d, own) {
			t.Errorf("row %q of the import table: %s may not import %s", r.from, from, imported)
		}
	}
	if !isOwn || r.only == nil {
		return
	}
	for _, o := range r.only {
		if matches(o, own) {
			return
		}
	}
	t.Errorf("row %q of the import table: of our packages %s may import only %q, not %s", r.from, from, r.only, imported)
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == prefix || strings.HasPrefix(name, prefix+"/")
	}
	return name == pattern
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, "stentor/") }

func listPackages(t *testing.T) (packages []goPackage) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "stentor/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
