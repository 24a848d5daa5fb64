package attack

import (
	"strings"
	"testing"

	"stentor/server/config"
)

// TestOrigins is group 7: a page of another site that uses its visitor's connection. The only endpoint that pages can reach so far is
// the WebSocket one. Whether the upgrade is the first request of its connection or follows others makes no difference.
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
			s := attack(t, newHouse(t, func(cfg *config.Config) { cfg.Client.AllowedOrigins = policy.allowed }))
			for origin, may := range policy.origins {
				if origin != "" {
					origin = "Origin: " + origin + "\r\n"
				}
				request := strings.TrimSuffix(upgradeRequest, "\r\n") + origin + "\r\n"
				s.row(origin, func(t *testing.T) { fromOrigin(t, s.house, "", request, may) })
				s.row("kept alive/"+origin, func(t *testing.T) { fromOrigin(t, s.house, healthRequest, request, may) })
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
