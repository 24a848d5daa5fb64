package attack

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

// proxyV2 begins a header of the PROXY protocol, version 2. The command is "proxy", the family TCP over IPv4.
const proxyV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11"

// TestForgedAddresses is group 8: clients that claim to come from somewhere else. The server believes nobody but the kernel, so that
// all of them count as one address.
func TestForgedAddresses(t *testing.T) {
	const most = 4
	s := attack(t, newHouse(t, func(cfg *config.Config) { cfg.Client.ConnectionLimitPerIP = most }))
	var held []*client
	for range most - 1 { // and the witness
		held = append(held, joined(t, s.house, codec.JSON, "held"))
	}
	for _, claim := range []string{
		"", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.7, 198.51.100.1", "X-Real-IP: 203.0.113.7",
		"Forwarded: for=203.0.113.7;proto=https", `Forwarded: for="[2001:db8::1]:4711"`, "X-Client-IP: 203.0.113.7",
		"True-Client-IP: 203.0.113.7", "CF-Connecting-IP: 203.0.113.7", "X-Cluster-Client-IP: 203.0.113.7",
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: ", "Via: 1.1 203.0.113.7", "Remote-Addr: 203.0.113.7:1",
	} {
		request := strings.TrimSuffix(upgradeRequest, "\r\n") + strings.TrimPrefix(claim+"\r\n", "\r\n") + "\r\n"
		s.row("claim/"+claim, func(t *testing.T) {
			for _, before := range []string{"", healthRequest} {
				c := dial(t, s.house)
				c.say(before + request)
				if before != "" {
					c.response()
				}
				if status, head, _ := c.response(); status != 503 {
					t.Errorf("answered, want 503:\n%s", head)
				}
				c.expectEnd()
			}
		})
	}
	held[0].say(closing(1000))
	held[0].expectClose(1000, "")
	joined(t, s.house, codec.JSON, "held") // its place is free
}

// TestProxyHeaders is the other half of group 8: headers of the PROXY protocol, well-formed and not. They are no requests, and what
// comes behind them is none either.
func TestProxyHeaders(t *testing.T) {
	s := attack(t, common)
	victim := joined(t, common, codec.JSON, "smuggled")
	four := "\xcb\x00\x71\x07\x7f\x00\x00\x01\x04\xd2\x00\x50" // two addresses and two ports
	for _, test := range []struct{ name, header string }{
		{"version 1", "PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\r\n"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::1 ::1 1234 80\r\n"},
		{"version 1, unknown", "PROXY UNKNOWN\r\n"},
		{"version 1, no addresses", "PROXY TCP4\r\n"},
		{"version 1, bare LF", "PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\n"},
		{"version 1, over-long", "PROXY TCP4 " + strings.Repeat("1", 200) + " 127.0.0.1 1234 80\r\n"},
		{"version 1, twice", strings.Repeat("PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\r\n", 2)},
		{"version 2", proxyV2 + "\x00\x0c" + four},
		{"version 2, local", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"},
		{"version 2, length 0", proxyV2 + "\x00\x00"},
		{"version 2, length too short", proxyV2 + "\x00\x04" + four},
		{"version 2, length of the request, too", proxyV2 + "\x01\x00" + four},
		{"version 2, length 65,535", proxyV2 + "\xff\xff" + four},
		{"version 2, no length", proxyV2},
		{"version 2, version 3", "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + four},
		{"version 2, half a signature", proxyV2[:7]},
		{"an empty line in front", "\r\n"},
	} {
		s.row(test.name, func(t *testing.T) {
			for _, behind := range []string{smuggled, strings.Replace(upgradeRequest, "\r\n\r\n", "\r\nX-API-Key: "+apiKey+"\r\n\r\n", 1)} {
				if got := statuses(answers(t, test.header+behind)); got != "[400]" && got != "[505]" {
					t.Errorf("answered %s", got)
				}
				if got := statuses(answers(t, healthRequest+test.header+behind)); got != "[200 400]" && got != "[200 505]" {
					t.Errorf("kept alive, answered %s", got)
				}
			}
		})
	}
	if err := common.publish("smuggled", `"no"`); err != nil {
		t.Fatal(err)
	}
	victim.expectPush("smuggled", `"no"`)
}

// TestUserHeader is what client.user_id_http_header means: the value of that header, as it is, is the user of a client without a
// token. Only a proxy in front can keep strangers from sending it.
func TestUserHeader(t *testing.T) {
	with := attack(t, guarded(t, func(cfg *config.Config) { cfg.Client.UserIDHTTPHeader = "X-User-Id" }))
	without := attack(t, guarded(t, func(*config.Config) {}))
	token := sign(t, jwt.MapClaims{"sub": "of-token"})
	for _, test := range []struct {
		name, headers, connect string
		user                   string // "" is a refusal, with the code
		code                   uint32
	}{
		{"none", "", `{}`, "", 3501},
		{"as it is", "X-User-Id: 42\r\n", `{}`, "42", 0},
		{"in lower case", "x-user-id: 42\r\n", `{}`, "42", 0},
		{"empty", "X-User-Id: \r\n", `{}`, "", 3501},
		{"a list", "X-User-Id: 42, 7\r\n", `{}`, "42, 7", 0},
		{"two", "X-User-Id: 42\r\nX-User-Id: 7\r\n", `{}`, "42", 0},
		{"an empty one in front", "X-User-Id:\r\nX-User-Id: 7\r\n", `{}`, "", 3501},
		{"underscores", "X_User_Id: 42\r\n", `{}`, "", 3501},
		{"longer name", "X-User-Id2: 42\r\n", `{}`, "", 3501},
		{"not UTF-8", "X-User-Id: 4\xff\xfe2\r\n", `{}`, "4\ufffd\ufffd2", 0},
		{"of 8,000 bytes", "X-User-Id: " + strings.Repeat("u", 8000) + "\r\n", `{}`, strings.Repeat("u", 8000), 0},
		{"quotes", `X-User-Id: "}],"` + "\r\n", `{}`, `"}],"`, 0},
		{"in the connect command", "", `{"headers":{"X-User-Id":"42"}}`, "", 3501},
		{"beside one in the connect command", "X-User-Id: 42\r\n", `{"headers":{"X-User-Id":"7"}}`, "42", 0},
		{"beside a token", "X-User-Id: 42\r\n", `{"token":"` + token + `"}`, "of-token", 0},
		{"beside a bad token", "X-User-Id: 42\r\n", `{"token":"a.b.c"}`, "", 3500},
	} {
		request := strings.TrimSuffix(upgradeRequest, "\r\n") + test.headers + "\r\n"
		connect := text(`{"id":1,"connect":` + test.connect + `}`)
		for name, before := range map[string]string{"": "", "kept alive/": healthRequest} {
			with.row(name+test.name, func(t *testing.T) { userHeader(t, with.house, before, request, connect, test.user, test.code) })
		}
		user, code := "", test.code
		switch {
		case test.user == "of-token":
			user = test.user
		case code == 0:
			code = 3501
		}
		without.row("not configured/"+test.name, func(t *testing.T) { userHeader(t, without.house, "", request, connect, user, code) })
	}
}

func userHeader(t *testing.T, h *house, before, request, connect, user string, code uint32) {
	c := dial(t, h)
	c.say(before + request)
	if before != "" {
		c.response()
	}
	c.hearUpgrade()
	c.say(connect)
	if code != 0 {
		c.expectClose(uint16(code), anyReason)
		return
	}
	c.expectReply(1, 0)
	c.say(c.commands(subscribeTo(codec.SubscribeRequest{Channel: "who"})))
	c.expectReply(2, 0)
	c.say(text(`{"id":3,"publish":{"channel":"who","data":1}}`))
	_, payload, err := c.hear()
	if err != nil || !utf8.ValidString(payload) {
		t.Fatalf("heard %q (%v)", payload, err)
	}
	all, err := decode(codec.JSON, payload)
	if err != nil || len(all) != 1 && len(all) != 2 || all[0].Push == nil || all[0].Push.Pub.Info.User != user {
		t.Fatalf("heard %q (%v), want a publication of %q", payload, err, user)
	}
}
