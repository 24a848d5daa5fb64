package config

import (
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/joho/godotenv"
	"github.com/spf13/pflag"
)

var formats = []Format{JSON, YAML, TOML}

func TestMinimalFile(t *testing.T) {
	for _, f := range formats {
		data, err := MinimalFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c, warnings := given{ext: string(f), file: string(data)}.mustLoad(t)
		if len(warnings) > 0 {
			t.Errorf("%s: %s", f, text(warnings))
		}
		for s, n := range map[string]int{c.Client.Token.HMACSecretKey: 64, c.Admin.Password: 16, c.Admin.Secret: 64, c.HTTPAPI.Key: 64} {
			if b, err := base64.RawURLEncoding.DecodeString(s); err != nil || len(b) != n {
				t.Errorf("%s: secret %q: %d bytes, want %d", f, s, len(b), n)
			}
		}
		again, _ := MinimalFile(f)
		if string(again) == string(data) {
			t.Errorf("%s: the secrets are the same twice", f)
		}
	}
	if _, err := MinimalFile("ini"); err == nil {
		t.Error("unknown format was accepted")
	}
}

// rich is a configuration with a value of every shape, and texts that need escapes.
func rich(t *testing.T) *Config {
	c, _ := given{file: sameConfig["json"]}.mustLoad(t)
	c.Channel.Namespaces[0].ChannelRegex = "^\"a\\b'\x7f<é\t$"
	c.RPC.Proxy.HTTP.StaticHeaders = MapStringString{"X A": "b c", "k.1": `"$'`}
	c.Node.Name = "true"
	c.Proxies = []NamedProxy{{Name: "p1"}}
	root().byName["proxies"].setDefaults(reflect.ValueOf(&c.Proxies[0]).Elem())
	return c
}

// decoded reads text without the checks, which are not the subject here.
func decoded(t *testing.T, f Format, data []byte) *Config {
	t.Helper()
	l := &loader{cfg: Default()}
	l.dec.given = map[string]string{}
	l.dec.replace = func(string) (string, bool) { return "", false }
	l.dec.unknown = func(path string, _ *node) { t.Errorf("unknown: %s", path) }
	l.parsed(f, data)
	if err := l.dec.errs.err(); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return l.cfg
}

func TestFullFile(t *testing.T) {
	for _, c := range []*Config{Default(), rich(t)} {
		want := c.values()
		for _, f := range formats {
			data, err := FullFile(c, f)
			if err != nil {
				t.Fatal(err)
			}
			got := decoded(t, f, data).values()
			for path, value := range want {
				if got[path] != value {
					t.Errorf("%s: %s is %q, want %q", f, path, got[path], value)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %d options, want %d", f, len(got), len(want))
			}
		}
	}
	// What defaultconfig writes must start, however useless it is.
	data, _ := FullFile(Default(), YAML)
	if _, err := (given{ext: "yaml", file: string(data)}).load(t); err != nil {
		t.Error(err)
	}
}

func TestDefaultEnv(t *testing.T) {
	lines := DefaultEnv()
	if !slices.Contains(lines, `STENTOR_HTTP_SERVER_PORT="8000"`) || !slices.Contains(lines, `STENTOR_CHANNEL_NAMESPACES="[]"`) ||
		!slices.Contains(lines, `STENTOR_CLIENT_PING_INTERVAL="25s"`) || !slices.Contains(lines, `STENTOR_CHANNEL_PRIVATE_PREFIX="\$"`) {
		t.Error("lines are missing")
	}
	c := rich(t)
	c.RPC.Proxy.HTTP.StaticHeaders = nil // "$" inside means a variable to the parser of .env files
	c.Channel.Namespaces[0].ChannelRegex = ""
	changed := EnvOf(c, true)
	if len(changed) > 20 || len(changed) < 5 {
		t.Errorf("%d lines: %v", len(changed), changed)
	}
	vars, err := godotenv.Unmarshal(strings.Join(EnvOf(c, false), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	got, warnings := given{env: env}.mustLoad(t)
	if len(warnings) > 1 { // proxies
		t.Error(text(warnings))
	}
	want := c.values()
	for path, value := range got.values() {
		if want[path] != value {
			t.Errorf("%s is %q, want %q", path, value, want[path])
		}
	}
}

func TestDocs(t *testing.T) {
	for _, d := range Docs() {
		switch d.Path {
		case "client.token.hmac_secret_key":
			if d.Env != "STENTOR_CLIENT_TOKEN_HMAC_SECRET_KEY" || d.Type != "string" || d.Meaning == "" {
				t.Errorf("%+v", d)
			}
		case "channel.namespaces[].history_ttl":
			if d.Env != "" || d.Type != "Duration" || d.Default != "0s" || d.NotBuilt {
				t.Errorf("%+v", d)
			}
		case "channel.namespaces[].map.mode", "grpc_api.port":
			if !d.NotBuilt {
				t.Errorf("%+v", d)
			}
		}
	}
}

func TestReload(t *testing.T) {
	load := func(file string) *Config { c, _ := given{file: file}.mustLoad(t); return c }
	old := load(`{"http_api": {"key": "a"}, "client": {"token": {"hmac_secret_key": "a"}}, "channel": {"namespaces": [{"name": "aa"}, {"name": "bb"}]}}`)
	next := load(`{"http_api": {"key": "b"}, "client": {"token": {"hmac_secret_key": "b"}, "channel_limit": 3, "allowed_origins": "https://x"}, "http_server": {"port": 9},
		"channel": {"proxy": {"publish": {"endpoint": "http://x"}}, "max_length": 9, "namespaces": [{"name": "bb", "allow_publish_for_client": true}, {"name": "cc", "history_size": 1, "history_ttl": "1s"}]}}`)
	r := Reload(old, next)
	if want := []string{"channel.max_length", "channel.namespaces[aa]", "channel.namespaces[bb].allow_publish_for_client", "channel.namespaces[cc]", "client.allowed_origins", "client.token.hmac_secret_key"}; !slices.Equal(r.Applied, want) {
		t.Errorf("applied %v, want %v", r.Applied, want)
	}
	if want := []string{"channel.proxy.publish.endpoint", "client.channel_limit", "http_api.key", "http_server.port"}; !slices.Equal(r.Restart, want) {
		t.Errorf("restart %v, want %v", r.Restart, want)
	}
	c := r.Config
	if c.Client.Token.HMACSecretKey != "b" || c.HTTPAPI.Key != "a" || c.HTTPServer.Port != 8000 || c.Channel.MaxLength != 9 || c.Client.ChannelLimit != 128 ||
		c.Channel.Proxy.Publish.Endpoint != "" || len(c.Channel.Namespaces) != 2 || c.Channel.Namespaces[0].Name != "bb" {
		t.Errorf("%v", c.LogValue())
	}
	if old.Channel.Namespaces[0].Name != "aa" || old.Client.Token.HMACSecretKey != "a" {
		t.Error("the old configuration was changed")
	}
	secure := func(cert, more string) *Config {
		return load(`{"http_server": {"tls": {"enabled": true, "cert_pem": "` + cert + `", "key_pem": "key.pem"` + more + `}}, "client": {"insecure": true}, "http_api": {"key": "k"}}`)
	}
	r = Reload(secure("a.pem", ""), secure("b.pem", `, "client_ca_pem": "ca.pem", "server_name": "x"`))
	if want := []string{"http_server.tls.cert_pem", "http_server.tls.client_ca_pem"}; !slices.Equal(r.Applied, want) {
		t.Errorf("applied %v, want %v", r.Applied, want)
	}
	if c := r.Config.HTTPServer.TLS; !slices.Equal(r.Restart, []string{"http_server.tls.server_name"}) || c.CertPEM != "b.pem" || c.ClientCAPEM != "ca.pem" || c.ServerName != "" {
		t.Errorf("restart %v, %+v", r.Restart, c)
	}
	// A port that speaks TLS needs its certificate until it is closed.
	if c := Reload(secure("a.pem", ""), load(`{}`)).Config.HTTPServer.TLS; !c.Enabled || c.CertPEM != "a.pem" {
		t.Errorf("%+v", c)
	}
	if same := Reload(next, next); len(same.Applied)+len(same.Restart) > 0 {
		t.Errorf("%+v", same)
	}
}

func TestRedacted(t *testing.T) {
	c := Default()
	c.Client.Token.HMACSecretKey = "s3cret-1"
	c.HTTPAPI.Key = "s3cret-2"
	c.HTTPServer.TLS.KeyPEM = "s3cret-3"
	c.Engine.Redis.Address = []string{"redis://user:s3cret-4@host:6379?sentinel_password=s3cret-5&db=1"}
	c.Broker.NATS.URL = "nats://s3cret-6@host"
	c.Broker.Postgres.DSN = "s3cret-7"
	c.RPC.Proxy.HTTP.StaticHeaders = MapStringString{"Authorization": "s3cret-8"}
	c.Proxies = []NamedProxy{{Name: "p1", Proxy: Proxy{GRPC: ProxyGRPC{CredentialsValue: "s3cret-9"}}}}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("config", "config", c)
	data, _ := FullFile(c.Redacted(), JSON)
	for _, out := range []string{b.String(), string(data)} {
		if strings.Contains(out, "s3cret") {
			t.Errorf("a secret is shown: %s", out)
		}
		if !strings.Contains(out, "redis://***@host:6379?sentinel_password=***&db=1") || !strings.Contains(out, "Authorization") {
			t.Errorf("too little is shown: %s", out)
		}
	}
	if c.HTTPAPI.Key != "s3cret-2" || c.RPC.Proxy.HTTP.StaticHeaders["Authorization"] != "s3cret-8" {
		t.Error("the original was changed")
	}
	if c.Redacted().Admin.Password != "" {
		t.Error("an empty secret must stay empty")
	}
}

func TestFlags(t *testing.T) {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	BindFlags(fs)
	fs.Bool("version", false, "show the version")
	usage := FlagUsages(fs)
	for _, want := range []string{"Event loops and memory:\n", "-p, --http_server.port int", "(default 8000)", "--reactor.flush_delay duration", "-c, --config string", "Other:\n", "--client.queue_max_size int", "serve SSE\n", "serve the admin panel [not built yet]\n"} {
		if !strings.Contains(usage, want) {
			t.Errorf("no %q in\n%s", want, usage)
		}
	}
	for _, kid := range root().byName["reactor"].kids {
		if fs.Lookup("reactor."+kid.name) == nil {
			t.Errorf("no flag --reactor.%s", kid.name)
		}
	}
	for _, args := range [][]string{{"--http_server.port=x"}, {"--reactor.flush_delay=5"}, {"--client.insecure=maybe"}} {
		if err := fs.Parse(args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
	if _, err := (given{args: []string{"--log.level=loud"}}).load(t); err == nil || !strings.Contains(err.Error(), "(flag --log.level)") {
		t.Errorf("error does not name the flag: %v", err)
	}
}

func TestPEM(t *testing.T) {
	const pemText = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"
	path := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(path, []byte(pemText), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]PEMData{"text": pemText, "base64": PEMData(base64.StdEncoding.EncodeToString([]byte(pemText))), "file": PEMData(path)} {
		if b, err := p.Load(); err != nil || string(b) != pemText {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	for _, p := range []PEMData{"", "no such file s3cret", "-----BEGIN s3cret", PEMData(filepath.Dir(path))} {
		if _, err := p.Load(); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", p, err)
		}
	}
}
