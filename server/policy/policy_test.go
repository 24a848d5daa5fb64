package policy

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/config"
)

var now = time.Unix(1_700_000_000, 0)

var (
	user = Client{User: "42", ID: [16]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}}
	anon = Client{ID: user.ID}
)

const clientID = "01234567-89ab-cdef-0123-456789abcdef"

// testConfig has a namespace for each thing that a policy distinguishes.
func testConfig() *config.Config {
	cfg := config.Default()
	cfg.Client.Token.HMACSecretKey = "secret"
	day := config.Duration(24 * time.Hour)
	cfg.Channel.Namespaces = []config.Namespace{
		{Name: "open", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true, AllowPublishForClient: true}},
		{Name: "anon", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true, AllowSubscribeForAnonymous: true,
			AllowPublishForClient: true, AllowPublishForAnonymous: true}},
		{Name: "subs", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true, AllowPublishForSubscriber: true}},
		{Name: "shut"},
		{Name: "wild", ChannelOptions: config.ChannelOptions{AllowWildcards: true, AllowSubscribeForClient: true, AllowPublishForClient: true,
			HistorySize: 10, HistoryTTL: day, ForceRecovery: true, AllowedDeltaTypes: []string{"fossil"}, DeltaPublish: true, JoinLeave: true}},
		{Name: "user", ChannelOptions: config.ChannelOptions{AllowUserLimitedChannels: true, AllowSubscribeForClient: true,
			AllowSubscribeForAnonymous: true}},
		{Name: "userproxy", ChannelOptions: config.ChannelOptions{AllowUserLimitedChannels: true, SubscribeProxyEnabled: true}},
		{Name: "proxy", ChannelOptions: config.ChannelOptions{SubscribeProxyEnabled: true, PublishProxyEnabled: true,
			AllowSubscribeForClient: true, AllowPublishForClient: true}},
		{Name: "stream", ChannelOptions: config.ChannelOptions{SubscribeStreamProxyEnabled: true, AllowSubscribeForClient: true,
			AllowPublishForClient: true}},
		{Name: "regex", ChannelOptions: config.ChannelOptions{ChannelRegex: "^[0-9]+$", AllowSubscribeForClient: true}},
		{Name: "map", ChannelOptions: config.ChannelOptions{SubscriptionType: "map", AllowSubscribeForClient: true}},
		{Name: "poll", ChannelOptions: config.ChannelOptions{SubscriptionType: "shared_poll", AllowSubscribeForClient: true}},
		{Name: "tags", ChannelOptions: config.ChannelOptions{AllowTagsFilter: true, AllowSubscribeForClient: true}},
		{Name: "json", ChannelOptions: config.ChannelOptions{PublicationDataFormat: "json_object", AllowPublishForClient: true}},
		{Name: "hist", ChannelOptions: config.ChannelOptions{HistorySize: 10, HistoryTTL: day, DeltaPublish: true,
			AllowPublishForClient: true, AllowSubscribeForClient: true, AllowHistoryForSubscriber: true}},
		{Name: "ask", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true, AllowPositioning: true, AllowRecovery: true,
			JoinLeave: true, AllowPresenceForClient: true}},
		{Name: "force", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true, ForcePositioning: true,
			Presence: true, JoinLeave: true, ForcePushJoinLeave: true}},
		{Name: "recover", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true, ForceRecovery: true,
			HistorySize: 10, HistoryTTL: day}},
	}
	return cfg
}

// newPolicy builds the policy of cfg, with its log in a buffer if one is given.
func newPolicy(t testing.TB, cfg *config.Config, log io.Writer) *Policy {
	t.Helper()
	rules, err := channel.NewRules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	connection, subscription, err := auth.NewVerifiers(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if log == nil {
		log = io.Discard
	}
	p, err := New(cfg, rules, connection, subscription, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// token signs claims with the key of testConfig.
func token(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConnect(t *testing.T) {
	n := now.Unix()
	type claims = jwt.MapClaims
	anonymous := func(c *config.Client) { c.AllowAnonymousConnectWithoutToken = true }
	insecure := func(c *config.Client) { c.Insecure = true }
	header := func(c *config.Client) { c.UserIDHTTPHeader = "X-User" }
	proxy := func(c *config.Client) { c.Proxy.Connect.Enabled = true }
	noAnonymous := func(c *config.Client) { c.DisallowAnonymousConnectionTokens = true }
	tests := []struct {
		name    string
		options []func(*config.Client)
		claims  claims
		raw     string
		header  string
		want    Credentials
		err     error
	}{
		{name: "2: token", claims: claims{"sub": "42", "info": claims{"a": 1}}, want: Credentials{User: "42", Info: []byte(`{"a":1}`)}},
		{name: "2: expiry", claims: claims{"sub": "42", "exp": n + 10}, want: Credentials{User: "42", ExpireAt: n + 10}},
		{name: "2: token without user", claims: claims{}},
		{name: "2: garbage", raw: "x", err: codec.DisconnectInvalidToken},
		{name: "2: garbage although anonymous and insecure", options: []func(*config.Client){anonymous, insecure}, raw: "x", err: codec.DisconnectInvalidToken},
		{name: "2: garbage although header", options: []func(*config.Client){header}, raw: "x", header: "7", err: codec.DisconnectInvalidToken},
		{name: "2: exp over", claims: claims{"sub": "42", "exp": n}, err: codec.ErrorTokenExpired},
		{name: "2: exp over although insecure", options: []func(*config.Client){insecure}, claims: claims{"exp": n}, err: codec.ErrorTokenExpired},
		{name: "2: nbf to come", claims: claims{"sub": "42", "nbf": n + 10}, err: codec.ErrorTokenExpired},
		{name: "2: subscription token", claims: claims{"sub": "42", "channel": "news"}, err: codec.DisconnectInvalidToken},
		{name: "2: subscription token, expired", claims: claims{"sub": "42", "channel": "news", "exp": n}, err: codec.DisconnectInvalidToken},
		{name: "2: channels known", claims: claims{"sub": "42", "channels": []string{"open:x", "news", "news"}},
			want: Credentials{User: "42", TokenChannels: []string{"news", "open:x"}}},
		{name: "2: channels unknown", claims: claims{"sub": "42", "channels": []string{"news", "no:x"}}, err: codec.ErrorUnknownChannel},
		{name: "2: subs unknown", claims: claims{"sub": "42", "subs": claims{"no:x": claims{}}}, err: codec.ErrorUnknownChannel},
		{name: "2: subs win over channels", claims: claims{"sub": "42", "channels": []string{"no:x"}, "subs": claims{"news": claims{}}},
			want: Credentials{User: "42", TokenChannels: []string{"news"}}},
		{name: "2: channels unknown, expired", claims: claims{"exp": n, "channels": []string{"no:x"}}, err: codec.ErrorTokenExpired},
		{name: "2: no anonymous tokens", options: []func(*config.Client){noAnonymous}, claims: claims{}, err: codec.DisconnectPermissionDenied},
		{name: "2: no anonymous tokens, user", options: []func(*config.Client){noAnonymous}, claims: claims{"sub": "42"}, want: Credentials{User: "42"}},
		{name: "2: no anonymous tokens, expired", options: []func(*config.Client){noAnonymous}, claims: claims{"exp": n}, err: codec.ErrorTokenExpired},
		{name: "2: no anonymous tokens, unknown channel", options: []func(*config.Client){noAnonymous}, claims: claims{"channels": []string{"no:x"}}, err: codec.ErrorUnknownChannel},
		{name: "2: no anonymous tokens, but no token at all", options: []func(*config.Client){noAnonymous, anonymous}},

		{name: "3: proxy", options: []func(*config.Client){proxy}, err: codec.ErrorNotAvailable},
		{name: "3: proxy before anonymous", options: []func(*config.Client){proxy, anonymous}, err: codec.ErrorNotAvailable},
		{name: "3: proxy before insecure", options: []func(*config.Client){proxy, insecure}, err: codec.ErrorNotAvailable},
		{name: "3: proxy before header", options: []func(*config.Client){proxy, header}, header: "7", err: codec.ErrorNotAvailable},
		{name: "3: token before proxy", options: []func(*config.Client){proxy}, claims: claims{"sub": "42"}, want: Credentials{User: "42"}},

		{name: "4: anonymous", options: []func(*config.Client){anonymous}},
		{name: "4: insecure", options: []func(*config.Client){insecure}},
		{name: "4: anonymous before header", options: []func(*config.Client){anonymous, header}, header: "7"},
		{name: "5: header", options: []func(*config.Client){header}, header: "7", want: Credentials{User: "7"}},
		{name: "5: empty header", options: []func(*config.Client){header}, err: codec.DisconnectBadRequest},
		{name: "5: header that is not configured", header: "7", err: codec.DisconnectBadRequest},
		{name: "5: token before header", options: []func(*config.Client){header}, header: "7", claims: claims{"sub": "42"}, want: Credentials{User: "42"}},
		{name: "6: nothing", err: codec.DisconnectBadRequest},

		{name: "7: insecure clears expiry", options: []func(*config.Client){insecure}, claims: claims{"sub": "42", "exp": n + 10}, want: Credentials{User: "42"}},
		{name: "7: insecure clears past expiry", options: []func(*config.Client){insecure}, claims: claims{"sub": "42", "expire_at": n - 10}, want: Credentials{User: "42"}},
		{name: "8: expire_at is now", claims: claims{"sub": "42", "expire_at": n}, err: codec.ErrorExpired},
		{name: "8: expire_at is over, exp is not", claims: claims{"sub": "42", "exp": n + 10, "expire_at": n - 10}, err: codec.ErrorExpired},
		{name: "8: expire_at off, exp over", claims: claims{"sub": "42", "exp": n - 10, "expire_at": 0}, err: codec.ErrorTokenExpired},
		{name: "8: expire_at off", claims: claims{"sub": "42", "exp": n + 10, "expire_at": 0}, want: Credentials{User: "42"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := testConfig()
			for _, set := range test.options {
				set(&cfg.Client)
			}
			req := &codec.ConnectRequest{Token: test.raw}
			if test.claims != nil {
				req.Token = token(t, test.claims)
			}
			got, err := newPolicy(t, cfg, nil).Connect(req, test.header, now)
			got.Subs = nil // see TestServerSide
			if err != test.err || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestSubscriptionVerifierIsNotForConnections(t *testing.T) {
	cfg := testConfig()
	cfg.Client.SubscriptionToken.Enabled = true
	cfg.Client.SubscriptionToken.HMACSecretKey = "other"
	p := newPolicy(t, cfg, nil)
	if _, err := p.Connect(&codec.ConnectRequest{Token: token(t, jwt.MapClaims{"sub": "42"})}, "", now); err != nil {
		t.Errorf("connect: %v", err)
	}
	req := &codec.SubscribeRequest{Channel: "shut:x", Token: token(t, jwt.MapClaims{"sub": "42", "channel": "shut:x"})}
	if _, err := p.Subscribe(user, req, now); err != codec.ErrorPermissionDenied {
		t.Errorf("subscribe with the key of connection tokens: %v", err)
	}
}

func TestPublish(t *testing.T) {
	long := strings.Repeat("x", 300)
	insecure := true
	tests := []struct {
		name       string
		client     Client
		channel    string
		subscribed bool
		data       string
		insecure   bool
		err        error
	}{
		{"empty channel", user, "", true, "{}", insecure, codec.DisconnectBadRequest},
		{"unknown namespace", user, "no:x", true, "{}", insecure, codec.ErrorUnknownChannel},
		{"unknown namespace before name", user, "no:\n", true, "{}", insecure, codec.ErrorUnknownChannel},
		{"unknown namespace before length", user, "no:" + long, true, "{}", insecure, codec.ErrorUnknownChannel},
		{"bad name", user, "open:\n", false, "{}", insecure, codec.ErrorBadRequest},
		{"long name", user, "open:" + long, false, "{}", insecure, codec.ErrorBadRequest},
		{"name against regex", user, "regex:x", false, "{}", insecure, codec.ErrorBadRequest},
		{"bad name before rights", user, "shut:\n", false, "{}", false, codec.ErrorBadRequest},
		{"no data", user, "open:x", false, "", insecure, codec.ErrorBadRequest},
		{"no data before rights", user, "shut:x", false, "", false, codec.ErrorBadRequest},
		{"data of another format", user, "json:x", false, "[1]", insecure, codec.ErrorBadRequest},
		{"data of the format", user, "json:x", false, `{"a":1}`, false, nil},
		{"data before proxy", user, "proxy:x", false, "", false, codec.ErrorBadRequest},

		{"map channel", user, "map:x", true, "{}", insecure, codec.ErrorNotAvailable},
		{"shared poll channel", user, "poll:x", true, "{}", insecure, codec.ErrorNotAvailable},
		{"publish proxy before rights", user, "proxy:x", true, "{}", insecure, codec.ErrorNotAvailable},
		{"stream proxy before rights", user, "stream:x", true, "{}", insecure, codec.ErrorNotAvailable},

		{"client", user, "open:x", false, "{}", false, nil},
		{"client, anonymous", anon, "open:x", true, "{}", false, codec.ErrorPermissionDenied},
		{"client, anonymous allowed", anon, "anon:x", false, "{}", false, nil},
		{"subscriber", user, "subs:x", true, "{}", false, nil},
		{"subscriber only", user, "subs:x", false, "{}", false, codec.ErrorPermissionDenied},
		{"subscriber, anonymous", anon, "subs:x", true, "{}", false, codec.ErrorPermissionDenied},
		{"nobody", user, "shut:x", true, "{}", false, codec.ErrorPermissionDenied},
		{"nobody but insecure", anon, "shut:x", false, "{}", insecure, nil},
		{"without namespace", user, "news", true, "{}", false, codec.ErrorPermissionDenied},
		{"private prefix gives nothing", user, "$shut:x", true, "{}", false, codec.ErrorPermissionDenied},
		{"being listed gives nothing", user, "user:#42", true, "{}", false, codec.ErrorPermissionDenied},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Client.Insecure = test.insecure
			got, err := newPolicy(t, cfg, nil).Publish(test.client, test.channel, test.subscribed, []byte(test.data))
			if err != test.err {
				t.Errorf("got %v, want %v", err, test.err)
			}
			if want := (engine.PublishOptions{}); err != nil && got != want {
				t.Errorf("options beside an error: %+v", got)
			}
		})
	}
}

func TestPublishOptions(t *testing.T) {
	p := newPolicy(t, testConfig(), nil)
	got, err := p.Publish(user, "hist:x", false, []byte("{}"))
	want := engine.PublishOptions{HistorySize: 10, HistoryTTL: 24 * time.Hour, HistoryMetaTTL: 720 * time.Hour, Delta: true}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNewRefusesNil(t *testing.T) {
	p := newPolicy(t, testConfig(), nil)
	for i := range 3 {
		rules, a, b := p.rules, p.connection, p.subscription
		switch i {
		case 0:
			rules = nil
		case 1:
			a = nil
		case 2:
			b = nil
		}
		if _, err := New(testConfig(), rules, a, b, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("part %d may be nil", i)
		}
	}
}

func TestClientID(t *testing.T) {
	if got := string(user.appendID(nil)); got != clientID || !user.hasID(got) || user.hasID(strings.ToUpper(got)) || user.hasID("") {
		t.Errorf("client id %s", got)
	}
}

// Decisions without a token allocate nothing, refusals and their suppressed notices included.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	p := newPolicy(t, testConfig(), new(bytes.Buffer))
	var requests []codec.SubscribeRequest
	for _, name := range []string{"open:x", "user:#1,42", "user:#1", "shut:x", "$open:x", "no:x", "open:\n", "poll:x", "map:x", "proxy:x", "ask:x", "", strings.Repeat("x", 300)} {
		requests = append(requests, codec.SubscribeRequest{Channel: name, Positioned: true, Recoverable: true, JoinLeave: true})
	}
	data := []byte(`{"a":1}`)
	run := func() {
		for i := range requests {
			_, _ = p.Subscribe(user, &requests[i], now)
			_, _ = p.Publish(user, requests[i].Channel, true, data)
			_, _ = p.Publish(anon, requests[i].Channel, false, nil)
		}
	}
	// Whoever holds the processor may let a second pass, after which a notice is due: only a run without one counts.
	least := 1e9
	for range 5 {
		least = min(least, testing.AllocsPerRun(200, run))
	}
	if least != 0 {
		t.Errorf("%v allocations", least)
	}
}

func BenchmarkSubscribe(b *testing.B) {
	p := newPolicy(b, testConfig(), nil)
	req := &codec.SubscribeRequest{Channel: "hist:room-42", Recoverable: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Subscribe(user, req, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubscribeRefused(b *testing.B) {
	p := newPolicy(b, testConfig(), nil)
	req := &codec.SubscribeRequest{Channel: "shut:room-42"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Subscribe(user, req, now); err == nil {
			b.Fatal("allowed")
		}
	}
}

func BenchmarkSubscribeToken(b *testing.B) {
	p := newPolicy(b, testConfig(), nil)
	req := &codec.SubscribeRequest{Channel: "shut:room-42", Token: token(b, jwt.MapClaims{"sub": "42", "channel": "shut:room-42", "exp": now.Unix() + 10})}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Subscribe(user, req, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	p := newPolicy(b, testConfig(), nil)
	data := []byte(`{"a":1}`)
	for _, name := range []string{"hist:room-42", "json:room-42"} {
		b.Run(fmt.Sprintf("to %s", name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Publish(user, name, true, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestPending: a token whose key has to be fetched is neither refused nor accepted, and nothing is said of it.
func TestPending(t *testing.T) {
	cfg := testConfig()
	cfg.Client.Token = config.Token{JWKSPublicEndpoint: "http://127.0.0.1:1/jwks.json"}
	var log bytes.Buffer
	p := newPolicy(t, cfg, &log)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	j := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "42", "channel": "open:x"})
	j.Header["kid"] = "k"
	token, err := j.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := p.Connect(&codec.ConnectRequest{Token: token}, "", now)
	_, err2 := p.Subscribe(user, &codec.SubscribeRequest{Channel: "open:x", Token: token}, now)
	_, _, err3 := p.SubRefresh(user, "open:x", token, now)
	for i, err := range []error{err1, err2, err3} {
		if _, ok := err.(*auth.Pending); !ok {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", &log)
	}
	// After a fetch that failed, all three have their usual error.
	if err := err1.(*auth.Pending).Fetch(t.Context()); err == nil {
		t.Fatal("nobody listens there")
	}
	if _, err := p.Connect(&codec.ConnectRequest{Token: token}, "", now); err != error(codec.DisconnectInvalidToken) {
		t.Errorf("Connect: %v", err)
	}
	if _, err := p.Subscribe(user, &codec.SubscribeRequest{Channel: "open:x", Token: token}, now); err != error(codec.ErrorPermissionDenied) {
		t.Errorf("Subscribe: %v", err)
	}
	if _, _, err := p.SubRefresh(user, "open:x", token, now); err != error(codec.DisconnectInvalidToken) {
		t.Errorf("SubRefresh: %v", err)
	}
}
