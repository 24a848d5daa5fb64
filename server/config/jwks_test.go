package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestJWKSEndpoint(t *testing.T) {
	const template = "https://auth.example.com/{{tenant}}/jwks.json"
	var many []string
	for i := range JWKSEndpointsMax + 1 {
		many = append(many, fmt.Sprint("t", i))
	}
	group := func(pattern string) string { return "^https://auth/(?P<tenant>" + pattern + ")$" }
	tests := []struct {
		name             string
		endpoint         string
		issuer, audience string
		problem          string // none: safe
		never            bool   // wrong even with the check skipped
	}{
		{name: "plain", endpoint: "https://auth.example.com/jwks.json"},
		{name: "plain with everything", endpoint: "http://user:pass@127.0.0.1:8080/jwks.json?a=b"},
		{name: "a list", endpoint: template, issuer: group("one|two")},
		{name: "a list of one", endpoint: template, issuer: group("one")},
		{name: "a list with a common start and end", endpoint: template, issuer: group("tenant-a|tenant-b|tenant|other-b")},
		{name: "a group in a list", endpoint: template, issuer: group("(?:a|b)-(?:c|d)")},
		{name: "a list in the audience", endpoint: template, audience: group("one|two")},
		{name: "a list in the host", endpoint: "https://{{tenant}}.example.com/jwks.json", issuer: group("one|two")},
		{name: "a whole host", endpoint: "https://{{tenant}}/jwks.json", issuer: group(`auth\.one\.com|auth\.two\.com`)},
		{name: "a list in the query", endpoint: "https://auth.example.com/?t={{tenant}}", issuer: group("one|two")},
		{name: "twice", endpoint: "https://{{tenant}}.example.com/{{tenant}}", issuer: group("one|two")},
		{name: "two groups", endpoint: "https://a/{{x}}/{{y}}", issuer: "^(?P<x>a|b)$", audience: "^(?P<y>c|d)$"},
		{name: "the most values", endpoint: template, issuer: group(strings.Join(many[:JWKSEndpointsMax], "|"))},
		{name: "an open group that is not used", endpoint: template, issuer: group("one|two") + "(?P<rest>.*)"},

		{name: "no scheme", endpoint: "auth.example.com/jwks.json", problem: "does not begin with", never: true},
		{name: "file", endpoint: "file:///etc/passwd", problem: "does not begin with", never: true},
		{name: "no host", endpoint: "https:///jwks.json", problem: "names no host", never: true},
		{name: "a fragment", endpoint: "https://a/#x", problem: "fragment", never: true},
		{name: "bad address", endpoint: "https://a b/", problem: "is not an address", never: true},
		{name: "too long", endpoint: "https://a/" + strings.Repeat("a", JWKSEndpointBytesMax), problem: "longer than 2048", never: true},
		{name: "templated scheme", endpoint: "{{tenant}}://a/", issuer: group("http|https"), problem: "does not begin with", never: true},
		{name: "templated end of the scheme", endpoint: "http{{tenant}}://a/", issuer: group("s"), problem: "does not begin with", never: true},
		{name: "templated port", endpoint: "https://a:{{tenant}}/", issuer: group("1|2"), problem: "is not an address", never: true},
		{name: "templated user", endpoint: "https://{{tenant}}@a/", issuer: group("1|2"), problem: "beside credentials", never: true},
		{name: "template beside credentials", endpoint: "https://u:p@{{tenant}}/", issuer: group("a|b"), problem: "beside credentials", never: true},
		{name: "no group", endpoint: template, problem: "has {{tenant}}, and neither", never: true},
		{name: "a group without a name", endpoint: template, issuer: "^(one|two)$", problem: "has {{tenant}}, and neither", never: true},
		{name: "a group of both", endpoint: template, issuer: group("one|two"), audience: group("one|two"), problem: "in both", never: true},
		{name: "open brace", endpoint: "https://a/{{tenant", issuer: group("a|b"), problem: "does not begin a {{name}}", never: true},
		{name: "single brace", endpoint: "https://a/{tenant}", issuer: group("a|b"), problem: "brace", never: true},
		{name: "closing brace", endpoint: "https://a/tenant}}", issuer: group("a|b"), problem: "brace", never: true},
		{name: "space in the name", endpoint: "https://a/{{ tenant }}", issuer: group("a|b"), problem: "does not begin a {{name}}", never: true},
		{name: "empty name", endpoint: "https://a/{{}}", issuer: group("a|b"), problem: "does not begin a {{name}}", never: true},
		{name: "a regex that is none", endpoint: template, issuer: "(", problem: "regular expressions", never: true},

		{name: "anything", endpoint: template, issuer: group(".*"), problem: "does not list"},
		{name: "open in the host", endpoint: "https://{{tenant}}.example.com/", issuer: group("[a-z]+"), problem: "does not list"},
		{name: "open in the path", endpoint: template, issuer: group("[^/]+"), problem: "does not list"},
		{name: "open in one of the values", endpoint: template, issuer: group("one|tw.+"), problem: "does not list"},
		{name: "digits", endpoint: template, issuer: group(`\d{1,3}`), problem: "does not list"},
		{name: "in any case", endpoint: template, issuer: group("(?i)one|two"), problem: "does not list"},
		{name: "one value too many", endpoint: template, issuer: group(strings.Join(many, "|")), problem: "does not list"},
		{name: "too many together", endpoint: "https://a/{{x}}/{{y}}", issuer: "^(?P<x>" + strings.Join(many[:33], "|") + ")$",
			audience: "^(?P<y>" + strings.Join(many[:32], "|") + ")$", problem: "does not list"},
		{name: "any rune", endpoint: template, issuer: group(`[^a]`), problem: "does not list"},
		{name: "every letter four times", endpoint: template, issuer: group(`[a-z][a-z][a-z][a-z]`), problem: "does not list"},
		{name: "slash", endpoint: template, issuer: group("one|two/three"), problem: `"two/three"`},
		{name: "dots", endpoint: template, issuer: group(`one|\.\.`), problem: `".."`},
		{name: "percent", endpoint: template, issuer: group("one|%2e"), problem: `"%2e"`},
		{name: "port", endpoint: "https://{{tenant}}/", issuer: group("one|two:80"), problem: `"two:80"`},
		{name: "user", endpoint: "https://{{tenant}}/", issuer: group("one|u@two"), problem: `"u@two"`},
		{name: "query", endpoint: template, issuer: group(`one|two\?`), problem: `"two?"`},
		{name: "nothing", endpoint: template, issuer: group("one|"), problem: `""`},
		{name: "optional", endpoint: template, issuer: group("(?:one)?"), problem: `""`},
		{name: "long value", endpoint: template, issuer: group(strings.Repeat("a", JWKSValueBytesMax+1)), problem: "longer than 128 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			block := Token{JWKSPublicEndpoint: test.endpoint, IssuerRegex: test.issuer, AudienceRegex: test.audience}
			_, err := block.JWKSEndpoint()
			var told *Error
			if test.problem == "" && err != nil || test.problem != "" && (!errors.As(err, &told) || !strings.Contains(told.Problem, test.problem) || told.Remedy == "") {
				t.Errorf("%v, want %q", err, test.problem)
			}
			block.InsecureSkipJWKSEndpointSafetyCheck = true
			if _, err := block.JWKSEndpoint(); (err != nil) != test.never {
				t.Errorf("with the check skipped: %v", err)
			}
		})
	}
}

func TestJWKSFill(t *testing.T) {
	block := Token{JWKSPublicEndpoint: "https://{{host}}.example.com/{{path}}/{{host}}", IssuerRegex: "(?P<host>.*) (?P<path>.*)", InsecureSkipJWKSEndpointSafetyCheck: true}
	e, err := block.JWKSEndpoint()
	if err != nil {
		t.Fatal(err)
	}
	if names := e.Names(); !reflect.DeepEqual(names, []string{"host", "path"}) {
		t.Errorf("names %q", names)
	}
	fill := func(host, path string) (string, error) {
		return e.Fill(func(name string) string { return map[string]string{"host": host, "path": path}[name] })
	}
	if got, err := fill("a.b", "C_d-e~1"); err != nil || got != "https://a.b.example.com/C_d-e~1/a.b" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", ".", "..", ".a", "a.", "a..b", "/", "a/b", `a\b`, "%2f", "a?b", "a#b", "a@b", "a:b", "a b", "a\n", "é", "{{host}}", "[::1]", "a;b", "a&b", "a+b", "\x00",
		strings.Repeat("a", JWKSValueBytesMax+1)} {
		if got, err := fill("ok", bad); err == nil {
			t.Errorf("%q was filled in: %q", bad, got)
		}
		if got, err := fill(bad, "ok"); err == nil {
			t.Errorf("%q was filled in: %q", bad, got)
		}
	}
	if got, err := fill("ok", strings.Repeat("a", JWKSValueBytesMax)); err != nil {
		t.Errorf("the longest value: %q, %v", got, err)
	}
	if e, err := (&Token{}).JWKSEndpoint(); err != nil || e.parts != nil {
		t.Errorf("without an endpoint: %v, %v", e, err)
	}
}
