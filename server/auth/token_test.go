package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

const secret = "a secret of thirty-two bytes 1234"

var now = time.Unix(1_700_000_000, 0)

// encode puts a token together from its texts and signs it; a nil method leaves the signature empty.
func encode(t testing.TB, header, claims string, method jwt.SigningMethod, key any) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	if method == nil {
		return signed + "."
	}
	signature, err := method.Sign(signed, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// hs256 signs claims with secret.
func hs256(t testing.TB, claims string) string {
	return encode(t, `{"alg":"HS256","typ":"JWT"}`, claims, jwt.SigningMethodHS256, []byte(secret))
}

func verifier(t testing.TB, c config.Token, skip bool) *Verifier {
	t.Helper()
	v, err := NewVerifier("client.token", c, skip)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// check compares an error with the one wanted: nil, ErrExpired or ErrInvalid with a part of its reason.
func check(t *testing.T, err, want error, reason string) {
	t.Helper()
	if !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), reason) {
		t.Errorf("error %v, want %v with %q", err, want, reason)
	}
}

func TestSignature(t *testing.T) {
	hmac := config.Token{HMACSecretKey: secret}
	claims := `{"sub":"42"}`
	sign := func(m jwt.SigningMethod, key string) string {
		return encode(t, `{"alg":"`+m.Alg()+`"}`, claims, m, []byte(key))
	}
	good := hs256(t, claims)
	head, rest, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(rest, ".")
	last := signature[:len(signature)-1]

	tests := []struct {
		name   string
		config config.Token
		token  string
		want   error
		reason string
	}{
		{"HS256", hmac, sign(jwt.SigningMethodHS256, secret), nil, ""},
		{"HS384", hmac, sign(jwt.SigningMethodHS384, secret), nil, ""},
		{"HS512", hmac, sign(jwt.SigningMethodHS512, secret), nil, ""},
		{"other key", hmac, sign(jwt.SigningMethodHS256, "other"), ErrInvalid, "does not match: sign with the key in client.token.hmac_secret_key"},
		{"no key", config.Token{}, good, ErrInvalid, "set client.token.hmac_secret_key"},
		{"empty key", config.Token{}, sign(jwt.SigningMethodHS256, ""), ErrInvalid, "no key for HS256"},
		{"RS256 header on an HMAC signature", hmac, encode(t, `{"alg":"RS256"}`, claims, jwt.SigningMethodHS256, []byte(secret)), ErrInvalid, "no key for RS256"},
		{"ES256 of zeros", hmac, encode(t, `{"alg":"ES256"}`, claims, nil, nil) + strings.Repeat("A", 86), ErrInvalid, "no key for ES256"},
		{"EdDSA", hmac, encode(t, `{"alg":"EdDSA"}`, claims, nil, nil) + strings.Repeat("A", 86), ErrInvalid, "EdDSA"},
		{"PS256", hmac, encode(t, `{"alg":"PS256"}`, claims, jwt.SigningMethodHS256, []byte(secret)), ErrInvalid, "unknown algorithm"},
		{"HS384 header on HS256", hmac, encode(t, `{"alg":"HS384"}`, claims, jwt.SigningMethodHS256, []byte(secret)), ErrInvalid, "does not match"},
		{"lower case", hmac, encode(t, `{"alg":"hs256"}`, claims, jwt.SigningMethodHS256, []byte(secret)), ErrInvalid, "unknown algorithm"},
		{"none", hmac, encode(t, `{"alg":"none"}`, claims, nil, nil), ErrInvalid, "never accepted"},
		{"None", hmac, encode(t, `{"alg":"None"}`, claims, nil, nil), ErrInvalid, "never accepted"},
		{"nOnE, signed", hmac, encode(t, `{"alg":"nOnE"}`, claims, jwt.SigningMethodHS256, []byte(secret)), ErrInvalid, "never accepted"},
		{"none without any key", config.Token{}, encode(t, `{"alg":"none"}`, claims, nil, nil), ErrInvalid, "never accepted"},
		{"long alg", hmac, encode(t, `{"alg":"`+strings.Repeat("x", 200)+`"}`, claims, nil, nil), ErrInvalid, strings.Repeat("x", 64) + "…"},
		{"empty alg", hmac, encode(t, `{"alg":""}`, claims, nil, nil), ErrInvalid, "unknown algorithm"},

		{"no signature", hmac, head + "." + body + ".", ErrInvalid, "does not match"},
		{"cut signature", hmac, head + "." + body + "." + signature[:20], ErrInvalid, "does not match"},
		{"changed claims", hmac, head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"43"}`)) + "." + signature, ErrInvalid, "does not match"},
		{"stray bits in the signature", hmac, head + "." + body + "." + last + string(rune(signature[len(signature)-1]+1)), ErrInvalid, "not base64url"},
		{"padding", hmac, good + "=", ErrInvalid, "not base64url"},
		{"line break in the signature", hmac, head + "." + body + ".\n" + signature, ErrInvalid, "line break"},
		{"standard base64", hmac, head + "." + body + ".+/" + signature[2:], ErrInvalid, "not base64url"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := verifier(t, test.config, false).Connect(test.token, now)
			check(t, err, test.want, test.reason)
			if err == nil && c.User != "42" {
				t.Errorf("user %q", c.User)
			}
		})
	}
}

func TestShape(t *testing.T) {
	good := hs256(t, `{"sub":"42"}`)
	tests := []struct{ name, token, reason string }{
		{"empty", "", "three parts"},
		{"one part", "abc", "three parts"},
		{"two parts", "abc.def", "three parts"},
		{"three empty parts", "..", "header"},
		{"JWE", "a.b.c.d.e", "more than three parts"},
		{"a million dots", strings.Repeat(".", 1e6), "longer than"},
		{"many dots", strings.Repeat(".", TokenBytesMax), "more than three"},
		{"a megabyte", good + strings.Repeat("A", 1<<20), "longer than"},
		{"long header", strings.Repeat("A", HeaderBytesMax+1) + ".e30.", "header is longer"},
		{"header not base64", "!!!.e30.", "header is not base64url"},
		{"header not JSON", base64.RawURLEncoding.EncodeToString([]byte("{")) + ".e30.", "not a JSON object"},
		{"header a list", base64.RawURLEncoding.EncodeToString([]byte(`["HS256"]`)) + ".e30.", "not a JSON object"},
		{"header white space", base64.RawURLEncoding.EncodeToString([]byte("  ")) + ".e30.", "not a JSON object"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := verifier(t, config.Token{HMACSecretKey: secret}, false).Connect(test.token, now)
			check(t, err, ErrInvalid, test.reason)
		})
	}
}

func TestHeader(t *testing.T) {
	deep := strings.Repeat("[", NestingMax) + strings.Repeat("]", NestingMax)
	tests := []struct {
		header, reason string // no reason: accepted
	}{
		{`{"alg":"HS256"}`, ""},
		{`{"typ":"JWT","alg":"HS256"}`, ""},
		{` { "typ" : "JWT" , "alg" : "HS256" } `, ""},
		{`{"\u0061lg":"HS25\u0036"}`, ""},
		{`{"alg":"HS256","b64":true}`, ""},
		{`{"alg":"HS256","kid":"../../../etc/passwd"}`, ""},
		{`{"alg":"HS256","kid":"' OR 1=1 --"}`, ""},
		{`{"alg":"HS256","jku":"https://evil.com/keys","x5u":"https://evil.com/c","jwk":{"kty":"oct","k":"AA"}}`, ""},
		{`{"alg":"HS256","cty":"JWT","x":[1,{"y":"}"}],"z":"\\\""}`, ""},

		{`{}`, "does not have one alg"},
		{`{"ALG":"HS256"}`, "does not have one alg"},
		{`{"alg":null}`, "does not have one alg"},
		{`{"alg":["HS256"]}`, "does not have one alg"},
		{`{"alg":"HS256","alg":"none"}`, "does not have one alg"},
		{`{"alg":"none","alg":"HS256"}`, "does not have one alg"},
		{`{"alg":"HS256","\u0061lg":"none"}`, "does not have one alg"},
		{`{"alg":"HS256","kid":"` + strings.Repeat("k", KeyIDBytesMax) + `"}`, ""},
		{`{"alg":"HS256","kid":"` + strings.Repeat("k", KeyIDBytesMax+1) + `"}`, "kid"},
		{`{"alg":"HS256","kid":7}`, "kid"},
		{`{"alg":"HS256","kid":"a","kid":"b"}`, "kid"},
		{`{"alg":"HS256","crit":["exp"],"exp":1}`, "crit"},
		{`{"alg":"HS256","crit":[]}`, "crit"},
		{`{"alg":"HS256","b64":false}`, "b64"},
		{`{"alg":"HS256","b64":"true"}`, "b64"},
		{`{"alg":"dir","enc":"A128GCM"}`, "encrypted"},
		{`{"alg":"HS256","zip":"DEF"}`, "encrypted"},
		{`{"alg":"HS256","x":` + deep + `}`, "nested too deeply"},
		{"{\"alg\":\"HS256\",\"x\":\"\xff\"}", "not UTF-8"},
		{`{"alg":"HS256"}{}`, "not a JSON object"},
	}
	for _, test := range tests {
		token := encode(t, test.header, `{"sub":"42"}`, jwt.SigningMethodHS256, []byte(secret))
		_, err := verifier(t, config.Token{HMACSecretKey: secret}, false).Connect(token, now)
		want := ErrInvalid
		if test.reason == "" {
			want = nil
		}
		if !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v, want %q", test.header, err, test.reason)
		}
	}
}

func TestRotation(t *testing.T) {
	c := config.Token{HMACSecretKey: "new", HMACPreviousSecretKey: "old", HMACPreviousSecretKeyValidUntil: now.Unix()}
	sign := func(key string) string {
		return encode(t, `{"alg":"HS256"}`, `{"sub":"42"}`, jwt.SigningMethodHS256, []byte(key))
	}
	endless := c
	endless.HMACPreviousSecretKeyValidUntil = 0
	onlyOld := c
	onlyOld.HMACSecretKey = ""

	tests := []struct {
		name   string
		config config.Token
		key    string
		at     time.Time
		want   error
		reason string
	}{
		{"new key", c, "new", now, nil, ""},
		{"old key in its last second", c, "old", now.Add(999 * time.Millisecond), nil, ""},
		{"old key after its time", c, "old", now.Add(time.Second), ErrInvalid, "hmac_previous_secret_key is over"},
		{"new key after the old one's time", c, "new", now.Add(time.Hour), nil, ""},
		{"old key without an end", endless, "old", now.Add(1000 * time.Hour), nil, ""},
		{"only an old key", onlyOld, "old", now, nil, ""},
		{"unknown key", c, "other", now, ErrInvalid, "does not match"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := verifier(t, test.config, false).Connect(sign(test.key), test.at)
			check(t, err, test.want, test.reason)
		})
	}
}

func TestSkipSignature(t *testing.T) {
	v := verifier(t, config.Token{}, true)
	claims := fmt.Sprintf(`{"sub":"42","exp":%d}`, now.Unix()-1)
	for name, test := range map[string]struct {
		token  string
		want   error
		reason string
	}{
		"any key":           {encode(t, `{"alg":"HS256"}`, `{"sub":"42"}`, jwt.SigningMethodHS256, []byte("x")), nil, ""},
		"any algorithm":     {encode(t, `{"alg":"RS256"}`, `{"sub":"42"}`, nil, nil) + "AAAA", nil, ""},
		"no signature":      {encode(t, `{"alg":"HS256"}`, `{"sub":"42"}`, nil, nil), nil, ""},
		"unknown algorithm": {encode(t, `{"alg":"XS256"}`, `{"sub":"42"}`, nil, nil) + "AAAA", ErrInvalid, "unknown algorithm"},
		"none":              {encode(t, `{"alg":"none"}`, `{"sub":"42"}`, nil, nil), ErrInvalid, "never accepted"},
		"expired all same":  {encode(t, `{"alg":"HS256"}`, claims, nil, nil), ErrExpired, ""},
		"claims all same":   {encode(t, `{"alg":"HS256"}`, `{"sub":42}`, nil, nil), ErrInvalid, "claim sub"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := v.Connect(test.token, now)
			check(t, err, test.want, test.reason)
			if err == nil && c.User != "42" {
				t.Errorf("user %q", c.User)
			}
		})
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	tests := map[string]config.Token{
		"client.token.audience_regex":           {AudienceRegex: "("},
		"client.token.issuer_regex":             {IssuerRegex: strings.Repeat("a", RegexBytesMax+1)},
		"client.token.hmac_secret_key":          {HMACSecretKey: "-----BEGIN PUBLIC KEY-----\nMIIB"},
		"client.token.rsa_public_key":           {RSAPublicKey: "x"},
		"client.token.ecdsa_public_key":         {ECDSAPublicKey: "x"},
		"client.token.jwks_public_endpoint":     {JWKSPublicEndpoint: "x"},
		"client.token.hmac_previous_secret_key": {HMACPreviousSecretKey: "\n-----BEGIN PUBLIC KEY-----\nMIIB"},
	}
	for _, option := range slices.Sorted(maps.Keys(tests)) {
		if _, err := NewVerifier("client.token", tests[option], false); err == nil || !strings.HasPrefix(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
}

func TestNewVerifiers(t *testing.T) {
	cfg := &config.Config{}
	cfg.Client.Token.HMACSecretKey = "one"
	cfg.Client.SubscriptionToken.HMACSecretKey = "two"
	a, b, err := NewVerifiers(cfg)
	if err != nil || a != b {
		t.Fatalf("one block: %p %p %v", a, b, err)
	}
	cfg.Client.SubscriptionToken.Enabled = true
	a, b, err = NewVerifiers(cfg)
	if err != nil || a == b {
		t.Fatalf("two blocks: %p %p %v", a, b, err)
	}
	token := encode(t, `{"alg":"HS256"}`, `{"sub":"42","channel":"news"}`, jwt.SigningMethodHS256, []byte("two"))
	if _, err := b.Subscribe(token, now); err != nil {
		t.Error(err)
	}
	_, err = a.Subscribe(token, now)
	check(t, err, ErrInvalid, "client.token.hmac_secret_key")
	cfg.Client.SubscriptionToken.IssuerRegex = "("
	if _, _, err := NewVerifiers(cfg); err == nil {
		t.Error("a bad subscription block passed")
	}
}

func TestMint(t *testing.T) {
	c := config.Token{HMACSecretKey: secret, Audience: "edge", Issuer: "app", UserIDClaim: "uid"}
	v := verifier(t, c, false)
	token, err := MintConnection(c, "42", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := v.Connect(token, now)
	if err != nil || claims.User != "42" || claims.ExpireAt != now.Unix()+3600 {
		t.Errorf("connection token: %+v, %v", claims, err)
	}
	if payload, err := Payload(token); err != nil || string(payload) !=
		`{"aud":"edge","exp":1700003600,"iat":1700000000,"iss":"app","sub":"42","uid":"42"}` {
		t.Errorf("payload %s, %v", payload, err)
	}
	if token, err = MintSubscription(c, "42", "chat:room", now, -1); err != nil {
		t.Fatal(err)
	}
	if s, err := v.Subscribe(token, now.Add(1e6*time.Hour)); err != nil || s.User != "42" || s.Channel != "chat:room" || s.ExpireAt != 0 {
		t.Errorf("subscription token: %+v, %v", s, err)
	}
	if _, err := MintConnection(config.Token{}, "42", now, time.Hour); !errors.Is(err, ErrNoSecret) {
		t.Errorf("without a secret: %v", err)
	}
	c.JWKSPublicEndpoint = "https://x"
	if _, err := MintConnection(c, "42", now, time.Hour); !errors.Is(err, ErrSecretUnused) {
		t.Errorf("beside a JWKS: %v", err)
	}
	for _, bad := range []string{"", "a.b", "a.!.c"} {
		if _, err := Payload(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("Payload(%q): %v", bad, err)
		}
	}
}
