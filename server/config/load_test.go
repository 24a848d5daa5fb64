package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// given is what a test gives to Load: the text of a file with its extension, and the environment.
type given struct {
	ext  string // "" = json
	file string
	env  []string
	args []string
}

func (g given) load(t *testing.T) (Result, error) {
	t.Helper()
	dir := t.TempDir()
	if g.ext == "" {
		g.ext = "json"
	}
	opts := Options{File: filepath.Join(dir, "config."+g.ext), Dir: dir, Env: append([]string{}, g.env...)}
	if g.file == "" {
		g.file, opts.File = "{}", filepath.Join(dir, "config.json")
	}
	if err := os.WriteFile(opts.File, []byte(g.file), 0o600); err != nil {
		t.Fatal(err)
	}
	if g.args != nil {
		opts.Flags = pflag.NewFlagSet("test", pflag.ContinueOnError)
		BindFlags(opts.Flags)
		if err := opts.Flags.Parse(g.args); err != nil {
			t.Fatal(err)
		}
	}
	return Load(opts)
}

func (g given) mustLoad(t *testing.T) (*Config, []Warning) {
	t.Helper()
	res, err := g.load(t)
	if err != nil {
		t.Fatalf("%s: %v", clip(g.file), err)
	}
	return res.Config, slices.DeleteFunc(res.Warnings, func(w Warning) bool { return w.Topic == Advice })
}

// text returns the warnings without advice, one per line.
func text(ws []Warning) string {
	var lines []string
	for _, w := range ws {
		lines = append(lines, w.Text)
	}
	return strings.Join(lines, "\n")
}

// The quick start of version 5, as many pages print it.
const quickStart = `{
  "token_hmac_secret_key": "my-secret",
  "api_key": "my-api-key",
  "allowed_origins": ["http://localhost:3000"],
  "admin": true,
  "admin_password": "password",
  "admin_secret": "secret",
  "namespaces": [
    {"name": "chat", "history_size": 100, "history_ttl": "300s", "presence": true, "allow_subscribe_for_client": true},
    {"name": "notifications", "history_size": 10, "history_ttl": "24h", "presence": true, "allow_subscribe_for_client": true}
  ]
}`

func TestQuickStart(t *testing.T) {
	c, warnings := given{file: quickStart}.mustLoad(t)
	if c.Client.Token.HMACSecretKey != "my-secret" || c.HTTPAPI.Key != "my-api-key" || !slices.Equal(c.Client.AllowedOrigins, []string{"http://localhost:3000"}) {
		t.Errorf("keys or origins did not arrive: %+v %+v", c.Client, c.HTTPAPI)
	}
	if !c.Admin.Enabled || c.Admin.Password != "password" || c.Admin.Secret != "secret" {
		t.Errorf("admin did not arrive: %+v", c.Admin)
	}
	if len(c.Channel.Namespaces) != 2 {
		t.Fatalf("%d namespaces", len(c.Channel.Namespaces))
	}
	chat := c.Channel.Namespaces[0]
	if chat.Name != "chat" || chat.HistorySize != 100 || chat.HistoryTTL.String() != "5m" || !chat.Presence || !chat.AllowSubscribeForClient || chat.PublishProxyName != "default" {
		t.Errorf("chat: %+v", chat)
	}
	for _, want := range []string{
		"old option name token_hmac_secret_key: read as client.token.hmac_secret_key; please rename it",
		"old option name api_key: read as http_api.key",
		"old option name allowed_origins: read as client.allowed_origins",
		"old option name namespaces: read as channel.namespaces",
		"old option name admin: read as admin.enabled",
	} {
		if strings.Count(text(warnings), want) != 1 {
			t.Errorf("no single warning %q in\n%s", want, text(warnings))
		}
	}
	for _, w := range warnings {
		if w.Topic == UnknownKey {
			t.Errorf("unknown: %s", w)
		}
	}
}

// The same configuration in three languages; values of every type.
var sameConfig = map[string]string{
	"json": `{
  "http_server": {"port": 9000, "internal_port": "9001"},
  "client": {"token": {"hmac_secret_key": "s", "hmac_previous_secret_key_valid_until": 1900000000}, "allowed_origins": ["http://a", "https://*.b"],
    "ping_interval": "40s", "channel_limit": 5, "insecure": true},
  "channel": {"namespaces": [{"name": "chat", "history_size": 3, "history_ttl": "60s"}, {"name": "n.1", "subscribe_proxy_name": "p"}]},
  "broker": {"nats": {"raw_mode": {"channel_replacements": {"A.b": "c"}}}},
  "rpc": {"proxy": {"http": {"status_to_code_transforms": [{"status_code": 404, "to_error": {"code": 404, "message": "x", "temporary": true}}]}}}
}`,
	"yaml": `
http_server:
  port: 9000
  internal_port: 9001
client:
  token:
    hmac_secret_key: s
    hmac_previous_secret_key_valid_until: 1900000000
  allowed_origins: http://a https://*.b
  ping_interval: 40s
  channel_limit: 5
  insecure: true
channel:
  namespaces:
    - name: chat
      history_size: 3
      history_ttl: 1m
    - name: n.1
      subscribe_proxy_name: p
broker:
  nats:
    raw_mode:
      channel_replacements:
        - key: A.b
          value: c
rpc:
  proxy:
    http:
      status_to_code_transforms:
        - status_code: 404
          to_error: {code: 404, message: x, temporary: true}
`,
	"toml": `
[http_server]
port = 9000
internal_port = "9001"
[client]
allowed_origins = ["http://a", "https://*.b"]
ping_interval = 40_000_000_000
channel_limit = 5
insecure = true
[client.token]
hmac_secret_key = "s"
hmac_previous_secret_key_valid_until = 1900000000
[[channel.namespaces]]
name = "chat"
history_size = 3
history_ttl = "60s"
[[channel.namespaces]]
name = "n.1"
subscribe_proxy_name = "p"
[broker.nats.raw_mode.channel_replacements]
"A.b" = "c"
[[rpc.proxy.http.status_to_code_transforms]]
status_code = 404
to_error = {code = 404, message = "x", temporary = true}
`}

func TestFormatsAgree(t *testing.T) {
	want, _ := given{file: sameConfig["json"]}.mustLoad(t)
	if want.HTTPServer.InternalPort != "9001" || want.Broker.NATS.RawMode.ChannelReplacements["A.b"] != "c" || !want.RPC.Proxy.HTTP.StatusToCodeTransforms[0].ToError.Temporary {
		t.Fatalf("JSON did not arrive: %+v", want)
	}
	for _, ext := range []string{"yaml", "toml"} {
		got, _ := given{ext: ext, file: sameConfig[ext]}.mustLoad(t)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s differs from JSON:\n%v\n%v", ext, got.LogValue(), want.LogValue())
		}
	}
}

func TestPrecedence(t *testing.T) {
	g := given{
		file: `{"http_server": {"port": 1001, "address": "file"}, "log": {"level": "warn"}, "client": {"channel_limit": 7}}`,
		env:  []string{"CENTRIFUGO_HTTP_SERVER_PORT=1002", "STENTOR_HTTP_SERVER_PORT=1003", "CENTRIFUGO_HTTP_SERVER_ADDRESS=env", "STENTOR_LOG_LEVEL=error"},
		args: []string{"-p", "1004", "--reactor.loops=3", "--debug.enabled"},
	}
	res, err := g.load(t)
	if err != nil {
		t.Fatal(err)
	}
	c := res.Config
	if c.HTTPServer.Port != 1004 || c.HTTPServer.Address != "env" || c.Log.Level != "error" || c.Client.ChannelLimit != 7 || c.Reactor.Loops != 3 || !c.Debug.Enabled || c.Client.QueueMaxSize != 1048576 {
		t.Errorf("%v", c.LogValue())
	}
	if res.Sources["http_server.port"] != "flag --http_server.port" || res.Sources["http_server.address"] != "environment CENTRIFUGO_HTTP_SERVER_ADDRESS" ||
		!strings.HasPrefix(res.Sources["client.channel_limit"], "file ") {
		t.Errorf("sources: %v", res.Sources)
	}
	if len(res.Unknown()) > 0 {
		t.Errorf("the variable that lost is called unknown: %v", res.Unknown())
	}
	if got, _ := (given{env: g.env}).mustLoad(t); got.HTTPServer.Port != 1003 {
		t.Errorf("STENTOR_ must win over CENTRIFUGO_, got port %d", got.HTTPServer.Port)
	}
}

func TestDotEnv(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".env", "STENTOR_HTTP_SERVER_PORT=1111\nCENTRIFUGO_CLIENT_CHANNEL_LIMIT=9 # why\nOTHER=x\n")
	res, err := Load(Options{File: filepath.Join(dir, "none.json"), Dir: dir, Env: []string{"STENTOR_HTTP_SERVER_PORT=2222"}})
	if err != nil {
		t.Fatal(err)
	}
	if res.Config.HTTPServer.Port != 2222 || res.Config.Client.ChannelLimit != 9 {
		t.Errorf("port %d, limit %d", res.Config.HTTPServer.Port, res.Config.Client.ChannelLimit)
	}
	if res.File != "" || !strings.Contains(text(res.Warnings), "does not exist") {
		t.Errorf("no warning of the missing file: %v", res.Warnings)
	}
	write(".env", "STENTOR_HTTP_SERVER_PORT='oops")
	res, err = Load(Options{File: filepath.Join(dir, "none.json"), Dir: dir, Env: []string{}})
	if err != nil || !strings.Contains(text(res.Warnings), ".env file cannot be read") {
		t.Errorf("a broken .env: %v %v", err, res.Warnings)
	}
}

func TestEnvironmentForms(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		got  func(c *Config) any
		want any
	}{
		{"string", []string{"CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY=a b"}, func(c *Config) any { return c.Client.Token.HMACSecretKey }, "a b"},
		{"number as string", []string{"CENTRIFUGO_HTTP_API_KEY=0123"}, func(c *Config) any { return c.HTTPAPI.Key }, "0123"},
		{"bool", []string{"CENTRIFUGO_CLIENT_INSECURE=true"}, func(c *Config) any { return c.Client.Insecure }, true},
		{"int64", []string{"STENTOR_REACTOR_MEMORY_LIMIT=8589934592"}, func(c *Config) any { return c.Reactor.MemoryLimit }, int64(8589934592)},
		{"duration", []string{"CENTRIFUGO_CLIENT_PING_INTERVAL=1m30s"}, func(c *Config) any { return c.Client.PingInterval.String() }, "1m30s"},
		{"string list", []string{"CENTRIFUGO_CLIENT_ALLOWED_ORIGINS=http://a  http://b"}, func(c *Config) any { return c.Client.AllowedOrigins }, []string{"http://a", "http://b"}},
		{"string list as JSON", []string{`CENTRIFUGO_CLIENT_ALLOWED_ORIGINS=["http://a"]`}, func(c *Config) any { return c.Client.AllowedOrigins }, []string{"http://a"}},
		{"empty list", []string{"CENTRIFUGO_CLIENT_ALLOWED_ORIGINS="}, func(c *Config) any { return len(c.Client.AllowedOrigins) }, 0},
		{"map", []string{`CENTRIFUGO_RPC_PROXY_HTTP_STATIC_HEADERS={"X-A": "1"}`}, func(c *Config) any { return c.RPC.Proxy.HTTP.StaticHeaders }, MapStringString{"X-A": "1"}},
		{"map as list", []string{`CENTRIFUGO_RPC_PROXY_HTTP_STATIC_HEADERS=[{"key": "X-A", "value": "1"}]`}, func(c *Config) any { return c.RPC.Proxy.HTTP.StaticHeaders }, MapStringString{"X-A": "1"}},
		{"map with variables", []string{`CENTRIFUGO_RPC_PROXY_HTTP_STATIC_HEADERS={"X-A": "k ${CENTRIFUGO_VAR_KEY}-${STENTOR_VAR_B} $x ${HOME}"}`, "CENTRIFUGO_VAR_KEY=1", "STENTOR_VAR_B=2"},
			func(c *Config) any { return c.RPC.Proxy.HTTP.StaticHeaders["X-A"] }, "k 1-2 $x ${HOME}"},
		{"objects as JSON", []string{`CENTRIFUGO_CHANNEL_NAMESPACES=[{"name": "chat", "history_size": 1, "history_ttl": "1s"}]`},
			func(c *Config) any { return c.Channel.Namespaces[0].HistorySize }, 1},
		{"objects by name", []string{"CENTRIFUGO_CHANNEL_NAMESPACES=chat my-news.x", "CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE=5", "CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_HISTORY_TTL=5s",
			"STENTOR_CHANNEL_NAMESPACES_MY_NEWS_X_ALLOW_PUBLISH_FOR_CLIENT=true"},
			func(c *Config) any {
				a, b := c.Channel.Namespaces[0], c.Channel.Namespaces[1]
				return fmt.Sprint(a.Name, a.HistorySize, a.HistoryTTL, b.Name, b.AllowPublishForClient, b.SubRefreshProxyName)
			}, "chat5 5smy-news.xtruedefault"},
		{"proxies by name", []string{"CENTRIFUGO_PROXIES=p1", "CENTRIFUGO_PROXIES_P1_ENDPOINT=http://x", `CENTRIFUGO_PROXIES_P1_HTTP_STATIC_HEADERS={"a":"b"}`},
			func(c *Config) any { return fmt.Sprint(c.Proxies[0].Endpoint, c.Proxies[0].HTTP.StaticHeaders) }, "http://xmap[a:b]"},
		{"consumers by name", []string{"CENTRIFUGO_CONSUMERS=k_1", "CENTRIFUGO_CONSUMERS_K_1_TYPE=kafka", "CENTRIFUGO_CONSUMERS_K_1_KAFKA_BROKERS=a:1 b:2"},
			func(c *Config) any { return fmt.Sprint(c.Consumers[0].Type, c.Consumers[0].Kafka.Brokers) }, "kafka[a:1 b:2]"},
		{"RPC namespaces by name", []string{"CENTRIFUGO_RPC_NAMESPACES=aa", "CENTRIFUGO_RPC_NAMESPACES_AA_PROXY_NAME=p"},
			func(c *Config) any { return c.RPC.Namespaces[0].ProxyName }, "p"},
		{"transforms", []string{`CENTRIFUGO_CLIENT_CONNECT_CODE_TO_UNIDIRECTIONAL_DISCONNECT_TRANSFORMS=[{"code": 1, "to": {"code": 4001, "reason": "r"}}]`},
			func(c *Config) any { return c.Client.ConnectCodeToUnidirectionalDisconnect.Transforms[0].To }, TransformDisconnect{4001, "r"}},
		{"old name", []string{"CENTRIFUGO_TOKEN_HMAC_SECRET_KEY=k"}, func(c *Config) any { return c.Client.Token.HMACSecretKey }, "k"},
		{"old switch", []string{"CENTRIFUGO_HEALTH=true"}, func(c *Config) any { return c.Health.Enabled }, true},
		{"old port", []string{"CENTRIFUGO_PORT=8001"}, func(c *Config) any { return c.HTTPServer.Port }, 8001},
		{"old namespaces", []string{`CENTRIFUGO_NAMESPACES=[{"name": "nn", "publish": true}]`}, func(c *Config) any { return c.Channel.Namespaces[0].AllowPublishForClient }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings := given{env: tt.env}.mustLoad(t)
			if got := tt.got(c); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for _, w := range warnings {
				if w.Topic == UnknownKey || w.Topic == OldName && !strings.HasPrefix(tt.name, "old") {
					t.Errorf("unexpected: %s", w)
				}
			}
		})
	}
}

// Fields of a namespace that a file defines can be set by variables as well.
func TestEnvironmentOverElementsOfFile(t *testing.T) {
	c, _ := given{
		file: `{"channel": {"namespaces": [{"name": "chat", "history_size": 1, "history_ttl": "10s"}]}}`,
		env:  []string{"STENTOR_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE=7"},
	}.mustLoad(t)
	if ns := c.Channel.Namespaces[0]; ns.HistorySize != 7 || ns.HistoryTTL.String() != "10s" {
		t.Errorf("%+v", ns)
	}
}

func TestServiceLinksAreIgnored(t *testing.T) {
	_, warnings := given{env: []string{
		"CENTRIFUGO_SERVICE_HOST=10.0.0.1", "CENTRIFUGO_SERVICE_PORT=8000", "CENTRIFUGO_SERVICE_PORT_HTTP=8000",
		"CENTRIFUGO_PORT=tcp://10.0.0.1:8000", "CENTRIFUGO_PORT_8000_TCP=tcp://10.0.0.1:8000", "CENTRIFUGO_PORT_8000_TCP_ADDR=10.0.0.1",
		"STENTOR_HTTP_SERVER_PORT=tcp://10.0.0.1:8000", "STENTOR_FOO_SERVICE_HOST=10.0.0.1", "CENTRIFUGO_VAR_SOME=1", "OTHER_KEY=1",
	}}.mustLoad(t)
	if len(warnings) > 0 {
		t.Errorf("warned: %s", text(warnings))
	}
}

func TestUnknownNames(t *testing.T) {
	res, err := given{
		file: `{"client": {"tokn": {"a": 1}, "ping_intervall": "3s"}, "chanel": {}, "hmac_previous_secret_key_valid_til": 1, "allowed_origin": [],
			"channel": {"namespaces": [{"name": "chat", "histry_size": 1}]}, "zzzzzz": 1, "jwks_public_endpoint": "x", "Log": {}}`,
		env: []string{"STENTOR_CLIENT_PING_INTERVALS=1s", "CENTRIFUGO_WHATEVER_THIS_IS=1"},
	}.load(t)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, w := range res.Unknown() {
		got[w.Path] = w.Text
	}
	for path, want := range map[string]string{
		"client.tokn":                          "unknown key in configuration file: client.tokn; did you mean client.token?",
		"client.ping_intervall":                "unknown key in configuration file: client.ping_intervall; did you mean client.ping_interval?",
		"chanel":                               "unknown key in configuration file: chanel; did you mean channel?",
		"allowed_origin":                       "unknown key in configuration file: allowed_origin; did you mean client.allowed_origins?",
		"channel.namespaces[chat].histry_size": "unknown key in configuration file: channel.namespaces[chat].histry_size; did you mean channel.namespaces[chat].history_size?",
		"zzzzzz":                               "unknown key in configuration file: zzzzzz",
		"Log":                                  "unknown key in configuration file: Log; did you mean log?",
		"jwks_public_endpoint":                 "unknown key in configuration file: jwks_public_endpoint; did you mean client.token.jwks_public_endpoint or client.subscription_token.jwks_public_endpoint?",
		"hmac_previous_secret_key_valid_til":   "",
		"STENTOR_CLIENT_PING_INTERVALS":        "unknown key in environment: STENTOR_CLIENT_PING_INTERVALS; did you mean STENTOR_CLIENT_PING_INTERVAL?",
		"CENTRIFUGO_WHATEVER_THIS_IS":          "unknown key in environment: CENTRIFUGO_WHATEVER_THIS_IS",
	} {
		text, ok := got[path]
		if !ok || want != "" && text != want {
			t.Errorf("%s: %q, want %q", path, text, want)
		}
		delete(got, path)
	}
	if len(got) > 0 {
		t.Errorf("also: %v", got)
	}
}

func TestWrongValues(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"type", `{"http_server": {"port": "eighty"}}`, `http_server.port = "eighty" (file F): not a whole number; write digits only`},
		{"bool", `{"client": {"insecure": "yes please"}}`, `client.insecure = "yes please" (file F): not a boolean; write true or false`},
		{"duration without unit", `{"client": {"ping_interval": "25"}}`, `client.ping_interval = "25" (file F): a duration needs a unit, for example "25s" or "25ms"`},
		{"bare nanoseconds", `{"client": {"ping_interval": 25, "pong_timeout": "1ms"}}`, `client.ping_interval = "25ns" (file F): too small; the least is 1ms; a bare number is nanoseconds, write a unit`},
		{"days", `{"channel": {"history_meta_ttl": "30d"}}`, `channel.history_meta_ttl = "30d" (file F): not a duration; write for example 500ms, 25s, 1m30s or 24h`},
		{"part of a second", `{"channel": {"without_namespace": {"history_size": 1, "history_ttl": "1500ms"}}}`, `channel.without_namespace.history_ttl = "1.5s" (file F): not whole seconds; write for example "300s"; a bare number is nanoseconds`},
		{"range", `{"http_server": {"port": 70000}}`, `http_server.port = "70000" (file F): too large; the most is 65535`},
		{"negative", `{"client": {"user_connection_limit": -1}}`, `client.user_connection_limit = "-1" (file F): too small; the least is 0`},
		{"enum", `{"log": {"level": "loud"}}`, `log.level = "loud" (file F): unknown value; use none, trace, debug, info, warn, error, fatal`},
		{"tarantool", `{"engine": "tarantool"}`, `engine.type = "tarantool" (file F): unknown value; the Tarantool engine was removed in version 6; use engine.type memory or redis`},
		{"group", `{"client": 5}`, `client = "5" (file F): is a group of options, not a single value; set its options, for example client.allowed_origins`},
		{"list", `{"channel": {"namespaces": "chat"}}`, `channel.namespaces = "chat" (file F): is a list of objects; write [{…}, {…}]`},
		{"map", `{"rpc": {"proxy": {"http": {"static_headers": {"a": 1}}}}}`, `rpc.proxy.http.static_headers = "{…}" (file F): not a map of strings; write {"key": "value"} or [{"key": "key", "value": "value"}]`},
		{"variable", `{"rpc": {"proxy": {"http": {"static_headers": {"a": "${STENTOR_VAR_NO}"}}}}}`, `rpc.proxy.http.static_headers = "{…}" (file F): key a uses the variable STENTOR_VAR_NO, which is not set; set it in the environment`},
		{"secret is not shown", `{"http_api": {"key": ["top", "secret"]}}`, `http_api.key (file F): not a string; write it in quotes`},
		{"JSON syntax", "{\n  \"a\": 1,\n}", `(file F): line 3, column 1: invalid character '}'`},
		{"JSON end", `{"a": `, `(file F): line 1, column 6: the text ends too early`},
		{"JSON tail", `{} {}`, `(file F): line 1, column 5: something follows the end of the object`},
		{"no object", `[]`, `(file F): the file must hold one object with the sections as keys`},
		{"namespace", `{"channel": {"namespaces": [{"name": "chat", "history_size": "x"}]}}`, `channel.namespaces[chat].history_size = "x" (file F): not a whole number; write digits only`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, err := given{file: tt.file}.load(t)
			if err == nil {
				t.Fatalf("accepted: %v", res.Config.LogValue())
			}
			if res.Config != nil {
				t.Error("there is a config beside the error")
			}
			line, _, _ := strings.Cut(err.Error(), "\n")
			if i := strings.Index(line, "(file /"); i >= 0 {
				end := strings.IndexByte(line[i:], ')')
				line = line[:i] + "(file F" + line[i+end:]
			}
			if !strings.HasPrefix(line, tt.want) {
				t.Errorf("got  %s\nwant %s", line, tt.want)
			}
		})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	_, err := given{
		file: `{"http_server": {"port": "x"}, "client": {"ping_interval": "y", "channel_limit": "z"}}`,
		env:  []string{"STENTOR_LOG_LEVEL=info", "STENTOR_HTTP_API_DISABLED=perhaps"},
	}.load(t)
	if got := len(All(err)); got != 4 {
		t.Errorf("%d errors:\n%v", got, err)
	}
	if !strings.Contains(err.Error(), `http_api.disabled = "perhaps" (environment STENTOR_HTTP_API_DISABLED): not a boolean`) {
		t.Errorf("source is missing:\n%v", err)
	}
}

// A number in place of a secret may have lost digits: YAML reads 0123 as 83.
func TestSecretsNeedQuotes(t *testing.T) {
	for ext, file := range map[string]string{"yaml": "http_api:\n  key: 0123\n", "toml": "[http_api]\nkey = 123\n"} {
		if _, err := (given{ext: ext, file: file}).load(t); err == nil || !strings.Contains(err.Error(), "write it in quotes") {
			t.Errorf("%s: %v", ext, err)
		}
	}
	if c, _ := (given{file: `{"http_api": {"key": 12345678901234567890}}`}).mustLoad(t); c.HTTPAPI.Key != "12345678901234567890" {
		t.Errorf("key %s", c.HTTPAPI.Key)
	}
}

func TestRepeatedKeys(t *testing.T) {
	res, err := given{file: `{"http_api": {"key": "a", "key": "b"}}`}.load(t)
	if err != nil || res.Config.HTTPAPI.Key != "b" || !strings.Contains(text(res.Warnings), "key given twice, the later one holds: http_api.key") {
		t.Errorf("%v %v", err, res.Warnings)
	}
}

func TestFileProblems(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(Options{File: dir, Dir: dir, Env: []string{}}); err == nil {
		t.Error("a directory was accepted")
	}
	gone := Options{File: filepath.Join(dir, "gone.json"), Dir: dir, Env: []string{}, FileRequired: true}
	if _, err := Load(gone); err == nil || !strings.Contains(err.Error(), "gone.json") {
		t.Errorf("a required file was missing: %v", err)
	}
	ini := filepath.Join(dir, "config.ini")
	os.WriteFile(ini, []byte("x=1"), 0o600)
	if _, err := Load(Options{File: ini, Dir: dir, Env: []string{}}); err == nil || !strings.Contains(err.Error(), "use .json, .yaml, .yml or .toml") {
		t.Errorf("extension: %v", err)
	}
	for ext, file := range map[string]string{"yaml": "", "yml": "# nothing\n", "toml": ""} {
		path := filepath.Join(dir, "empty."+ext)
		os.WriteFile(path, []byte(file), 0o600)
		if _, err := Load(Options{File: path, Dir: dir, Env: []string{}}); err != nil {
			t.Errorf("empty %s: %v", ext, err)
		}
	}
}
