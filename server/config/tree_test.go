package config

import (
	"bufio"
	"os"
	"reflect"
	"strings"
	"testing"
)

// specTypes maps the type names of the reference to ours.
var specTypes = map[string]string{
	"[]ChannelNamespace{}": "[]Namespace{}", "[]RpcNamespace{}": "[]RPCNamespace{}",
	"[]centrifuge.DeltaType":                  "[]string",
	"[]HttpStatusToCodeTransform{}":           "[]HTTPStatusToCodeTransform{}",
	"[]UniConnectCodeToDisconnectTransform{}": "[]ConnectCodeToDisconnectTransform{}",
}

// TestOptionsOfReference compares the tree with the list of the reference server's options.
// ourOwn are options of this server among those of the reference.
var ourOwn = map[string]bool{
	"client.connection_limit_per_ip": true,

	"engine.redis.sharded_pub_sub_partitions": true,
	"broker.redis.sharded_pub_sub_partitions": true,

	"channel.without_namespace.slow_policy": true,
	"channel.namespaces[].slow_policy":      true,

	"channel.without_namespace.allow_wildcards": true,
	"channel.namespaces[].allow_wildcards":      true,
}

func TestOptionsOfReference(t *testing.T) {
	f, err := os.Open("testdata/options.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ours := map[string]Doc{}
	for _, d := range Docs() {
		ours[d.Path] = d
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		part := strings.Split(lines.Text(), "\t")
		path, typ, def := part[0], part[1], part[2]
		d, ok := ours[path]
		delete(ours, path)
		if !ok {
			t.Errorf("option %s is missing", path)
			continue
		}
		if s, mapped := specTypes[typ]; mapped {
			typ = s
		}
		if d.Type != typ {
			t.Errorf("%s has type %s, want %s", path, d.Type, typ)
		}
		if def == "[]" || def == "{}" {
			def = ""
		}
		if d.Default != def {
			t.Errorf("%s has default %q, want %q", path, d.Default, def)
		}
	}
	for _, path := range additions {
		if _, ok := ours[path]; !ok {
			t.Errorf("our own option %s is missing", path)
		}
		delete(ours, path)
	}
	for path := range ours {
		if !strings.HasPrefix(path, "reactor.") && !strings.HasPrefix(path, "dev.") && !ourOwn[path] {
			t.Errorf("option %s is not in the reference", path)
		}
	}
}

// additions are our own options in sections of the reference. docs/configuration.md tells about each.
var additions = []string{
	"client.command_rate_burst",
	"client.command_rate_limit",
	"http_server.proxy_protocol.trusted",
	"http_server.tls_autocert.directory_ca_pem",
	"http_server.tls_autocert.directory_url",
	"http_server.tls_optional",
	"http_server.tls_port",
	"prometheus.channel_namespaces",
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if got := Default().changedFromDefault(); len(got) > 0 {
		t.Errorf("the default differs from itself: %v", got)
	}
	if got := Default().notBuilt(); len(got) > 0 {
		t.Errorf("the default asks for features that do not exist: %v", got)
	}
	c := Default()
	if c.HTTPServer.Port != 8000 || c.Client.PingInterval.Std().Seconds() != 25 || c.Engine.Redis.Address[0] != "redis://127.0.0.1:6379" ||
		c.Channel.WithoutNamespace.SubscribeProxyName != "default" || c.Reactor.GOGC != 30 {
		t.Error("a default of the tags did not arrive")
	}
}

// TestTags makes sure that every option says what it means and that its limits hold for its own default.
func TestTags(t *testing.T) {
	root().paths("", func(path string, n *node) {
		if n.desc == "" {
			t.Errorf("%s has no meaning (desc)", path)
		}
		if n.name != strings.ToLower(n.name) || n.name == "" {
			t.Errorf("%s has a bad name", path)
		}
		for _, tag := range []string{n.min, n.max} {
			if tag != "" {
				if problem := n.parse(reflect.New(n.typ).Elem(), tag); problem != nil {
					t.Errorf("%s has a bad limit %q", path, tag)
				}
			}
		}
	})
	for i, f := range features {
		for _, p := range f.paths {
			plain, ok := strings.CutPrefix(p, "<channel>.")
			if ok {
				plain = "channel.without_namespace." + plain
			}
			if root().find(plain) == nil {
				t.Errorf("feature %d names %s, which is no option", i, p)
			}
		}
	}
	for _, p := range reloadable {
		if root().find(p) == nil {
			t.Errorf("reloadable names %s, which is no option", p)
		}
	}
	for _, n := range oldNames {
		if root().find(n.path) == nil {
			t.Errorf("old name %s leads to %s, which is no option", n.old, n.path)
		}
	}
	for _, name := range oldChannelNames {
		if root().find("channel.without_namespace."+name) == nil {
			t.Errorf("old channel name %s is no option", name)
		}
	}
}

func TestDurationText(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{"25s", "25s"}, {"720h", "720h"}, {"1m30s", "1m30s"}, {"60s", "1m"}, {"1000ms", "1s"}, {"0s", "0s"}, {"1h30m", "1h30m"}, {"10m", "10m"}, {"1h0m5s", "1h0m5s"},
	} {
		d, err := parseDuration(tt.in)
		if err != nil || d.String() != tt.out {
			t.Errorf("%s: %s %v, want %s", tt.in, d, err, tt.out)
		}
	}
}
