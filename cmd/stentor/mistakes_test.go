package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/centrifugal/centrifuge-go"
)

// TestFirstMistakes does what people do on their first day, and looks for the log line that says what to change.
func TestFirstMistakes(t *testing.T) {
	for _, test := range []struct {
		name    string
		client  centrifuge.Config
		channel string // to subscribe to
		logs    string
		remedy  string
	}{
		{
			name:   "origin",
			client: centrifuge.Config{Token: token(t, "42"), Header: http.Header{"Origin": {"https://example.com"}}},
			logs:   "a page of this origin may not connect",
			remedy: "add the origin to client.allowed_origins",
		},
		{
			name:   "missing token",
			client: centrifuge.Config{},
			logs:   "a client without a token was refused",
			remedy: "give clients a connection token signed with client.token.hmac_secret_key",
		},
		{
			name:   "token of another secret",
			client: centrifuge.Config{Token: strings.ToUpper(token(t, "42"))},
			logs:   "an invalid connection token was refused",
			remedy: "reason",
		},
		{
			name:    "no permission in the namespace",
			client:  centrifuge.Config{Token: token(t, "42")},
			channel: "locked:1",
			logs:    "a subscription without permission was refused",
			remedy:  "set allow_subscribe_for_client in the namespace",
		},
		{
			name:    "no such namespace",
			client:  centrifuge.Config{Token: token(t, "42")},
			channel: "gone:1",
			logs:    "a channel of an unknown namespace was refused",
			remedy:  "add the namespace to channel.namespaces",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, quickStart)
			c := centrifuge.NewJsonClient(strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket", test.client)
			defer c.Close()
			if test.channel != "" {
				sub, err := c.NewSubscription(test.channel)
				if err != nil {
					t.Fatal(err)
				}
				if err := sub.Subscribe(); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.Connect() // fails where the connection is refused; the log says why
			if line := p.waitLog(test.logs); !strings.Contains(line, test.remedy) || !strings.Contains(line, `"level":"INFO"`) {
				t.Errorf("no %q in the log line %s", test.remedy, line)
			}
		})
	}
}

// TestLowDescriptorLimit: the limit of open files that many systems start with admits a few hundred clients.
func TestLowDescriptorLimit(t *testing.T) {
	launcher := []string{"sh", "-c", `ulimit -n 512; exec "$0" "$@"`}
	p := startBy(t, launcher, quickStart)
	line := p.waitLog("the limit of open files admits few connections")
	for _, part := range []string{`"max_connections":2`, "ulimit -n", "LimitNOFILE=", "--ulimit nofile="} {
		if !strings.Contains(line, part) {
			t.Errorf("no %s in the log line %s", part, line)
		}
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	// A limit that was chosen is not warned of.
	p = startBy(t, launcher, quickStart, "--reactor.max_connections", "200")
	p.stop()
	if log := p.logs.all.String(); strings.Contains(log, "admits few connections") || !strings.Contains(log, `"max_connections":200`) {
		t.Errorf("the log is:\n%s", log)
	}
}
