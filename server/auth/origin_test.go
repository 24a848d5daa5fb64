package auth

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func origins(t testing.TB, patterns ...string) (*Origins, string) {
	t.Helper()
	var log bytes.Buffer
	o, err := NewOrigins(patterns, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return o, log.String()
}

func TestOriginsAllowed(t *testing.T) {
	good := []string{"https://good.com"}
	sub := []string{"https://*.good.com"}
	tests := []struct {
		name     string
		patterns []string
		origin   string
		want     bool
	}{
		{"absent", good, "", true},
		{"absent, nothing allowed", nil, "", true},
		{"nothing allowed", nil, "https://good.com", false},
		{"null, nothing allowed", nil, "null", false},
		{"exact", good, "https://good.com", true},
		{"null", good, "null", false},
		{"null allowed", []string{"null"}, "null", true},
		{"file", []string{"file://*"}, "file://", true},

		{"allowed name as a prefix", good, "https://good.com.evil.com", false},
		{"allowed name as a suffix", good, "https://evilgood.com", false},
		{"allowed name behind user info", good, "https://good.com@evil.com", false},
		{"allowed name in a path", good, "https://evil.com/https://good.com", false},
		{"subdomain of an exact one", good, "https://a.good.com", false},
		{"trailing dot", good, "https://good.com.", false},
		{"trailing slash", good, "https://good.com/", false},
		{"white space", good, " https://good.com", false},
		{"two values", good, "https://good.com, https://evil.com", false},

		{"other scheme", good, "http://good.com", false},
		{"scheme missing", good, "good.com", false},
		{"other port", good, "https://good.com:8443", false},
		{"default port spelled out", good, "https://good.com:443", false},
		{"port in the pattern", []string{"https://good.com:8443"}, "https://good.com:8443", true},
		{"any port", []string{"http://localhost:*"}, "http://localhost:3000", true},
		{"any port wants a port", []string{"http://localhost:*"}, "http://localhost", false},

		{"upper case in the value", good, "HTTPS://GOOD.COM", true},
		{"upper case in the pattern", []string{"https://Good.com"}, "https://good.com", false},
		{"IDN in punycode", []string{"https://xn--bcher-kva.example"}, "https://xn--bcher-kva.example", true},
		{"IDN in the pattern, punycode in the value", []string{"https://bücher.example"}, "https://xn--bcher-kva.example", false},
		{"IDN in both", []string{"https://bücher.example"}, "https://BÜCHER.example", true},
		{"look-alike letter", good, "https://gооd.com", false},
		{"IPv6 needs escapes in the pattern", []string{`http://\[::1\]:8000`}, "http://[::1]:8000", true},
		{"IPv6 without escapes is a class", []string{"http://[::1]:8000"}, "http://[::1]:8000", false},
		{"IPv4", []string{"http://127.0.0.1:8000"}, "http://127.0.0.1:8000", true},

		{"wildcard label", sub, "https://a.good.com", true},
		{"wildcard label takes several", sub, "https://a.b.good.com", true},
		{"wildcard label takes none", sub, "https://good.com", false},
		{"wildcard label, other domain", sub, "https://agood.com", false},
		{"wildcard label, trailing name", sub, "https://a.good.com.evil.com", false},
		{"wildcard label, other scheme", sub, "http://a.good.com", false},
		{"wildcard takes a path", sub, "https://evil.com/.good.com", true}, // no browser sends one
		{"wildcard scheme", []string{"*://good.com"}, "http://good.com", true},
		{"wildcard without scheme", []string{"*.good.com"}, "https://two.Good.com", true},
		{"wildcard in a label", []string{"https://*good.com"}, "https://evilgood.com", true},
		{"wildcard inside a label", []string{"https://app-*.good.com"}, "https://app-1.good.com", true},
		{"wildcard inside a label takes dots", []string{"https://app-*.good.com"}, "https://app-1.x.good.com", true},
		{"wildcard at the end", []string{"https://good.*"}, "https://good.evil.com", true},
		{"question mark", []string{"https://a?.good.com"}, "https://ab.good.com", true},
		{"alternatives", []string{"https://{a,b}.good.com"}, "https://b.good.com", true},

		{"second pattern", []string{"https://a.com", "https://b.com"}, "https://b.com", true},
		{"everything", []string{"*"}, "https://evil.com", true},
		{"everything, null", []string{"*"}, "null", true},
		{"everything beside others", []string{"https://a.com", "*"}, "https://evil.com", true},

		{"long", []string{"https://*"}, "https://" + strings.Repeat("a", OriginBytesMax-8), true},
		{"too long", []string{"https://*"}, "https://" + strings.Repeat("a", OriginBytesMax-7), false},
		{"too long, everything", []string{"*"}, strings.Repeat("a", 1<<16), true},
		{"not UTF-8", []string{"https://*"}, "https://\xff\xfe", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, _ := origins(t, test.patterns...)
			if got := o.Allowed(test.origin); got != test.want {
				t.Errorf("Allowed(%q) with %q = %v", test.origin, test.patterns, got)
			}
		})
	}
}

func TestNewOriginsWarns(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{"https://Good.com", "upper case"},
		{"null", "any site can send the origin null"},
		{"https://good.com/", "has no path"},
		{"https://*good.com", "other domains with this ending"},
		{"https://good.*", "longer host names"},
		{"https://good.com", ""},
		{"https://*.good.com", ""},
		{"*.good.com", ""},
		{"http://localhost:*", ""},
		{"https://*", ""},
		{"*", ""},
		{"file://*", ""},
	}
	for _, test := range tests {
		_, log := origins(t, test.pattern)
		if test.want == "" && log != "" || !strings.Contains(log, test.want) {
			t.Errorf("%q: log %q, want %q", test.pattern, log, test.want)
		}
	}
}

func TestNewOriginsRefuses(t *testing.T) {
	for _, pattern := range []string{"https://[good.com", "{a,b", `https://\`} {
		if _, err := NewOrigins([]string{"https://ok.com", pattern}, slog.New(slog.DiscardHandler)); err == nil ||
			!strings.Contains(err.Error(), "client.allowed_origins[1]") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func FuzzOrigins(f *testing.F) {
	f.Add("https://*.good.com", "https://a.good.com")
	f.Add("*{a,*b}*{*a,b}c?", strings.Repeat("ab", 100))
	f.Add(`http://\[::1\]:*`, "http://[::1]:80")
	f.Fuzz(func(t *testing.T, pattern, origin string) {
		if len(pattern) > 64 { // patterns are the administrator's
			return
		}
		o, err := NewOrigins([]string{pattern}, slog.New(slog.DiscardHandler))
		if err != nil {
			return
		}
		allowed := o.Allowed(origin)
		if allowed && !o.any && len(origin) > OriginBytesMax {
			t.Error("allowed although too long")
		}
		if !allowed && origin == "" {
			t.Error("no header was refused")
		}
	})
}

func BenchmarkOrigins(b *testing.B) {
	for _, test := range []struct{ name, pattern, origin string }{
		{"plain", "https://*.example.com", "https://app.example.com"},
		{"worst", "*{*a,*b}*{*a,*b}c*", strings.Repeat("a", OriginBytesMax)},
	} {
		b.Run(test.name, func(b *testing.B) {
			o, _ := origins(b, test.pattern)
			b.ReportAllocs()
			for b.Loop() {
				o.Allowed(test.origin)
			}
		})
	}
}
