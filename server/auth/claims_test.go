package auth

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

func TestTime(t *testing.T) {
	v := verifier(t, config.Token{HMACSecretKey: secret}, false)
	n := now.Unix()
	at := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	tests := []struct {
		name, claims string
		want         error
		reason       string
		expireAt     int64
	}{
		{"none", `{}`, nil, "", 0},
		{"exp", at(`{"exp":%d}`, n+10), nil, "", n + 10},
		{"exp is now", at(`{"exp":%d}`, n), ErrExpired, "exp", 0},
		{"exp is over", at(`{"exp":%d}`, n-10), ErrExpired, "exp", 0},
		{"exp null", `{"exp":null}`, nil, "", 0},
		{"exp zero", `{"exp":0}`, ErrExpired, "exp", 0},
		{"exp negative", `{"exp":-1}`, ErrExpired, "exp", 0},
		{"exp with a fraction to come", at(`{"exp":%d.5}`, n), nil, "", n},
		{"exp with an exponent", `{"exp":1.7000001e9}`, nil, "", 1_700_000_100},
		{"exp in quotes", at(`{"exp":"%d"}`, n+10), nil, "", n + 10},
		{"exp far away", `{"exp":1e300}`, nil, "", 1e15},
		{"exp beyond a float", `{"exp":1e309}`, ErrInvalid, "claim exp", 0},
		{"exp beyond a float, negative", `{"exp":-1e309}`, ErrInvalid, "claim exp", 0},
		{"exp a word", `{"exp":"tomorrow"}`, ErrInvalid, "claim exp", 0},
		{"exp inf", `{"exp":"inf"}`, ErrInvalid, "claim exp", 0},
		{"exp hexadecimal", `{"exp":"0x7fffffff"}`, ErrInvalid, "claim exp", 0},
		{"exp empty", `{"exp":""}`, ErrInvalid, "claim exp", 0},
		{"exp true", `{"exp":true}`, ErrInvalid, "claim exp", 0},
		{"exp list", at(`{"exp":[%d]}`, n+10), ErrInvalid, "claim exp", 0},
		{"exp twice", at(`{"exp":%d,"exp":%d}`, n-10, n+10), ErrInvalid, `"exp" is there twice`, 0},
		{"exp twice, once null", at(`{"exp":null,"exp":%d}`, n+10), ErrInvalid, "twice", 0},
		{"exp twice, once escaped", at(`{"exp":%d,"\u0065xp":%d}`, n-10, n+10), ErrInvalid, "twice", 0},
		{"EXP is another claim", at(`{"EXP":%d}`, n-10), nil, "", 0},

		{"nbf is over", at(`{"nbf":%d}`, n-1), nil, "", 0},
		{"nbf is now", at(`{"nbf":%d}`, n), nil, "", 0},
		{"nbf is to come", at(`{"nbf":%d}`, n+1), ErrExpired, "nbf", 0},
		{"nbf a word", `{"nbf":"x"}`, ErrInvalid, "claim nbf", 0},
		{"iat is to come", at(`{"iat":%d,"jti":"x"}`, n+1000), nil, "", 0},
		{"iat a word", `{"iat":"x"}`, nil, "", 0},

		{"expire_at", at(`{"expire_at":%d}`, n+20), nil, "", n + 20},
		{"expire_at over exp", at(`{"exp":%d,"expire_at":%d}`, n+10, n+20), nil, "", n + 20},
		{"expire_at in the past", at(`{"exp":%d,"expire_at":%d}`, n+10, n-20), nil, "", n - 20},
		{"expire_at 0", at(`{"exp":%d,"expire_at":0}`, n+10), nil, "", 0},
		{"expire_at negative", at(`{"exp":%d,"expire_at":-5}`, n+10), nil, "", 0},
		{"expire_at null", at(`{"exp":%d,"expire_at":null}`, n+10), nil, "", n + 10},
		{"expire_at 0 with exp over", at(`{"exp":%d,"expire_at":0}`, n-10), ErrExpired, "exp", 0},
		{"expire_at a fraction", `{"expire_at":1.5}`, ErrInvalid, "claim expire_at", 0},
		{"expire_at in quotes", `{"expire_at":"5"}`, ErrInvalid, "claim expire_at", 0},
		{"expire_at too large", `{"expire_at":9223372036854775808}`, ErrInvalid, "claim expire_at", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := v.Connect(hs256(t, test.claims), now)
			check(t, err, test.want, test.reason)
			if c.ExpireAt != test.expireAt {
				t.Errorf("ExpireAt %d, want %d", c.ExpireAt, test.expireAt)
			}
			channel := strings.Replace(test.claims, "{", `{"channel":"c",`, 1)
			s, err := v.Subscribe(hs256(t, strings.Replace(channel, ",}", "}", 1)), now)
			check(t, err, test.want, test.reason)
			if s.ExpireAt != test.expireAt {
				t.Errorf("subscription: ExpireAt %d, want %d", s.ExpireAt, test.expireAt)
			}
		})
	}
}

func TestConnectClaims(t *testing.T) {
	v := verifier(t, config.Token{HMACSecretKey: secret}, false)
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, claims, reason string
		want                 ConnectClaims
	}{
		{"user", `{"sub":"42"}`, "", ConnectClaims{User: "42"}},
		{"user with escapes", `{"sub":"\u0034\n\u00e9"}`, "", ConnectClaims{User: "4\né"}},
		{"lone surrogate", `{"sub":"\ud800"}`, "", ConnectClaims{User: "\ufffd"}},
		{"no user", `{}`, "", ConnectClaims{}},
		{"empty user", `{"sub":""}`, "", ConnectClaims{}},
		{"null user", `{"sub":null}`, "", ConnectClaims{}},
		{"user is a number", `{"sub":42}`, "claim sub must be a string, in quotes: 42", ConnectClaims{}},
		{"user twice", `{"sub":"1","sub":"2"}`, "twice", ConnectClaims{}},
		{"Sub is another claim", `{"Sub":"1","SUB":2}`, "", ConnectClaims{}},

		{"info", `{"info":{"a":[1]}}`, "", ConnectClaims{Info: []byte(`{"a":[1]}`)}},
		{"info null", `{"info":null}`, "", ConnectClaims{}},
		{"info a string", `{"info":"x"}`, "", ConnectClaims{Info: []byte(`"x"`)}},
		{"b64info", `{"b64info":"AAEC"}`, "", ConnectClaims{Info: []byte{0, 1, 2}}},
		{"b64info over info", `{"b64info":"AAEC","info":1}`, "", ConnectClaims{Info: []byte{0, 1, 2}}},
		{"b64info empty", `{"b64info":"","info":1}`, "", ConnectClaims{Info: []byte("1")}},
		{"b64info bad", `{"b64info":"!"}`, "b64info is not base64", ConnectClaims{}},
		{"b64info a number", `{"b64info":1}`, "claim b64info", ConnectClaims{}},
		{"meta", `{"meta":{"role":"x"}}`, "", ConnectClaims{Meta: []byte(`{"role":"x"}`)}},
		{"info nested", `{"info":` + deep(NestingMax-1) + `}`, "", ConnectClaims{Info: []byte(deep(NestingMax - 1))}},
		{"info nested too deeply", `{"info":` + deep(NestingMax) + `}`, "nested too deeply", ConnectClaims{}},
		{"nested for a stack", `{"x":` + deep(9000) + `}`, "nested too deeply", ConnectClaims{}},
		{"brackets in strings", `{"info":"` + strings.Repeat("[", 1000) + `\"["}`, "", ConnectClaims{Info: []byte(`"` + strings.Repeat("[", 1000) + `\"["`)}},

		{"channels", `{"channels":["a","b"]}`, "", ConnectClaims{Channels: []string{"a", "b"}}},
		{"channels empty", `{"channels":[]}`, "", ConnectClaims{Channels: []string{}}},
		{"channels not a list", `{"channels":"a"}`, "claim channels", ConnectClaims{}},
		{"channels null", `{"channels":null}`, "", ConnectClaims{}},
		{"channels of null", `{"channels":["a",null]}`, "claim channels", ConnectClaims{}},
		{"channels of numbers", `{"channels":[1]}`, "claim channels", ConnectClaims{}},
		{"subs", `{"subs":{"a":{},"b":{"info":{"x":1},"data":[2],"override":{"presence":{"value":true},"join_leave":{"value":false},"force_recovery":{}}}}}`, "",
			ConnectClaims{Subs: map[string]SubscribeOptions{
				"a": {},
				"b": {Info: []byte(`{"x":1}`), Data: []byte(`[2]`), Override: Override{Presence: On, JoinLeave: Off, ForceRecovery: Off}},
			}}},
		{"subs base64", `{"subs":{"a":{"b64info":"AA==","b64data":"AQ==","info":null,"override":null}}}`, "",
			ConnectClaims{Subs: map[string]SubscribeOptions{"a": {Info: []byte{0}, Data: []byte{1}}}}},
		{"subs null option", `{"subs":{"a":null}}`, "", ConnectClaims{Subs: map[string]SubscribeOptions{"a": {}}}},
		{"subs bad base64", `{"subs":{"a":{"b64info":"!"}}}`, "b64info", ConnectClaims{}},
		{"subs bad base64 data", `{"subs":{"a":{"b64data":"!"}}}`, "b64data", ConnectClaims{}},
		{"subs empty", `{"subs":{}}`, "", ConnectClaims{Subs: map[string]SubscribeOptions{}}},
		{"subs null", `{"subs":null}`, "", ConnectClaims{}},
		{"subs with other names", `{"subs":{"a":{"INFO":1,"Data":1,"sub":5,"Override":5,"override":{"Presence":{"value":true},"x":1}}}}`, "",
			ConnectClaims{Subs: map[string]SubscribeOptions{"a": {}}}},
		{"subs, all overrides", `{"subs":{"a":{"override":{"presence":{"value":true},"join_leave":null,"force_push_join_leave":{"value":null},"force_recovery":{"value":true,"x":1},"force_positioning":{"value":false}}}}}`, "",
			ConnectClaims{Subs: map[string]SubscribeOptions{"a": {Override: Override{Presence: On, ForcePushJoinLeave: Off, ForceRecovery: On, ForcePositioning: Off}}}}},
		{"subs, a channel twice", `{"subs":{"a":{},"\u0061":{}}}`, "twice", ConnectClaims{}},
		{"subs, an option twice", `{"subs":{"a":{"info":1,"info":2}}}`, "info twice", ConnectClaims{}},
		{"subs, an override twice", `{"subs":{"a":{"override":{"presence":null,"presence":{"value":true}}}}}`, "claim override", ConnectClaims{}},
		{"subs, a value twice", `{"subs":{"a":{"override":{"presence":{"value":true,"value":false}}}}}`, "claim override", ConnectClaims{}},
		{"subs, a value that is text", `{"subs":{"a":{"override":{"presence":{"value":"true"}}}}}`, "claim override", ConnectClaims{}},
		{"subs, an override that is a list", `{"subs":{"a":{"override":[]}}}`, "claim override", ConnectClaims{}},
		{"subs, options are text", `{"subs":{"a":"x"}}`, "not an object", ConnectClaims{}},
		{"subs, b64info a number", `{"subs":{"a":{"b64info":1}}}`, "b64info", ConnectClaims{}},
		{"meta of any kind", `{"meta":[1]}`, "", ConnectClaims{Meta: []byte(`[1]`)}},
		{"meta null", `{"meta":null}`, "", ConnectClaims{}},
		{"subs a list", `{"subs":["a"]}`, "claim subs", ConnectClaims{}},

		{"channel", `{"sub":"42","channel":"a"}`, "this is a subscription token", ConnectClaims{}},
		{"channel empty", `{"sub":"42","channel":""}`, "", ConnectClaims{User: "42"}},
		{"channel null", `{"sub":"42","channel":null}`, "", ConnectClaims{User: "42"}},
		{"channel a number", `{"sub":"42","channel":1}`, "claim channel", ConnectClaims{}},

		{"not an object", `[]`, "not a JSON object", ConnectClaims{}},
		{"null", `null`, "not a JSON object", ConnectClaims{}},
		{"nothing", ``, "not a JSON object", ConnectClaims{}},
		{"two objects", `{}{}`, "not a JSON object", ConnectClaims{}},
		{"cut", `{"sub":"42"`, "not a JSON object", ConnectClaims{}},
		{"not UTF-8", "{\"sub\":\"\xff\"}", "not UTF-8", ConnectClaims{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := v.Connect(hs256(t, test.claims), now)
			want := ErrInvalid
			if test.reason == "" {
				want = nil
			}
			check(t, err, want, test.reason)
			if err == nil && !reflect.DeepEqual(c, test.want) {
				t.Errorf("got  %+v\nwant %+v", c, test.want)
			}
		})
	}
}

func TestSubscribeClaims(t *testing.T) {
	v := verifier(t, config.Token{HMACSecretKey: secret}, false)
	tests := []struct {
		name, claims, reason string
		want                 SubscribeClaims
	}{
		{"plain", `{"sub":"42","channel":"a"}`, "", SubscribeClaims{User: "42", Channel: "a"}},
		{"client", `{"channel":"a","client":"x"}`, "", SubscribeClaims{Channel: "a", Client: "x"}},
		{"info and data", `{"channel":"a","info":1,"data":2}`, "", SubscribeClaims{Channel: "a", Info: []byte("1"), Data: []byte("2")}},
		{"in base64", `{"channel":"a","b64info":"AA==","b64data":"AQ=="}`, "", SubscribeClaims{Channel: "a", Info: []byte{0}, Data: []byte{1}}},
		{"override", `{"channel":"a","override":{"force_push_join_leave":{"value":true},"force_positioning":{"value":true}}}`, "",
			SubscribeClaims{Channel: "a", Override: Override{ForcePushJoinLeave: On, ForcePositioning: On}}},
		{"no channel", `{"sub":"42"}`, "this is a connection token", SubscribeClaims{}},
		{"empty channel", `{"sub":"42","channel":""}`, "this is a connection token", SubscribeClaims{}},
		{"client a number", `{"channel":"a","client":1}`, "claim client", SubscribeClaims{}},
		{"bad data", `{"channel":"a","b64data":"!"}`, "b64data", SubscribeClaims{}},
		{"bad info", `{"channel":"a","b64info":"!"}`, "b64info", SubscribeClaims{}},
		{"bad override", `{"channel":"a","override":{"presence":true}}`, "claim override", SubscribeClaims{}},
		{"bad user", `{"channel":"a","sub":{}}`, "claim sub", SubscribeClaims{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := v.Subscribe(hs256(t, test.claims), now)
			want := ErrInvalid
			if test.reason == "" {
				want = nil
			}
			check(t, err, want, test.reason)
			if !reflect.DeepEqual(c, test.want) {
				t.Errorf("got  %+v\nwant %+v", c, test.want)
			}
		})
	}
}

func TestSource(t *testing.T) {
	audience := config.Token{Audience: "edge"}
	audiences := config.Token{AudienceRegex: "^edge-[0-9]$"}
	issuer := config.Token{Issuer: "app"}
	issuers := config.Token{IssuerRegex: "^https://[a-z]+$"}
	both := config.Token{Audience: "edge", AudienceRegex: "^x$"}
	tests := []struct {
		config config.Token
		claims string
		reason string
	}{
		{config.Token{}, `{"aud":"anything","iss":"anyone"}`, ""},
		{config.Token{}, `{"aud":5}`, "claim aud"},
		{config.Token{}, `{"iss":5}`, "claim iss"},
		{audience, `{"aud":"edge"}`, ""},
		{audience, `{"aud":["x","edge"]}`, ""},
		{audience, `{"aud":"Edge"}`, "client.token.audience"},
		{audience, `{"aud":["x"]}`, "client.token.audience"},
		{audience, `{"aud":[]}`, "client.token.audience"},
		{audience, `{"aud":null}`, "client.token.audience"},
		{audience, `{}`, "client.token.audience"},
		{audience, `{"aud":[5,"edge"]}`, "claim aud"},
		{audience, `{"aud":{"edge":1}}`, "claim aud"},
		{audience, `{"aud":"edge","aud":"x"}`, "twice"},
		{audiences, `{"aud":"edge-1"}`, ""},
		{audiences, `{"aud":["x","edge-2"]}`, ""},
		{audiences, `{"aud":"edge-12"}`, "audience_regex"},
		{audiences, `{}`, "audience_regex"},
		{both, `{"aud":["edge","x"]}`, ""},
		{both, `{"aud":["edge"]}`, "audience_regex"},
		{audience, `{"aud":["edge",null]}`, "claim aud"},
		{audiences, `{"aud":["` + strings.Repeat("x", AudienceBytesMax-13) + `","edge-2"]}`, ""},
		{audiences, `{"aud":["` + strings.Repeat("x", AudienceBytesMax-12) + `","edge-2"]}`, "audience_regex"},
		{issuers, `{"iss":"https://` + strings.Repeat("a", IssuerBytesMax-8) + `"}`, ""},
		{issuers, `{"iss":"https://` + strings.Repeat("a", IssuerBytesMax-7) + `"}`, "issuer_regex"},
		{issuer, `{"iss":"app"}`, ""},
		{issuer, `{"iss":"\u0061pp"}`, ""},
		{issuer, `{"iss":"other"}`, `"other" and not client.token.issuer`},
		{issuer, `{"iss":["app"]}`, "claim iss"},
		{issuer, `{}`, "client.token.issuer"},
		{issuers, `{"iss":"https://one"}`, ""},
		{issuers, `{"iss":"http://one"}`, "issuer_regex"},
	}
	for _, test := range tests {
		test.config.HMACSecretKey = secret
		_, err := verifier(t, test.config, false).Connect(hs256(t, test.claims), now)
		if (err == nil) != (test.reason == "") || err != nil && !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%+v %s: %v", test.config, test.claims, err)
		}
	}
}

// A token of another audience is invalid whether it is expired or not: "expired" would make the client fetch it again.
func TestSourceBeforeTime(t *testing.T) {
	v := verifier(t, config.Token{HMACSecretKey: secret, Audience: "edge"}, false)
	_, err := v.Connect(hs256(t, `{"aud":"x","exp":1}`), now)
	check(t, err, ErrInvalid, "audience")
	_, err = v.Connect(hs256(t, `{"aud":"edge","channel":"a","exp":1}`), now)
	check(t, err, ErrInvalid, "subscription token")
}

func TestUserIDClaim(t *testing.T) {
	v := verifier(t, config.Token{HMACSecretKey: secret, UserIDClaim: "uid"}, false)
	tests := []struct{ claims, user, reason string }{
		{`{"uid":"42","sub":"1"}`, "42", ""},
		{`{"uid":42}`, "42", ""},
		{`{"uid":-7}`, "-7", ""},
		{`{"sub":"1"}`, "", ""},
		{`{"uid":null}`, "", ""},
		{`{"uid":4.2}`, "", "claim uid must be a string"},
		{`{"uid":true}`, "", "claim uid must be a string"},
		{`{"uid":{"x":1}}`, "", "claim uid must be a string"},
		{`{"uid":"1","uid":"2"}`, "", "twice"},
		{`{"uid":"1","sub":2}`, "", "claim sub"},
	}
	for _, test := range tests {
		c, err := v.Connect(hs256(t, test.claims), now)
		if c.User != test.user || (err == nil) != (test.reason == "") || err != nil && !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %q, %v", test.claims, c.User, err)
		}
	}
	// The claim may be one that has a meaning of its own.
	v = verifier(t, config.Token{HMACSecretKey: secret, UserIDClaim: "iss", Issuer: "app"}, false)
	if c, err := v.Connect(hs256(t, `{"iss":"app"}`), now); err != nil || c.User != "app" {
		t.Errorf("iss as the user: %+v, %v", c, err)
	}
}

// Claims are decoded only when they are signed, and may be bad all the same.
func TestClaimsNotBase64(t *testing.T) {
	signed := "eyJhbGciOiJIUzI1NiJ9.!"
	signature, err := jwt.SigningMethodHS256.Sign(signed, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	token := signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	v := verifier(t, config.Token{HMACSecretKey: secret}, false)
	_, err = v.Connect(token, now)
	check(t, err, ErrInvalid, "claims are not base64url")
	_, err = v.Subscribe(token, now)
	check(t, err, ErrInvalid, "claims are not base64url")
	if IsExpired(err) {
		t.Error("counts as expired")
	}
}

func TestSwitch(t *testing.T) {
	for _, test := range []struct {
		s    Switch
		def  bool
		want bool
	}{{Unset, true, true}, {Unset, false, false}, {On, false, true}, {Off, true, false}} {
		if got := test.s.Or(test.def); got != test.want {
			t.Errorf("%d.Or(%v) = %v", test.s, test.def, got)
		}
	}
}
