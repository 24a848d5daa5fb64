package config

import (
	"slices"
	"strings"
	"testing"
)

func TestDev(t *testing.T) {
	res, err := given{file: `{"http_server": {"port": 9000}, "client": {"allowed_origins": ["https://a"]}}`, args: []string{"--dev.enabled"}}.load(t)
	if err != nil {
		t.Fatal(err)
	}
	c, o := res.Config, &res.Config.Channel.WithoutNamespace
	if !c.Client.AllowAnonymousConnectWithoutToken || !o.AllowSubscribeForClient || !o.AllowSubscribeForAnonymous ||
		!o.AllowPublishForClient || !o.AllowPublishForAnonymous || !c.Prometheus.Enabled || !c.Health.Enabled {
		t.Errorf("not open: %v", c.LogValue())
	}
	if c.HTTPServer.Address != "localhost" {
		t.Errorf("listens on %q", c.HTTPServer.Address)
	}
	if want := []string{"https://a", "http://localhost:9000", "http://127.0.0.1:9000"}; !slices.Equal(c.Client.AllowedOrigins, want) {
		t.Errorf("origins %v, want %v", c.Client.AllowedOrigins, want)
	}
	if len(res.Warnings) > 0 {
		t.Errorf("warnings: %v", res.Warnings)
	}
}

// TestDevKeepsWhatIsGiven: the configuration has the last word, also when that leaves nothing to try.
func TestDevKeepsWhatIsGiven(t *testing.T) {
	res, err := given{
		file: `{"dev": {"enabled": true}, "channel": {"without_namespace": {"allow_publish_for_client": false}}, "health": {"enabled": false}}`,
		env:  []string{"STENTOR_HTTP_SERVER_ADDRESS=0.0.0.0", "STENTOR_CLIENT_ALLOW_ANONYMOUS_CONNECT_WITHOUT_TOKEN=false"},
	}.load(t)
	if err != nil {
		t.Fatal(err)
	}
	c := res.Config
	if c.HTTPServer.Address != "0.0.0.0" || c.Channel.WithoutNamespace.AllowPublishForClient || c.Health.Enabled ||
		c.Client.AllowAnonymousConnectWithoutToken {
		t.Errorf("given values were changed: %v", c.LogValue())
	}
	for _, want := range []string{"everybody who reaches this machine can connect", "no client can connect"} {
		if !strings.Contains(text(res.Warnings), want) {
			t.Errorf("no warning %q in\n%s", want, text(res.Warnings))
		}
	}
}

func TestIsLocal(t *testing.T) {
	for address, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.1.2.3": true, "::1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "example.com": false,
	} {
		if isLocal(address) != want {
			t.Errorf("isLocal(%q) is %v", address, !want)
		}
	}
}
