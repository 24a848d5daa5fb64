package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

// TestServerSide plays the table of server-side subscriptions at connect (spec: client-protocol, section 4.2).
func TestServerSide(t *testing.T) {
	type claims = jwt.MapClaims
	type subs = map[string]*codec.SubscribeRequest
	personal := func(namespace string) func(*config.Client) {
		return func(c *config.Client) {
			c.SubscribeToUserPersonalChannel = config.PersonalChannel{Enabled: true, PersonalChannelNamespace: namespace}
		}
	}
	anonymous := func(c *config.Client) { c.AllowAnonymousConnectWithoutToken = true }
	insecure := func(c *config.Client) { c.Insecure = true }
	wants := func(names ...string) subs {
		s := subs{}
		for _, name := range names {
			s[name] = new(codec.SubscribeRequest)
		}
		return s
	}
	for _, tt := range []struct {
		name    string
		options []func(*config.Client)
		claims  claims
		subs    subs
		want    []string
		err     error
	}{
		{name: "nothing", claims: claims{"sub": "42"}},
		{name: "channels", claims: claims{"sub": "42", "channels": []string{"open:b", "open:a", "shut:x"}}, want: []string{"open:a", "open:b", "shut:x"}},
		{name: "subs", claims: claims{"sub": "42", "channels": []string{"open:a"}, "subs": claims{"shut:x": claims{}}}, want: []string{"shut:x"}},
		{name: "a private channel in a token", claims: claims{"sub": "42", "channels": []string{"$open:a"}}, want: []string{"$open:a"}},
		{name: "a bad name in a token", claims: claims{"sub": "42", "channels": []string{"regex:x"}}, err: codec.ErrorBadRequest},
		{name: "a map in a token", claims: claims{"sub": "42", "channels": []string{"map:x"}}, err: codec.ErrorNotAvailable},
		{name: "personal", options: []func(*config.Client){personal("")}, claims: claims{"sub": "42"}, want: []string{"#42"}},
		{name: "personal in a namespace", options: []func(*config.Client){personal("user")}, claims: claims{"sub": "42", "channels": []string{"user:#42", "open:a"}},
			want: []string{"open:a", "user:#42"}},
		{name: "personal without a user", options: []func(*config.Client){personal(""), anonymous}, subs: wants("open:a")},
		{name: "a user that makes no name", options: []func(*config.Client){personal("")}, claims: claims{"sub": "ü"}, err: codec.ErrorBadRequest},
		{name: "wanted", claims: claims{"sub": "42"}, subs: wants("open:a", "shut:x", "$open:a", "proxy:x", "stream:x", "map:x", "regex:x", "regex:7", "open:a"),
			want: []string{"open:a", "regex:7"}},
		{name: "wanted, unknown namespace", claims: claims{"sub": "42"}, subs: wants("open:a", "no:x"), err: codec.DisconnectBadRequest},
		{name: "wanted, user-limited", claims: claims{"sub": "42"}, subs: wants("user:x#42", "user:x#7"), want: []string{"user:x#42"}},
		{name: "wanted without a user", options: []func(*config.Client){anonymous}, subs: wants("open:a", "anon:a"), want: []string{"anon:a"}},
		{name: "wanted, insecure", options: []func(*config.Client){insecure}, subs: wants("shut:x", "$open:a"), want: []string{"shut:x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			for _, set := range tt.options {
				set(&cfg.Client)
			}
			req := &codec.ConnectRequest{Subs: tt.subs}
			if tt.claims != nil {
				req.Token = token(t, tt.claims)
			}
			got, err := newPolicy(t, cfg, nil).Connect(req, "", now)
			var names []string
			for _, s := range got.Subs {
				names = append(names, s.Channel)
			}
			if err != tt.err || !slices.Equal(names, tt.want) {
				t.Errorf("got %q, %v; want %q, %v", names, err, tt.want, tt.err)
			}
		})
	}
}

// TestServerSideOptions: what the token says of a channel, and where the client left it.
func TestServerSideOptions(t *testing.T) {
	cfg := testConfig()
	cfg.Channel.Namespaces = append(cfg.Channel.Namespaces, config.Namespace{Name: "cache", ChannelOptions: config.ChannelOptions{
		HistorySize: 1, HistoryTTL: 1e9, ForceRecovery: true, ForceRecoveryMode: "cache", AutoCacheRecover: true, AllowedDeltaTypes: []string{"fossil"}}})
	p := newPolicy(t, cfg, nil)
	type claims = jwt.MapClaims
	got, err := p.Connect(&codec.ConnectRequest{
		Token: token(t, claims{"sub": "42", "subs": claims{
			"cache:x":   claims{"info": 1, "data": 2},
			"open:x":    claims{"b64info": "Mw==", "b64data": "NA==", "override": claims{"presence": claims{"value": true}}},
			"recover:x": claims{},
		}}),
		Subs: map[string]*codec.SubscribeRequest{
			"cache:x":   {Delta: "fossil"},
			"open:x":    {Recover: true, Offset: 3, Positioned: true, Delta: "fossil"},
			"recover:x": {Recover: true, Offset: 3, Epoch: "e", Flag: codec.SubscribeRejectUnrecoverable},
		},
	}, "", now)
	if err != nil || len(got.Subs) != 3 {
		t.Fatal(got.Subs, err)
	}
	cache, open, recovers := got.Subs[0], got.Subs[1], got.Subs[2]
	if string(cache.Info) != "1" || string(cache.Data) != "2" || !cache.Delta || !cache.From.Recover || !cache.Recoverable {
		t.Errorf("cache: %+v", cache)
	}
	if string(open.Info) != "3" || string(open.Data) != "4" || open.Delta || open.From.Recover || open.Positioned || !open.Presence {
		t.Errorf("open: %+v", open)
	}
	want := Place{Recover: true, Strict: true, StreamPosition: codec.StreamPosition{Offset: 3, Epoch: "e"}}
	if recovers.From != want || !recovers.Recoverable {
		t.Errorf("recover: %+v", recovers)
	}
}

// manyWanted is a connect command that names n channels.
func manyWanted(n int) *codec.ConnectRequest {
	req := &codec.ConnectRequest{Subs: make(map[string]*codec.SubscribeRequest, n)}
	for i := range n {
		req.Subs[fmt.Sprintf("open:%d", i)] = new(codec.SubscribeRequest)
	}
	return req
}

// TestManyWanted: of what a stranger names in a connect command no more is looked at than the limit needs.
func TestManyWanted(t *testing.T) {
	cfg := testConfig()
	cfg.Client.Insecure = true
	for _, c := range []struct{ limit, wanted, want int }{{16_000, 8000, 8000}, {128, 8000, 129}} {
		cfg.Client.ChannelLimit = c.limit
		if got, err := newPolicy(t, cfg, nil).Connect(manyWanted(c.wanted), "", now); err != nil || len(got.Subs) != c.want {
			t.Errorf("limit %d: %d channels, %v; one more than the limit is enough", c.limit, len(got.Subs), err)
		}
	}
}

// BenchmarkManyWanted: a name costs the same among many as among few. If each were looked for among those before it, it would cost four
// times as much among four times as many. Fewer of them would fit into the processor's cache, and be too cheap to compare with.
func BenchmarkManyWanted(b *testing.B) {
	for _, n := range []int{4000, 16_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := testConfig()
			cfg.Client.Insecure, cfg.Client.ChannelLimit = true, n
			p, req := newPolicy(b, cfg, nil), manyWanted(n)
			for b.Loop() {
				if got, err := p.Connect(req, "", now); err != nil || len(got.Subs) != n {
					b.Fatalf("%d of %d channels, %v", len(got.Subs), n, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/name")
		})
	}
}
