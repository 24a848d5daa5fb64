package policy

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/reactor/quiet"
	"stentor/server/config"
)

// What a newcomer runs into says in the log what to change.
func TestNotices(t *testing.T) {
	connect := func(token string) func(*Policy) {
		return func(p *Policy) { _, _ = p.Connect(&codec.ConnectRequest{Token: token}, "", now) }
	}
	subscribe := func(c Client, req codec.SubscribeRequest) func(*Policy) {
		return func(p *Policy) { _, _ = p.Subscribe(c, &req, now) }
	}
	publish := func(c Client, channel, data string) func(*Policy) {
		return func(p *Policy) { _, _ = p.Publish(c, channel, false, []byte(data)) }
	}
	sign := func(claims jwt.MapClaims) string { return token(t, claims) }
	tests := []struct {
		name string
		do   func(*Policy)
		want []string
	}{
		{"no token", connect(""), []string{"client without a token", "client.allow_anonymous_connect_without_token", "client.token.hmac_secret_key"}},
		{"invalid token", connect("x"), []string{"invalid connection token", "three parts"}},
		{"expired token", connect(sign(jwt.MapClaims{"exp": 1})), []string{"expired connection token", "exp is over"}},
		{"expired connection", connect(sign(jwt.MapClaims{"expire_at": 1})), []string{"expire_at"}},
		{"unknown channel in a token", connect(sign(jwt.MapClaims{"channels": []string{"no:x"}})), []string{"namespace=no", "channel.namespaces"}},
		{"unknown subs in a token", connect(sign(jwt.MapClaims{"subs": jwt.MapClaims{"no:x": nil}})), []string{"namespace=no", "connection token"}},
		{"unknown namespace", subscribe(user, codec.SubscribeRequest{Channel: "no:x"}), []string{"unknown namespace", "channel=no:x", "user=42", "client=" + clientID}},
		{"bad name", subscribe(user, codec.SubscribeRequest{Channel: "open:é"}), []string{"channel name", "printable ASCII"}},
		{"long name", subscribe(user, codec.SubscribeRequest{Channel: strings.Repeat("x", 256)}), []string{"channel.max_length"}},
		{"private", subscribe(user, codec.SubscribeRequest{Channel: "$open:x"}), []string{"private channel", "subscription token"}},
		{"no permission", subscribe(user, codec.SubscribeRequest{Channel: "shut:x"}), []string{"allow_subscribe_for_client", "namespace=shut"}},
		{"no permission, anonymous", subscribe(anon, codec.SubscribeRequest{Channel: "open:x"}), []string{"allow_subscribe_for_anonymous"}},
		{"user-limited", subscribe(user, codec.SubscribeRequest{Channel: "user:#7"}), []string{"list of users"}},
		{"type", subscribe(user, codec.SubscribeRequest{Channel: "map:x"}), []string{"subscription_type=map"}},
		{"proxy", subscribe(user, codec.SubscribeRequest{Channel: "proxy:x"}), []string{"no channel proxies"}},
		{"filter", subscribe(user, codec.SubscribeRequest{Channel: "open:x", TF: &codec.FilterNode{}}), []string{"allow_tags_filter"}},
		{"filter malformed", subscribe(user, codec.SubscribeRequest{Channel: "tags:x", TF: &codec.FilterNode{}}), []string{"malformed tags filter", "unknown cmp"}},
		{"invalid subscription token", subscribe(user, codec.SubscribeRequest{Channel: "open:x", Token: "x"}), []string{"invalid subscription token", "three parts"}},
		{"expired subscription token", subscribe(user, codec.SubscribeRequest{Channel: "open:x", Token: sign(jwt.MapClaims{"channel": "x", "exp": 1})}),
			[]string{"expired subscription token"}},
		{"subscription token of others", subscribe(user, codec.SubscribeRequest{Channel: "open:x", Token: sign(jwt.MapClaims{"channel": "open:y", "sub": "7"})}),
			[]string{"another channel, user or client", `channel \"open:y\"`, `user \"7\"`}},
		{"expired subscription", subscribe(user, codec.SubscribeRequest{Channel: "open:x", Token: sign(jwt.MapClaims{"channel": "open:x", "sub": "42", "expire_at": 1})}),
			[]string{"expire_at"}},
		{"pattern", publish(user, "wild:news.*", "{}"), []string{"wildcards", "allow_wildcards"}},
		{"data", publish(user, "json:x", "[]"), []string{"publication_data_format=json_object"}},
		{"publish", publish(user, "shut:x", "{}"), []string{"allow_publish_for_client", "namespace=shut"}},
		{"publish, anonymous", publish(anon, "open:x", "{}"), []string{"allow_publish_for_anonymous"}},
		{"publish, not subscribed", publish(user, "subs:x", "{}"), []string{"subscribe before publishing"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			test.do(newPolicy(t, testConfig(), &log))
			for _, want := range append(test.want, "remedy=", "level=INFO") {
				if !strings.Contains(log.String(), want) {
					t.Errorf("%q is missing in: %s", want, log.String())
				}
			}
			if strings.Count(log.String(), "\n") != 1 {
				t.Errorf("more or less than one line: %s", log.String())
			}
		})
	}
}

func TestNoticesOfSwitches(t *testing.T) {
	for want, set := range map[string]func(*config.Client){
		"no connect proxy":        func(c *config.Client) { c.Proxy.Connect.Enabled = true },
		"client without a token":  func(*config.Client) {},
		"token without a user":    func(c *config.Client) { c.DisallowAnonymousConnectionTokens = true },
		"client.token.hmac_secre": func(c *config.Client) { c.Token.HMACSecretKey = "" },
	} {
		cfg := testConfig()
		set(&cfg.Client)
		req := &codec.ConnectRequest{}
		if strings.Contains(want, "token without") || strings.Contains(want, "hmac") {
			req.Token = token(t, jwt.MapClaims{})
		}
		var log bytes.Buffer
		_, _ = newPolicy(t, cfg, &log).Connect(req, "", now)
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is missing in: %s", want, log.String())
		}
	}
}

func TestNoticesAllHaveText(t *testing.T) {
	for k, text := range noticeTexts {
		if text.what == "" || text.remedy == "" {
			t.Errorf("notice %d has no text", k)
		}
	}
}

// Values of clients are quoted and cut, whatever they hold.
func TestNoticesAreOneLine(t *testing.T) {
	var log bytes.Buffer
	p := newPolicy(t, testConfig(), &log)
	evil := "open:\n" + `time=2000 level=ERROR msg="all is lost"` + strings.Repeat("x", 100)
	_, _ = p.Subscribe(Client{User: "a\nb" + strings.Repeat("u", 100_000)}, &codec.SubscribeRequest{Channel: evil}, now)
	_, _ = p.Connect(&codec.ConnectRequest{Token: "eyJhbGciOiJcbnh4In0." + strings.Repeat("A", 40_000) + "."}, "", now)
	if lines := strings.Count(log.String(), "\n"); lines != 2 || log.Len() > 2000 {
		t.Errorf("%d lines, %d bytes: %.3000s", lines, log.Len(), log.String())
	}
}

func TestNoticesAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := newPolicy(t, testConfig(), &log)
		flood := func(times int) {
			for range times {
				_, _ = p.Subscribe(user, &codec.SubscribeRequest{Channel: "shut:x"}, now)
			}
		}
		lines := func() (n int) { defer log.Reset(); return strings.Count(log.String(), "\n") }

		flood(1000)
		if n := lines(); n != 1 {
			t.Errorf("first second: %d lines", n)
		}
		_, _ = p.Publish(user, "shut:x", false, []byte("{}"))
		if n := lines(); n != 1 {
			t.Errorf("another kind: %d lines", n)
		}
		time.Sleep(quiet.Period - time.Nanosecond)
		flood(1)
		if n := lines(); n != 0 {
			t.Errorf("just before a second has passed: %d lines", n)
		}
		time.Sleep(time.Nanosecond)
		flood(3)
		if !strings.Contains(log.String(), "suppressed=1000") {
			t.Errorf("the suppressed ones are not told: %s", log.String())
		}
		if n := lines(); n != 1 {
			t.Errorf("next second: %d lines", n)
		}
		time.Sleep(time.Hour)
		flood(1)
		if !strings.Contains(log.String(), "suppressed=2") {
			t.Errorf("an hour later: %s", log.String())
		}
	})
}

func TestNoticesOff(t *testing.T) {
	var log bytes.Buffer
	n := notices{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	n.note(noticeName, "")
	if _, fresh := n.kinds[noticeName].Due(time.Now()); log.Len() > 0 || !fresh {
		t.Errorf("a log that is off got %s", log.String())
	}
}

// Loops share the policy: under the race detector this is the proof.
func TestConcurrent(t *testing.T) {
	p := newPolicy(t, testConfig(), nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				_, _ = p.Subscribe(user, &codec.SubscribeRequest{Channel: "shut:x"}, now)
				_, _ = p.Publish(user, "regex:1", false, []byte("{}"))
				_, _ = p.Connect(&codec.ConnectRequest{}, "", now)
			}
		})
	}
	wg.Wait()
}
