package attack

import (
	"fmt"
	"strings"
	"testing"

	"stentor/server/config"
)

// TestOrigins is group 7: a page of another site that uses its visitor's connection. An upgrade is refused; a request that pages can send
// to any site is served, but the page may not read what comes, nor send anything that a form could not. Whether the request is the first of
// its connection or follows others makes no difference.
func TestOrigins(t *testing.T) {
	const good = "https://good.com"
	for _, policy := range []struct {
		name    string
		allowed []string
		origins map[string]bool // who may connect
	}{
		{"nobody", nil, map[string]bool{
			"":   true, // no browser
			good: false, "null": false, "file://": false, "http://localhost": false,
		}},
		{"one site", []string{good}, map[string]bool{
			"": true, good: true, "HTTPS://GOOD.COM": true, "https://Good.com": true,
			"null":                               false,
			"https://good.com.evil.com":          false, // allowed suffix
			"https://evilgood.com":               false,
			"https://good.com@evil.com":          false,
			"https://evil.com/https://good.com":  false,
			"https://sub.good.com":               false,
			"https://good.com.":                  false, // trailing dot
			"https://good.com/":                  false,
			"https://good.com:443":               false,
			"https://good.com:8443":              false,
			"http://good.com":                    false,
			"wss://good.com":                     false,
			"good.com":                           false,
			"//good.com":                         false,
			"https://good.com, https://evil.com": false,
			"https://good.com https://evil.com":  false,
			"https://g\xd0\xbe\xd0\xbed.com":     false, // look-alike letters
			"https://xn--gd-5bcd.com":            false,
			"https://good.com%00.evil.com":       false,
			"*":                                  false,
		}},
		{"patterns", []string{"https://*.good.com", "http://localhost:*", "https://app-*.mid.com", `http://\[::1\]:8000`, "https://xn--bcher-kva.example"}, map[string]bool{
			"": true, "null": false,
			"https://a.good.com": true, "https://a.b.good.com": true, "https://A.GOOD.com": true,
			"https://good.com":                                     false,
			"https://agood.com":                                    false,
			"https://a.good.com.evil.com":                          false,
			"http://a.good.com":                                    false,
			"https://a.good.com:8443":                              false,
			"http://localhost:3000":                                true,
			"http://localhost":                                     false,
			"https://localhost:3000":                               false,
			"http://localhost.evil.com":                            false,
			"https://app-1.mid.com":                                true, // '*' inside a label
			"https://app-.mid.com":                                 true,
			"https://app-1.x.mid.com":                              true, // '*' takes dots, as in the reference
			"https://app.mid.com":                                  false,
			"https://app-1.mid.com.evil":                           false,
			"http://[::1]:8000":                                    true,
			"http://[::1]:8001":                                    false,
			"http://[::2]:8000":                                    false,
			"https://xn--bcher-kva.example":                        true,
			"https://b\xc3\xbccher.example":                        false, // a browser sends Punycode
			"https://" + strings.Repeat("a", 10_000) + ".good.com": false, // longer than any
		}},
		{"everybody", []string{"*"}, map[string]bool{"": true, good: true, "null": true, "file://": true, "https://evil.com": true}},
	} {
		t.Run(policy.name, func(t *testing.T) {
			s := attack(t, newHouse(t, func(cfg *config.Config) {
				streaming(cfg)
				cfg.Client.AllowedOrigins = policy.allowed
			}))
			for origin, may := range policy.origins {
				if origin != "" {
					origin = "Origin: " + origin + "\r\n"
				}
				request := strings.TrimSuffix(upgradeRequest, "\r\n") + origin + "\r\n"
				s.row(origin, func(t *testing.T) { fromOrigin(t, s.house, "", request, may) })
				s.row("kept alive/"+origin, func(t *testing.T) { fromOrigin(t, s.house, healthRequest, request, may) })
				s.row("streams/"+origin, func(t *testing.T) { readableFrom(t, s.house, "", origin, may) })
				s.row("streams kept alive/"+origin, func(t *testing.T) { readableFrom(t, s.house, healthRequest, origin, may) })
			}
		})
	}
}

func fromOrigin(t *testing.T, h *house, before, request string, may bool) {
	c := dial(t, h)
	c.say(before + request)
	if before != "" {
		if status, head, _ := c.response(); status != 200 {
			t.Fatalf("%s", head)
		}
	}
	status, head, body := c.response()
	switch {
	case may && status == 101:
		c.join("origin")
		c.say(closing(1000))
		c.expectClose(1000, "")
	case !may && status == 403:
		if strings.Contains(strings.ToLower(head), "access-control-allow-origin") {
			t.Errorf("a refused page is allowed to read the response:\n%s", head)
		}
		_ = c.trySay(smuggled)
		c.expectEnd()
	default:
		t.Errorf("may connect: %v, answered:\n%s%s", may, head, body)
	}
}

// readableFrom sends what a page of an origin, a header line, could send to the endpoints for streams.
func readableFrom(t *testing.T, h *house, before, origin string, may bool) {
	const fields = " HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Headers: x-a\r\n"
	body := `{"session":"x","node":"y","data":"{}"}`
	for _, tt := range []struct {
		request string
		status  int
	}{
		{"OPTIONS /connection/http_stream" + fields + origin + "\r\n", 204},
		{"OPTIONS /emulation" + fields + origin + "\r\n", 204},
		{fmt.Sprintf("POST /emulation%s%sContent-Length: %d\r\n\r\n%s", fields, origin, len(body), body), 404},
		{"POST /connection/http_stream" + fields + origin + "Content-Length: 1\r\n\r\nx", 200},
		{"GET /connection/sse?cf_connect=x" + fields + origin + "\r\n", 200},
		{"GET /connection/uni_sse" + fields + origin + "\r\n", 200},
	} {
		c := dial(t, h)
		c.say(before + tt.request)
		if before != "" {
			if status, head, _ := c.response(); status != 200 {
				t.Fatalf("%s", head)
			}
		}
		status, head := c.head()
		if status != tt.status {
			t.Errorf("%s\nanswered, want %d:\n%s", tt.request, tt.status, head)
		}
		_, named, _ := strings.Cut(strings.TrimSuffix(origin, "\r\n"), ": ")
		readable := strings.Contains(head, "\r\nAccess-Control-Allow-Origin: "+named+"\r\n") && strings.Contains(head, "\r\nAccess-Control-Allow-Credentials: true\r\n") &&
			strings.Contains(head, "\r\nAccess-Control-Allow-Headers: x-a\r\n")
		if may != readable || !may && strings.Contains(strings.ToLower(head), "access-control-allow-origin") {
			t.Errorf("%s\nmay be read: %v, answered:\n%s", tt.request, may, head)
		}
		c.Close()
	}
}
