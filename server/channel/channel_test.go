package channel

import (
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/server/config"
)

// testConfig has two namespaces and channels without one.
func testConfig() *config.Config {
	cfg := config.Default()
	c := &cfg.Channel
	c.WithoutNamespace.AllowUserLimitedChannels = true
	c.Namespaces = []config.Namespace{
		{Name: "chat", ChannelOptions: config.ChannelOptions{AllowUserLimitedChannels: true, AllowSubscribeForClient: true}},
		{Name: "digits", ChannelOptions: config.ChannelOptions{ChannelRegex: `^[0-9é]+$`}},
	}
	return cfg
}

func rules(t testing.TB, cfg *config.Config) *Rules {
	t.Helper()
	r, err := NewRules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResolve(t *testing.T) {
	r := rules(t, testConfig())
	tests := []struct {
		name, namespace, rest string
		want                  *codec.Error
	}{
		{"news", "", "news", nil},
		{"", "", "", nil},
		{"chat:room", "chat", "room", nil},
		{"chat:", "chat", "", nil},
		{"chat:a:b", "chat", "a:b", nil},
		{":news", "", "news", nil},
		{"$:news", "", "news", nil},
		{"$news", "", "$news", nil},
		{"$chat:room", "chat", "room", nil},
		{"$$chat:room", "$chat", "room", codec.ErrorUnknownChannel},
		{"chat:$room", "chat", "$room", nil},
		{"chat", "", "chat", nil},
		{"Chat:room", "Chat", "room", codec.ErrorUnknownChannel},
		{"cha:room", "cha", "room", codec.ErrorUnknownChannel},
		{" chat:room", " chat", "room", codec.ErrorUnknownChannel},
		{"chat#1:room", "chat#1", "room", codec.ErrorUnknownChannel},
		{"\x00:x", "\x00", "x", codec.ErrorUnknownChannel},
		{"chat：room", "", "chat：room", nil}, // a full-width colon is no boundary
	}
	for _, test := range tests {
		c, err := r.Resolve(test.name)
		if err != test.want || c.Name != test.name || c.Namespace != test.namespace || c.rest != test.rest {
			t.Errorf("Resolve(%q) = %q %q, %v", test.name, c.Namespace, c.rest, err)
		}
		if (c.Options == nil) != (err != nil) || c.Options != nil && c.Options.Namespace != test.namespace {
			t.Errorf("Resolve(%q): options %+v", test.name, c.Options)
		}
	}
}

func TestCheckName(t *testing.T) {
	r := rules(t, testConfig())
	long := strings.Repeat("x", 255)
	tests := []struct {
		name string
		ok   bool
	}{
		{"", false},
		{"news", true},
		{"with space and ~tilde!", true},
		{"tab\t", false},
		{"line\n", false},
		{"nul\x00", false},
		{"del\x7f", false},
		{"café", false},
		{"\xff", false},
		{long, true},
		{long + "x", false},
		{"chat:" + long[5:], true},
		{"chat:" + long, false},
		{"digits:12", true},
		{"digits:1é2", true},
		{"digits:", false},
		{"digits:12x", false},
		{"$digits:12", true},
		{"digits:1:2", false},
		{"digits:12\n", false},
		{"digits:1\xff", false},
		{"digits:" + strings.Repeat("1", 248), true},
		{"digits:" + strings.Repeat("1", 249), false},
		{"digits:" + strings.Repeat("é", 124), true}, // bytes count, not letters
		{"digits:" + strings.Repeat("é", 125), false},
	}
	for _, test := range tests {
		c, err := r.Resolve(test.name)
		if err != nil {
			t.Fatalf("Resolve(%q): %v", test.name, err)
		}
		if err := c.CheckName(); (err == nil) != test.ok || err != nil && err != codec.ErrorBadRequest {
			t.Errorf("CheckName(%q) = %v", test.name, err)
		}
	}
}

// A regular expression sees the private prefix of a channel without namespace, as in the reference.
func TestRegexWithoutNamespace(t *testing.T) {
	cfg := testConfig()
	cfg.Channel.WithoutNamespace.ChannelRegex = "^[a-z]+$"
	r := rules(t, cfg)
	for name, ok := range map[string]bool{"news": true, ":news": true, "$news": false, "$:news": true, "News": false} {
		if c, _ := r.Resolve(name); (c.CheckName() == nil) != ok {
			t.Errorf("CheckName(%q) = %v", name, c.CheckName())
		}
	}
}

func TestNoLengthLimit(t *testing.T) {
	cfg := testConfig()
	cfg.Channel.MaxLength = 0
	name := strings.Repeat("x", 1<<16)
	r := rules(t, cfg)
	if c, _ := r.Resolve(name); r.CheckLength(name) != nil || c.CheckName() != nil {
		t.Error("a length of 0 is no limit")
	}
}

func TestPrivateAndUserLimited(t *testing.T) {
	r := rules(t, testConfig())
	tests := []struct {
		name             string
		private, limited bool
		allowed, others  string // users, separated by blanks
	}{
		{"news", false, false, "", "42"},
		{"$news", true, false, "", "42"},
		{"chat:$news", false, false, "", "42"},
		{"chat:#42", false, true, "42", "4 2 43 4,2 #42"},
		{"chat:x#42", false, true, "42", "x 4"},
		{"#42", false, true, "42", "4"},
		{"$chat:x#42", true, true, "42", "x"},
		{"chat:x#1,2,30", false, true, "1 2 30", "3 0 1,2 2,30"},
		{"chat:x#1#2", false, true, "2", "1 1#2"},
		{"chat:x#", false, true, "", "x 42"},
		{"chat:x#,", false, true, "", ","},
		{"chat:x#1,", false, true, "1", "x ,"},
		{"chat:x#1,,2", false, true, "1 2", ","},
		{"chat:x# 1", false, true, "", "1"}, // white space counts
		{"digits:x#42", false, false, "", "42"},
	}
	for _, test := range tests {
		c, err := r.Resolve(test.name)
		if err != nil {
			t.Fatal(err)
		}
		if c.IsPrivate() != test.private || c.IsUserLimited() != test.limited {
			t.Errorf("%q: private %v, user-limited %v", test.name, c.IsPrivate(), c.IsUserLimited())
		}
		for _, user := range strings.Fields(test.allowed) {
			if !c.UserAllowed(user) {
				t.Errorf("%q: %q is not allowed", test.name, user)
			}
		}
		for _, user := range append(strings.Fields(test.others), "") {
			if c.UserAllowed(user) {
				t.Errorf("%q: %q is allowed", test.name, user)
			}
		}
	}
}

func TestSeparators(t *testing.T) {
	cfg := testConfig()
	c := &cfg.Channel
	c.PrivatePrefix, c.NamespaceBoundary, c.UserBoundary, c.UserSeparator = "priv-", "::", "@@", "||"
	ch, err := rules(t, cfg).Resolve("priv-chat::x@@1||22")
	if err != nil || ch.Namespace != "chat" || ch.rest != "x@@1||22" || !ch.IsPrivate() || !ch.UserAllowed("22") || ch.UserAllowed("2") {
		t.Errorf("longer separators: %+v, %v", ch, err)
	}
	c.PrivatePrefix, c.NamespaceBoundary, c.UserBoundary, c.UserSeparator = "", "", "", ""
	ch, err = rules(t, cfg).Resolve("$chat:x#1")
	if err != nil || ch.Namespace != "" || ch.IsPrivate() || ch.IsUserLimited() || ch.UserAllowed("1") {
		t.Errorf("no separators: %+v, %v", ch, err)
	}
	c.UserBoundary = "#"
	ch, _ = rules(t, cfg).Resolve("x#1,2")
	if !ch.UserAllowed("1,2") || ch.UserAllowed("1") {
		t.Error("without a separator the list is one user")
	}
}

func TestOptions(t *testing.T) {
	cfg := testConfig()
	cfg.Channel.PublicationDataFormat = "json"
	cfg.Channel.Namespaces = []config.Namespace{{Name: "all", ChannelOptions: config.ChannelOptions{
		HistorySize: 10, HistoryTTL: config.Duration(time.Minute), HistoryMetaTTL: config.Duration(time.Hour),
		ForcePositioning: true, AllowPositioning: true, ForceRecovery: true, AllowRecovery: true,
		ForceRecoveryMode: "cache", AutoCacheRecover: true, Presence: true, JoinLeave: true, ForcePushJoinLeave: true,
		AllowedDeltaTypes: []string{"fossil"}, DeltaPublish: true, AllowTagsFilter: true,
		AllowSubscribeForClient: true, AllowPublishForSubscriber: true, AllowPresenceForAnonymous: true, AllowHistoryForClient: true,
		AllowUserLimitedChannels: true, AllowWildcards: true, SubscribeProxyEnabled: true, SubscribeStreamProxyEnabled: true, PublishProxyEnabled: true,
		SubRefreshProxyEnabled: true, SubscriptionType: "map_users", PublicationDataFormat: "binary",
	}}}
	c, err := rules(t, cfg).Resolve("all:x")
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		Namespace: "all", Type: TypeMapUsers, HistorySize: 10, HistoryTTL: time.Minute, HistoryMetaTTL: time.Hour,
		ForcePositioning: true, AllowPositioning: true, ForceRecovery: true, AllowRecovery: true,
		RecoverCache: true, AutoCacheRecover: true, Presence: true, JoinLeave: true, ForcePushJoinLeave: true,
		DeltaFossil: true, DeltaPublish: true, AllowTagsFilter: true,
		Subscribe: Right{Client: true}, Publish: Right{Subscriber: true}, ReadPresence: Right{Anonymous: true}, ReadHistory: Right{Client: true},
		AllowUserLimits: true, Wildcards: true, SubscribeProxy: true, SubscribeStreamProxy: true, PublishProxy: true, SubRefreshProxy: true,
		DataFormat: DataBinary,
	}
	if *c.Options != want {
		t.Errorf("got  %+v\nwant %+v", *c.Options, want)
	}
	if !c.Options.HasHistory() || c.Options.Type.String() != "map_users" || c.Options.DataFormat.String() != "binary" {
		t.Error("history, type or format are read wrongly")
	}

	c, _ = rules(t, cfg).Resolve("x")
	if c.Options.DataFormat != DataJSON || c.Options.HistoryMetaTTL != 720*time.Hour || c.Options.HasHistory() {
		t.Errorf("global defaults: %+v", *c.Options)
	}
	cfg.Channel.HistoryMetaTTL = 0
	if c, _ = rules(t, cfg).Resolve("x"); c.Options.HistoryMetaTTL != historyMetaTTLDefault {
		t.Errorf("no default at all: %v", c.Options.HistoryMetaTTL)
	}
}

func TestNewRulesRefuses(t *testing.T) {
	one := func(o config.ChannelOptions) []config.Namespace {
		return []config.Namespace{{Name: "chat", ChannelOptions: o}}
	}
	tests := map[string]func(*config.Channel){
		"channel.namespaces[chat].channel_regex: error parsing": func(c *config.Channel) { c.Namespaces = one(config.ChannelOptions{ChannelRegex: "("}) },
		"channel.without_namespace.channel_regex: 1025 bytes": func(c *config.Channel) {
			c.WithoutNamespace.ChannelRegex = strings.Repeat("a", RegexBytesMax+1)
		},
		`channel.namespaces[chat].subscription_type: "maps"`: func(c *config.Channel) {
			c.Namespaces = one(config.ChannelOptions{SubscriptionType: "maps"})
		},
		`channel.namespaces[chat].publication_data_format: "xml"`: func(c *config.Channel) {
			c.Namespaces = one(config.ChannelOptions{PublicationDataFormat: "xml"})
		},
		`channel.namespaces[chat].slow_policy: "newest"`: func(c *config.Channel) {
			c.Namespaces = one(config.ChannelOptions{SlowPolicy: "newest"})
		},
		`channel.publication_data_format: "xml"`: func(c *config.Channel) { c.PublicationDataFormat = "xml" },
		"channel.namespaces[chat]: the name is there twice": func(c *config.Channel) {
			c.Namespaces = append(one(config.ChannelOptions{}), one(config.ChannelOptions{})...)
		},
		"channel.namespaces: a namespace needs a name": func(c *config.Channel) { c.Namespaces = []config.Namespace{{}} },
	}
	for want, change := range tests {
		cfg := testConfig()
		change(&cfg.Channel)
		if _, err := NewRules(cfg); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestCheckData(t *testing.T) {
	tests := []struct {
		data                      string
		any, json, object, binary bool
	}{
		{"", false, false, false, true},
		{"x", true, false, false, true},
		{" ", true, false, false, true},
		{"{}", true, true, true, true},
		{" \r\n\t{\"a\":1} ", true, true, true, true},
		{"[1]", true, true, false, true},
		{`"{}"`, true, true, false, true},
		{"null", true, true, false, true},
		{"{}{}", true, false, false, true},
		{`{"a":`, true, false, false, true},
		{"\ufeff{}", true, false, false, true},
		{strings.Repeat("[", 20000) + strings.Repeat("]", 20000), true, false, false, true},
	}
	for _, test := range tests {
		for format, want := range map[DataFormat]bool{DataAny: test.any, DataJSON: test.json, DataJSONObject: test.object, DataBinary: test.binary} {
			o := Options{DataFormat: format}
			if err := o.CheckData([]byte(test.data)); (err == nil) != want || err != nil && err != codec.ErrorBadRequest {
				t.Errorf("format %q, data %.20q: %v", format, test.data, err)
			}
		}
	}
}

func TestRight(t *testing.T) {
	for r := range 8 {
		right := Right{Client: r&1 != 0, Subscriber: r&2 != 0, Anonymous: r&4 != 0}
		for _, user := range []string{"", "42"} {
			for _, subscribed := range []bool{false, true} {
				want := (right.Client || right.Subscriber && subscribed) && (user == "42" || right.Anonymous)
				if right.Allows(user, subscribed) != want {
					t.Errorf("%+v.Allows(%q, %v) = %v", right, user, subscribed, !want)
				}
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	cfg := testConfig()
	cfg.Channel.Namespaces[0].PublicationDataFormat = "json_object"
	r := rules(t, cfg)
	data := []byte(`{"a":[1,2,3]}`)
	names := []string{"news", "$chat:x#1,2,42", "digits:123", "unknown:x", strings.Repeat("x", 300), "bad\n"}
	allocs := testing.AllocsPerRun(1000, func() {
		for _, name := range names {
			c, err := r.Resolve(name)
			if err != nil {
				continue
			}
			_, _, _ = c.CheckName(), c.IsPrivate(), c.UserAllowed("42")
			_ = c.Options.CheckData(data)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func FuzzResolve(f *testing.F) {
	for _, name := range []string{"", "news", "chat:room", "$chat:x#1,2", "digits:12", ":", "$", "#", "$:#,", "chat:\xff"} {
		f.Add(name, "42")
	}
	r := rules(f, testConfig())
	f.Fuzz(func(t *testing.T, name, user string) {
		c, err := r.Resolve(name)
		// Cutting and splitting again in the plainest way must say the same.
		namespace := ""
		if parts := strings.SplitN(strings.TrimPrefix(name, "$"), ":", 2); len(parts) == 2 {
			namespace = parts[0]
		}
		known := namespace == "" || namespace == "chat" || namespace == "digits"
		if c.Namespace != namespace || (err == nil) != known || c.Name != name {
			t.Fatalf("Resolve(%q) = %q, %v", name, c.Namespace, err)
		}
		if err != nil {
			return
		}
		limited := namespace != "digits" && strings.Contains(name, "#")
		listed := false
		parts := strings.Split(name, "#")
		for _, entry := range strings.Split(parts[len(parts)-1], ",") {
			listed = listed || entry == user
		}
		if c.IsUserLimited() != limited || c.UserAllowed(user) != (limited && listed && user != "") {
			t.Fatalf("%q, user %q: limited %v, allowed %v", name, user, c.IsUserLimited(), c.UserAllowed(user))
		}
		if c.CheckName() == nil {
			for _, x := range name {
				if len(name) > 255 || namespace != "digits" && (x < ' ' || x > '~') {
					t.Fatalf("CheckName(%q) passed", name)
				}
			}
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	r := rules(b, testConfig())
	b.ReportAllocs()
	for b.Loop() {
		c, err := r.Resolve("chat:room-42#1,2,42")
		if err != nil || c.CheckName() != nil || !c.UserAllowed("42") {
			b.Fatal(err)
		}
	}
}

// TestSlow: the policy of a name is that of its namespace.
func TestSlow(t *testing.T) {
	cfg := testConfig()
	if rules(t, cfg).AnyDrop() {
		t.Error("the default drops")
	}
	cfg.Channel.Namespaces[0].SlowPolicy = "latest"
	cfg.Channel.Namespaces[1].SlowPolicy = "drop_oldest"
	r := rules(t, cfg)
	if !r.AnyDrop() {
		t.Error("nothing drops")
	}
	for name, want := range map[string]codec.SlowPolicy{
		"chat:room": codec.SlowLatest, "$chat:room": codec.SlowLatest, "digits:1": codec.SlowDropOldest, "news": codec.SlowDisconnect,
		"unknown:x": codec.SlowDisconnect,
	} {
		if got := r.Slow(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	cfg = testConfig()
	cfg.Channel.WithoutNamespace.SlowPolicy = "drop_oldest"
	if r := rules(t, cfg); !r.AnyDrop() || r.Slow("news") != codec.SlowDropOldest || r.Slow("chat:room") != codec.SlowDisconnect {
		t.Error("channels without a namespace have another policy")
	}
	if n := testing.AllocsPerRun(100, func() { r.Slow("chat:room") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
