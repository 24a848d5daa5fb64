package channel

import (
	"strings"
	"testing"

	"stentor/codec"
	"stentor/server/config"
)

func wildConfig() *config.Config {
	cfg := testConfig()
	cfg.Channel.Namespaces = append(cfg.Channel.Namespaces, config.Namespace{Name: "wild.ns", ChannelOptions: config.ChannelOptions{AllowWildcards: true}})
	cfg.Channel.WithoutNamespace = config.ChannelOptions{AllowWildcards: true}
	return cfg
}

func TestScope(t *testing.T) {
	r := rules(t, wildConfig())
	for name, want := range map[string]string{
		"news.a": "", "$news.a": "$", "chat:a.b": "chat:", "$chat:a": "$chat:", ":a": ":", "$:a": "$:", "chat:a:b": "chat:", "": "", "$": "$", "a$b": "", "no:x": "no:",
	} {
		if got := name[:r.Scope(name)]; got != want {
			t.Errorf("the scope of %q is %q, want %q", name, got, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	r := rules(t, wildConfig())
	dots := func(tokens int, end string) string { return "wild.ns:" + strings.Repeat("a.", tokens-1) + end }
	tests := []struct {
		name    string
		pattern bool
		ok      bool
	}{
		{"wild.ns:news", false, true},
		{"wild.ns:news.sport", false, true},
		{"wild.ns:*", true, true},
		{"wild.ns:>", true, true},
		{"wild.ns:news.*", true, true},
		{"wild.ns:*.news", true, true},
		{"wild.ns:news.>", true, true},
		{"wild.ns:*.*.>", true, true},
		{"wild.ns:*.*.*.*", true, false},
		{"wild.ns:>.news", true, false},
		{"wild.ns:news.>.", true, false},
		{"wild.ns:>.>", true, false},
		{"wild.ns:news*", false, true}, // a token is a wildcard or it is not
		{"wild.ns:n>.a*b", false, true},
		{"wild.ns:news.**", false, true},
		{"wild.ns:news/*", false, true},
		{"$wild.ns:news.*", true, true},
		{"*", true, true},
		{"$*.a", true, true},
		{"*:news", false, true}, // of an unknown namespace
		{"chat:news.*", false, true},
		{"chat:>.*.*.*.*", false, true},
		{dots(PatternTokensMax, ">"), true, true},
		{dots(PatternTokensMax+1, ">"), true, false},
		{dots(PatternTokensMax+1, "a"), false, true},
	}
	for _, tt := range tests {
		c, err := r.Resolve(tt.name)
		if err != nil {
			if tt.name != "*:news" {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if got := c.IsPattern(); got != tt.pattern {
			t.Errorf("%q is a pattern: %t", tt.name, got)
		}
		if err := c.CheckName(); (err == nil) != tt.ok || err != nil && err != codec.ErrorBadRequest {
			t.Errorf("%q: %v", tt.name, err)
		}
	}
}
