package auth

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

// FuzzToken feeds whole tokens: whatever we accept, golang-jwt's own parser accepts with the same key.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{
		"", ".", "..", "a.b.c", "a.b.c.d.e", hs256(f, `{}`), hs256(f, `{"sub":"42","exp":1800000000,"aud":["x"],"info":{"a":1}}`),
		signWith(f, pairs()["RS256"], "", `{}`), signWith(f, pairs()["ES256"], "k", `{"channel":"c"}`), signWith(f, pairs()["EdDSA"], "k", `{}`),
		encode(f, `{"alg":"none"}`, `{}`, nil, nil), encode(f, `{"alg":"HS512","kid":"x"}`, `{"channel":"c"}`, jwt.SigningMethodHS512, []byte(secret)),
	} {
		f.Add(seed)
	}
	r, e := pairs()["RS256"], pairs()["ES256"]
	v := verifier(f, config.Token{HMACSecretKey: secret, RSAPublicKey: publicPEM(f, r), ECDSAPublicKey: publicPEM(f, e)}, false)
	p := jwt.NewParser(jwt.WithValidMethods([]string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256"}), jwt.WithoutClaimsValidation())
	keyOf := func(t *jwt.Token) (any, error) {
		switch t.Method.(type) {
		case *jwt.SigningMethodRSA:
			return r.private.Public(), nil
		case *jwt.SigningMethodECDSA:
			return e.private.Public(), nil
		}
		return []byte(secret), nil
	}
	remote := verifier(f, config.Token{JWKSPublicEndpoint: "http://{{t}}.invalid", IssuerRegex: "^(?P<t>.*)$", InsecureSkipJWKSEndpointSafetyCheck: true}, false)
	f.Fuzz(func(t *testing.T, token string) {
		_, err1 := v.Connect(token, now)
		_, err2 := v.Subscribe(token, now)
		for _, err := range []error{err1, err2} {
			if err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired) {
				t.Errorf("error of another kind: %v", err)
			}
		}
		if err1 == nil && err2 == nil {
			t.Error("both a connection and a subscription token")
		}
		if err1 == nil || err2 == nil {
			if _, err := p.Parse(token, keyOf); err != nil {
				t.Errorf("accepted, but golang-jwt says: %v", err)
			}
		}
		if _, err := remote.Connect(token, now); !errors.Is(err, ErrInvalid) && !IsPending(err) {
			t.Errorf("without any key: %v", err)
		}
		_, _ = Payload(token)
	})
}

// FuzzClaims feeds the text of claims, signed: what we read is what encoding/json reads.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"42"}`, `{"sub":"\u0034","x":[1,{"y":"}"}],"info":{"a":[1,2]}}`, `{"exp":1e309}`, `{"exp":"1800000000"}`,
		`{"channels":["a"],"subs":{"b":{"override":{"presence":{"value":true}}}}}`, `{"aud":"x","iss":"y","meta":{}}`,
		`{ "a" : "\\" , "sub" : null , "b64info" : "AA==" }`,
	} {
		f.Add(seed)
	}
	v := verifier(f, config.Token{HMACSecretKey: secret}, false)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := v.Connect(hs256(t, text), now)
		if err != nil {
			return
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("accepted claims that are not an object: %v", err)
		}
		var user string
		_ = json.Unmarshal(all["sub"], &user)
		if c.User != user {
			t.Errorf("user %q, encoding/json reads %q", c.User, user)
		}
		var channels []string
		_ = json.Unmarshal(all["channels"], &channels)
		if !reflect.DeepEqual(c.Channels, channels) {
			t.Errorf("channels %q, encoding/json reads %q", c.Channels, channels)
		}
		if b64 := string(all["b64info"]); (b64 == "" || b64 == "null" || b64 == `""`) && len(all["info"]) > 0 &&
			string(all["info"]) != "null" && string(c.Info) != string(all["info"]) {
			t.Errorf("info %s, encoding/json reads %s", c.Info, all["info"])
		}
	})
}

// FuzzMembers compares the walk over an object with that of encoding/json.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, ` {"a":1 , "b":[{"c":"]}"}],"d":"\"","\u0065":null} `, `{"":{}}`, `{"a":-1.5e3}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkObject([]byte(text)) != nil {
			return
		}
		d := json.NewDecoder(strings.NewReader(text))
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		o := members([]byte(text))
		for d.More() {
			name, value, ok := o.next()
			if !ok {
				t.Fatal("the walk ended early")
			}
			token, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			var want json.RawMessage
			if err := d.Decode(&want); err != nil {
				t.Fatal(err)
			}
			if string(name) != token || string(value) != string(want) {
				t.Fatalf("member %q: %s, want %q: %s", name, value, token, want)
			}
		}
		if _, _, ok := o.next(); ok {
			t.Fatal("the walk did not end")
		}
	})
}
