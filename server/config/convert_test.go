package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestOldNames gives each old name once and looks for the value in its new place.
func TestOldNames(t *testing.T) {
	sample := func(n *node) string {
		switch n.kind {
		case kindBool:
			return "true"
		case kindInt:
			return "3"
		case kindDuration:
			return `"3s"`
		case kindStrings:
			return `["fossil"]`
		case kindMap:
			return `{"a": "b"}`
		case kindList:
			return `[]`
		}
		if len(n.enum) > 1 {
			return fmt.Sprintf("%q", n.enum[1])
		}
		return `"x"`
	}
	names := append([]oldName{}, oldNames...)
	for _, name := range oldChannelNames {
		names = append(names, oldName{name, "channel.without_namespace." + name})
	}
	for _, n := range names {
		file := fmt.Sprintf("%q: %s", n.old, sample(root().find(n.path)))
		if parent, name := cutLast(n.old); parent != "" {
			file = fmt.Sprintf("%q: {%q: %s}", parent, name, sample(root().find(n.path)))
		}
		// Some values need others; only the way of this one is asked about.
		l := &loader{cfg: Default()}
		l.dec.given = map[string]string{}
		l.dec.unknown = l.unknownKey
		l.parsed(JSON, []byte("{"+file+"}"))
		if len(l.dec.errs) > 0 {
			t.Errorf("%s: %v", n.old, l.dec.errs)
		}
		if _, ok := l.dec.given[n.path]; !ok {
			t.Errorf("%s did not arrive at %s", n.old, n.path)
		}
		if len(l.warnings) != 1 || l.warnings[0].Topic != OldName || !strings.Contains(l.warnings[0].Text, n.path) {
			t.Errorf("%s: warnings %v", n.old, l.warnings)
		}
	}
}

func TestConversions(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		got        func(c *Config) any
		want       string
	}{
		{"both given", `{"api_key": "old", "http_api": {"key": "new"}}`, func(c *Config) any { return c.HTTPAPI.Key }, "new"},
		{"old name beside other options of the section", `{"api_key": "k", "http_api": {"handler_prefix": "/x"}}`,
			func(c *Config) any { return c.HTTPAPI.Key + c.HTTPAPI.HandlerPrefix }, "k/x"},
		{"section that has an old name", `{"admin": {"enabled": true, "insecure": true}, "health": true}`,
			func(c *Config) any { return show(c.Admin.Enabled, c.Health.Enabled) }, "true true"},
		{"object in place of a switch", `{"http_server": {"port": 1}, "opentelemetry": {"api": true}, "nats_raw_mode": {"enabled": true, "prefix": "p"}}`,
			func(c *Config) any {
				return show(c.OpenTelemetry.API, c.Broker.NATS.RawMode.Enabled, c.Broker.NATS.RawMode.Prefix)
			}, "true true p"},
		{"engine", `{"engine": "redis", "redis_address": "a:1 b:2"}`, func(c *Config) any { return show(c.Engine.Type, c.Engine.Redis.Address) }, "redis [a:1 b:2]"},
		{"broker", `{"broker": "nats", "nats_url": "nats://x"}`, func(c *Config) any { return show(c.Broker.Enabled, c.Broker.Type, c.Broker.NATS.URL) }, "true nats nats://x"},
		{"connect proxy", `{"proxy_connect_endpoint": "http://x", "proxy_connect_timeout": "2s"}`,
			func(c *Config) any {
				return show(c.Client.Proxy.Connect.Enabled, c.Client.Proxy.Connect.Endpoint, c.Client.Proxy.Connect.Timeout)
			}, "true http://x 2s"},
		{"RPC proxy", `{"proxy_rpc_endpoint": "http://x"}`, func(c *Config) any { return show(c.RPC.WithoutNamespace.ProxyEnabled, c.RPC.NamespaceBoundary) }, "true :"},
		{"RPC proxy with namespaces", `{"proxy_rpc_endpoint": "http://x", "rpc_namespaces": [{"name": "nn", "rpc_proxy_name": "default"}]}`,
			func(c *Config) any {
				return show(c.RPC.WithoutNamespace.ProxyEnabled, c.RPC.Namespaces[0].ProxyEnabled, c.RPC.Namespaces[0].ProxyName)
			}, "false true default"},
		{"options of all proxies", `{"proxy_http_headers": ["Cookie"], "proxy_static_http_headers": {"A": "b"}, "proxy_grpc_tls": true, "proxy_grpc_compression": true}`,
			func(c *Config) any {
				return show(c.Client.Proxy.Refresh.HTTPHeaders, c.Channel.Proxy.Publish.HTTP.StaticHeaders, c.RPC.Proxy.GRPC.TLS.Enabled, c.Channel.Proxy.SubscribeStream.GRPC.Compression)
			}, "[Cookie] map[A:b] true true"},
		{"named proxies", `{"granular_proxy_mode": true, "connect_proxy_name": "p1", "refresh_proxy_name": "p1",
			"proxies": [{"name": "p1", "endpoint": "http://x", "static_http_headers": {"A": "b"}}],
			"publish_proxy_name": "p1", "namespaces": [{"name": "nn", "subscribe_proxy_name": "p1"}]}`,
			func(c *Config) any {
				return show(c.Client.Proxy.Connect.Enabled, c.Client.Proxy.Connect.HTTP.StaticHeaders, c.Client.Proxy.Refresh.Endpoint, c.Channel.Namespaces[0].SubscribeProxyEnabled,
					c.Channel.WithoutNamespace.PublishProxyEnabled, c.Channel.WithoutNamespace.SubscribeProxyEnabled)
			}, "true map[A:b] http://x true true false"},
		{"proxies of a namespace", `{"proxy_publish_endpoint": "http://x", "namespaces": [{"name": "nn", "proxy_publish": true}], "proxy_sub_refresh": true, "proxy_sub_refresh_endpoint": "http://y"}`,
			func(c *Config) any {
				return show(c.Channel.Namespaces[0].PublishProxyEnabled, c.Channel.WithoutNamespace.SubRefreshProxyEnabled)
			}, "true true"},
		{"old names under the new path", `{"channel": {"namespaces": [{"name": "nn", "position": true}], "without_namespace": {"position": true}}}`,
			func(c *Config) any {
				return show(c.Channel.Namespaces[0].ForcePositioning, c.Channel.WithoutNamespace.ForcePositioning)
			}, "true true"},
		{"consumers", `{"consumers": [{"name": "aa", "type": "kafka", "disabled": false}, {"name": "bb", "disabled": true}]}`,
			func(c *Config) any { return show(c.Consumers[0].Enabled, c.Consumers[1].Enabled) }, "true false"},
		{"version 3 history", `{"history_size": 2, "history_lifetime": 60, "history_recover": true}`,
			func(c *Config) any {
				return show(c.Channel.WithoutNamespace.HistoryTTL, c.Channel.WithoutNamespace.ForceRecovery)
			}, "1m true"},
		{"version 3 rights", `{"namespaces": [{"name": "aa", "publish": true, "protected": true, "anonymous": true}, {"name": "bb", "publish": true, "subscribe_to_publish": true, "protected": false, "presence_disable_for_client": true}]}`,
			func(c *Config) any {
				a, b := c.Channel.Namespaces[0], c.Channel.Namespaces[1]
				return show(a.AllowPublishForClient, a.AllowSubscribeForClient, a.AllowSubscribeForAnonymous, a.AllowHistoryForAnonymous,
					b.AllowPublishForClient, b.AllowPublishForSubscriber, b.AllowSubscribeForClient, b.AllowPresenceForSubscriber)
			}, "true false true true false true true false"},
		{"version 3 anonymous", `{"client_anonymous": true}`, func(c *Config) any { return show(c.Client.AllowAnonymousConnectWithoutToken) }, "true"},
		{"version 1 secret", `{"secret": "s"}`, func(c *Config) any { return c.Client.Token.HMACSecretKey }, "s"},
		{"removed features", `{"sockjs": true, "sockjs_url": "x", "tarantool_address": "x"}`, func(c *Config) any { return "" }, ""},
		{"null", `{"admin": null, "name": null, "channel": {"namespaces": null}, "http_api": null}`, func(c *Config) any { return "" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings := given{file: tt.file}.mustLoad(t)
			if got := fmt.Sprint(tt.got(c)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			for _, w := range warnings {
				if w.Topic == UnknownKey {
					t.Errorf("unexpected: %s", w)
				}
			}
		})
	}
}

func TestOldNameWarnings(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{`{"api_key": "old", "http_api": {"key": "new"}}`, "old option name api_key: it is http_api.key now; both are given; the new name holds"},
		{`{"sockjs": true}`, "old option name sockjs: SockJS was removed in version 6; current SDKs fall back to HTTP streaming or SSE"},
		{`{"tarantool_mode": "x"}`, "old option name tarantool_mode: the Tarantool engine was removed in version 6; use engine.type memory or redis"},
		{`{"granular_proxy_mode": true}`, "old option name granular_proxy_mode: named proxies are always possible since version 6"},
		{`{"namespaces": [{"name": "nn", "publish": true}]}`, "old option name channel.namespaces[nn].publish: read as channel.namespaces[nn].allow_publish_for_client; please rename it"},
	} {
		_, warnings := given{file: tt.file}.mustLoad(t)
		if !strings.Contains(text(warnings), tt.want) {
			t.Errorf("%s:\n%s\nwant %s", tt.file, text(warnings), tt.want)
		}
	}
	res, err := given{env: []string{"CENTRIFUGO_API_KEY=old", "STENTOR_HTTP_API_KEY=new", "STENTOR_TOKEN_AUDIENCE=a"}}.load(t)
	if err != nil || res.Config.HTTPAPI.Key != "new" || res.Config.Client.Token.Audience != "a" {
		t.Fatalf("%v %+v", err, res)
	}
	for _, want := range []string{
		"old option name CENTRIFUGO_API_KEY: it is STENTOR_HTTP_API_KEY now; both are given; the new name holds",
		"old option name STENTOR_TOKEN_AUDIENCE: read as STENTOR_CLIENT_TOKEN_AUDIENCE; please rename it",
	} {
		if !strings.Contains(text(res.Warnings), want) {
			t.Errorf("no warning %q in\n%s", want, text(res.Warnings))
		}
	}
}

// show prints values with a space between them.
func show(values ...any) string { return strings.TrimSpace(fmt.Sprintln(values...)) }
