package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

// forge puts a token together from its texts. A nil method leaves the signature empty.
func forge(t *testing.T, header, claims string, method jwt.SigningMethod, key any) string {
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

// publicPEM is a public key as the configuration has it.
func publicPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// tokenKeys are those of a house with keys of all kinds.
type tokenKeys struct {
	rsa          *rsa.PrivateKey
	ecdsa, other *ecdsa.PrivateKey // the second is of a stranger, on another curve
}

func newTokenKeys(t *testing.T) (k tokenKeys) {
	t.Helper()
	var err error
	for _, make := range []func() error{
		func() error { k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); return err },
		func() error { k.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return err },
		func() error { k.other, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); return err },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// forgery is a token and what a connect command with it comes to: 0, an error code or a close code.
type forgery struct {
	name, token string
	code        uint32
}

// forgeries are tokens for user 42 of a house that has these keys and the common secret.
func forgeries(t *testing.T, k tokenKeys) (all []forgery) {
	secret, hs := []byte(tokenSecret), jwt.SigningMethodHS256
	add := func(name string, code uint32, header, claims string, method jwt.SigningMethod, key any) {
		all = append(all, forgery{name, forge(t, header, claims, method, key), code})
	}
	const user = `{"sub":"42"}`
	rsaPublic, curvePublic := publicPEM(t, &k.rsa.PublicKey), publicPEM(t, &k.ecdsa.PublicKey)

	add("HS256", 0, `{"alg":"HS256"}`, user, hs, secret)
	add("RS256", 0, `{"alg":"RS256"}`, user, jwt.SigningMethodRS256, k.rsa)
	add("ES256", 0, `{"alg":"ES256"}`, user, jwt.SigningMethodES256, k.ecdsa)

	for _, none := range []string{"none", "None", "NONE", "nOnE", " none", "none ", "", "null"} {
		add("alg "+none, 3500, fmt.Sprintf(`{"alg":%q}`, none), user, nil, nil)
		add("alg "+none+", signed", 3500, fmt.Sprintf(`{"alg":%q}`, none), user, hs, secret)
	}
	add("alg null", 3500, `{"alg":null}`, user, nil, nil)
	add("no alg", 3500, `{}`, user, hs, secret)
	add("two algs", 3500, `{"alg":"HS256","alg":"none"}`, user, hs, secret)
	add("alg of a list", 3500, `{"alg":["HS256"]}`, user, hs, secret)
	add("hs256", 3500, `{"alg":"hs256"}`, user, hs, secret)
	for name, key := range map[string]string{"RSA": rsaPublic, "ECDSA": curvePublic} {
		for _, key := range []string{key, strings.TrimSpace(key), strings.ReplaceAll(key, "\n", "\r\n"), ""} {
			add(fmt.Sprintf("HS256 with the public key of %s, %d bytes", name, len(key)), 3500, `{"alg":"HS256"}`, user, hs, []byte(key))
		}
	}
	add("RS256 with an HMAC of the public key", 3500, `{"alg":"RS256"}`, user, hs, []byte(rsaPublic))
	add("RS256 with an HMAC of the secret", 3500, `{"alg":"RS256"}`, user, hs, secret)
	add("HS256 with a signature of RSA", 3500, `{"alg":"HS256"}`, user, jwt.SigningMethodRS256, k.rsa)
	add("PS256", 3500, `{"alg":"PS256"}`, user, jwt.SigningMethodPS256, k.rsa)
	add("ES256 on another curve", 3500, `{"alg":"ES256"}`, user, jwt.SigningMethodES384, k.other)
	add("ES384", 3500, `{"alg":"ES384"}`, user, jwt.SigningMethodES384, k.other)
	add("EdDSA", 3500, `{"alg":"EdDSA"}`, user, hs, secret)
	zeros := base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	all = append(all, forgery{"ES256 of zeros", forge(t, `{"alg":"ES256"}`, user, nil, nil) + zeros, 3500})

	for name, header := range map[string]string{
		"kid of a path": `"kid":"../../../../dev/null"`, "kid of SQL": `"kid":"x' UNION SELECT 'key' -- "`, "jku": `"jku":"http://127.0.0.1:1/keys"`,
		"x5u": `"x5u":"http://127.0.0.1:1/cert"`, "jwk": `"jwk":{"kty":"oct","k":"AA"}`, "x5c": `"x5c":["AA"]`,
	} {
		add(name, 0, `{"alg":"HS256",`+header+`}`, user, hs, secret)
		add(name+" and another key", 3500, `{"alg":"HS256",`+header+`}`, user, hs, []byte{0})
	}
	for name, header := range map[string]string{"crit": `"crit":["exp"]`, "b64": `"b64":false`, "JWE": `"enc":"A128GCM"`, "zip": `"zip":"DEF"`} {
		add(name, 3500, `{"alg":"HS256",`+header+`}`, user, hs, secret)
	}
	return append(all, claimForgeries(t)...)
}

// claimForgeries are tokens whose signature is right and whose claims are odd.
func claimForgeries(t *testing.T) (all []forgery) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	now := time.Now().Unix()
	for _, test := range []struct {
		claims string
		code   uint32
	}{
		{`{"sub":"42","exp":1e309}`, 3500},
		{`{"sub":"42","exp":-1e309}`, 3500},
		{`{"sub":"42","exp":1e308}`, 0},
		{`{"sub":"42","exp":9223372036854775808}`, 0},
		{`{"sub":"42","exp":1e-400}`, 109},
		{`{"sub":"42","exp":0}`, 109},
		{`{"sub":"42","exp":-0}`, 109},
		{`{"sub":"42","exp":-1}`, 109},
		{fmt.Sprintf(`{"sub":"42","exp":%d}`, now-1), 109},
		{fmt.Sprintf(`{"sub":"42","exp":%d.5}`, now+600), 0},
		{fmt.Sprintf(`{"sub":"42","exp":"%d"}`, now+600), 0}, // as the libraries of issuers write it
		{`{"sub":"42","exp":"never"}`, 3500},
		{`{"sub":"42","exp":""}`, 3500},
		{`{"sub":"42","exp":true}`, 3500},
		{`{"sub":"42","exp":[9999999999]}`, 3500},
		{`{"sub":"42","exp":NaN}`, 3500},
		{`{"sub":"42","exp":0x7fffffff}`, 3500},
		{`{"sub":"42","exp":null}`, 0},
		{`{"sub":"42","EXP":0}`, 0}, // another claim
		{`{"sub":"42","exp":1,"exp":9999999999}`, 3500},
		{`{"sub":"7","sub":"42"}`, 3500},
		{`{"sub":"7","s\u0075b":"42"}`, 3500},
		{`{"sub":"42","nbf":9999999999}`, 109},
		{`{"sub":"42","nbf":1e309}`, 3500},
		{`{"sub":"42","nbf":-1}`, 0},
		{`{"sub":"42","iat":1e309}`, 0}, // nobody asks when it was made
		{`{"sub":"42","expire_at":1e309}`, 3500},
		{`{"sub":"42","expire_at":1}`, 110},
		{`{"sub":"42","expire_at":-9223372036854775808}`, 0},
		{`{"sub":"42","expire_at":9223372036854775808}`, 3500},
		{`{"sub":42}`, 3500},
		{`{"sub":["42"]}`, 3500},
		{`{"sub":"42","channel":"x"}`, 3500},
		{`{"sub":"42","channels":["no:x"]}`, 102},
		{`{"sub":"42","channels":"x"}`, 3500},
		{`{"sub":"42","channels":[1]}`, 3500},
		{`{"sub":"42","channels":[null]}`, 3500},
		{`{"sub":"42","channels":[""]}`, 107},
		{`{"sub":"42","channels":[` + members(129, `"c%d"`) + `]}`, 3505},
		{`{"sub":"42","channels":[` + members(5000, `"c%d"`) + `]}`, 3505},
		{`{"sub":"42","subs":[]}`, 3500},
		{`{"sub":"42","subs":{"x":1}}`, 3500},
		{`{"sub":"42","b64info":"!"}`, 3500},
		{`{"sub":"42","info":` + deep(60) + `}`, 0},
		{`{"sub":"42","info":` + deep(64) + `}`, 3500},
		{`{"sub":"42","info":` + deep(20_000) + `}`, 3500},
		{`{"sub":"42","x":` + strings.Repeat(`{"a":`, 5_000) + "1" + strings.Repeat("}", 5_000) + `}`, 3500},
		{`{"sub":"42","aud":` + deep(30) + `}`, 0}, // nobody asks whom it is for
		{`["sub","42"]`, 3500},
		{`"42"`, 3500},
		{`null`, 3500},
		{``, 3500},
		{`{"sub":"42"`, 3500},
		{`{"sub":"42"}{"sub":"7"}`, 3500},
		{"\xef\xbb\xbf" + `{"sub":"42"}`, 3500},
		{"{\"sub\":\"4\xff2\"}", 3500},
		{"{\"sub\":\"4\x002\"}", 3500},
	} {
		all = append(all, forgery{"claims " + test.claims, forge(t, `{"alg":"HS256"}`, test.claims, jwt.SigningMethodHS256, []byte(tokenSecret)), test.code})
	}
	return all
}

// TestForgedTokens is group 23, through the whole server; the tables of the verifier itself are in server/auth.
func TestForgedTokens(t *testing.T) {
	k := newTokenKeys(t)
	s := attack(t, guarded(t, func(cfg *config.Config) {
		cfg.WebSocket.MessageSizeLimit = 4 << 20
		cfg.Client.Token.RSAPublicKey, cfg.Client.Token.ECDSAPublicKey = publicPEM(t, &k.rsa.PublicKey), publicPEM(t, &k.ecdsa.PublicKey)
	}))
	good := sign(t, jwt.MapClaims{"sub": "42"})
	all := append(forgeries(t, k),
		forgery{"1 MB", good + strings.Repeat("A", 1<<20), 3500},
		forgery{"1,000,000 dots", strings.Repeat(".", 1_000_000), 3500},
		forgery{"1,000,000 parts", strings.Repeat("e30.", 1_000_000), 3500},
		forgery{"claims of 1 MB", sign(t, jwt.MapClaims{"sub": "42", "x": strings.Repeat("x", 1<<20)}), 3500},
		forgery{"header of 1 MB", forge(t, `{"alg":"HS256","x":"`+strings.Repeat("x", 1<<20)+`"}`, `{"sub":"42"}`, jwt.SigningMethodHS256, []byte(tokenSecret)), 3500},
		forgery{"two parts", good[:strings.LastIndexByte(good, '.')], 3500},
		forgery{"three empty parts", "..", 3500},
		forgery{"five parts", good + ".." + "x", 3500},
		forgery{"padding", good + "=", 3500},
		forgery{"space in front", " " + good, 3500},
		forgery{"Bearer", "Bearer " + good, 3500},
		forgery{"cut off", good[:len(good)-1], 3500},
		forgery{"one bit of the claims", good[:25] + string(good[25]^1) + good[26:], 3500},
	)
	for i, test := range all {
		form := codec.Form(i % codec.NumForms)
		s.row(fmt.Sprintf("%v/%.60s", form, test.name), func(t *testing.T) {
			c := upgraded(t, s.house, form)
			code, reply := c.fate(connectWith(test.token))
			if code != test.code {
				t.Fatalf("answered with %d, want %d", code, test.code)
			}
			if code == 0 && reply.Connect.Client == "" {
				t.Errorf("connected as nobody: %+v", reply.Connect)
			}
		})
	}
	// A subscription token that is bad is a missing permission, not the end; one that belongs to somebody else is.
	for i, test := range all {
		if strings.HasPrefix(test.name, "claims ") || test.code != 3500 {
			continue
		}
		form := codec.Form(i % codec.NumForms)
		s.row(fmt.Sprintf("%v/subscribe/%.60s", form, test.name), func(t *testing.T) {
			c := as42(t, s.house, form, jwt.MapClaims{})
			if code, _ := c.fate(subscribeTo(codec.SubscribeRequest{Channel: "x", Token: test.token})); code != 103 {
				t.Errorf("answered with %d, want 103", code)
			}
		})
	}
}

// TestPublicKeyOnly is the row of group 23 that has made servers famous: with a public key and no secret, nothing that is signed with
// the public key as a secret gets in.
func TestPublicKeyOnly(t *testing.T) {
	k := newTokenKeys(t)
	h := guarded(t, func(cfg *config.Config) {
		cfg.Client.Token = config.Token{RSAPublicKey: publicPEM(t, &k.rsa.PublicKey)}
	})
	h.token = forge(t, `{"alg":"RS256"}`, `{"sub":"witness"}`, jwt.SigningMethodRS256, k.rsa)
	s := attack(t, h)
	for _, method := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
		for _, key := range [][]byte{[]byte(publicPEM(t, &k.rsa.PublicKey)), k.rsa.N.Bytes(), x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey), {}, []byte(tokenSecret)} {
			s.row(fmt.Sprintf("%s with %d bytes", method.Name, len(key)), func(t *testing.T) {
				c := upgraded(t, h, codec.JSON)
				if code, _ := c.fate(connectWith(forge(t, `{"alg":"`+method.Name+`"}`, `{"sub":"42"}`, method, key))); code != 3500 {
					t.Errorf("answered with %d, want 3500", code)
				}
			})
		}
	}
}

// TestTokenBeyondMessage: with the usual limit a token of 1 MB is a message that is too large, before anybody looks at the token.
func TestTokenBeyondMessage(t *testing.T) {
	s := attack(t, common)
	c := upgraded(t, s.house, codec.JSON)
	_ = c.trySay(text(`{"id":1,"connect":{"token":"` + strings.Repeat("A.", 1<<19) + `"}}`))
	c.expectClose(1009, anyReason)
}
