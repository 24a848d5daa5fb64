package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

// pair is a key pair and how it signs.
type pair struct {
	method  jwt.SigningMethod
	private crypto.Signer
}

// pairs has one pair, made once, for each algorithm of key pairs.
var pairs = sync.OnceValue(func() map[string]pair {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	curved := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		return must(k, err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	must(r, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	return map[string]pair{
		"RS256": {jwt.SigningMethodRS256, r},
		"RS384": {jwt.SigningMethodRS384, r},
		"RS512": {jwt.SigningMethodRS512, r},
		"ES256": {jwt.SigningMethodES256, curved(elliptic.P256())},
		"ES384": {jwt.SigningMethodES384, curved(elliptic.P384())},
		"ES512": {jwt.SigningMethodES512, curved(elliptic.P521())},
		"EdDSA": {jwt.SigningMethodEdDSA, must(edwards, err)},
	}
})

// publicPEM returns the public key of a pair as the configuration has it.
func publicPEM(t testing.TB, p pair) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(p.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// signWith signs claims with a pair. The header has its algorithm, and a kid if there is one.
func signWith(t testing.TB, p pair, kid, claims string) string {
	t.Helper()
	header := fmt.Sprintf(`{"alg":%q}`, p.method.Alg())
	if kid != "" {
		header = fmt.Sprintf(`{"alg":%q,"kid":%q}`, p.method.Alg(), kid)
	}
	return encode(t, header, claims, p.method, p.private)
}

// jwk returns the public key of a pair as a JWKS has it; set replaces members, or removes them if nil.
func jwk(t testing.TB, p pair, kid string, set map[string]any) map[string]any {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	m := map[string]any{"kid": kid, "use": "sig"}
	switch k := p.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	for name, v := range set {
		if m[name] = v; v == nil {
			delete(m, name)
		}
	}
	return m
}

// jwks returns a document of keys.
func jwks(t testing.TB, keys ...map[string]any) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeyPairs(t *testing.T) {
	const claims = `{"sub":"42"}`
	all := pairs()
	blocks := map[string]config.Token{ // with the key for the algorithm, and an HMAC secret beside it
		"RS256": {RSAPublicKey: publicPEM(t, all["RS256"])},
		"ES256": {ECDSAPublicKey: publicPEM(t, all["ES256"])},
		"ES384": {ECDSAPublicKey: publicPEM(t, all["ES384"])},
		"ES512": {ECDSAPublicKey: publicPEM(t, all["ES512"])},
	}
	works := map[string]string{"RS256": "RS256 RS384 RS512", "ES256": "ES256", "ES384": "ES384", "ES512": "ES512"}
	for name, block := range blocks {
		block.HMACSecretKey = secret
		v := verifier(t, block, false)
		for alg, p := range all {
			token := signWith(t, p, "", claims)
			for range 2 { // the second time from memory
				c, err := v.Connect(token, now)
				if strings.Contains(works[name], alg) {
					if err != nil || c.User != "42" {
						t.Errorf("%s with the key for %s: %+v, %v", alg, name, c, err)
					}
					continue
				}
				check(t, err, ErrInvalid, "no key for "+alg)
			}
		}
		if _, err := v.Connect(hs256(t, claims), now); err != nil {
			t.Errorf("HS256 beside %s: %v", name, err)
		}
	}
}

// TestConfusion signs with what everybody has, or with a key of another kind.
func TestConfusion(t *testing.T) {
	const claims = `{"sub":"42"}`
	all := pairs()
	rsaBlock := config.Token{RSAPublicKey: publicPEM(t, all["RS256"])}
	ecBlock := config.Token{ECDSAPublicKey: publicPEM(t, all["ES256"])}
	both := config.Token{HMACSecretKey: secret, RSAPublicKey: rsaBlock.RSAPublicKey, ECDSAPublicKey: ecBlock.ECDSAPublicKey}
	der, _ := pem.Decode([]byte(rsaBlock.RSAPublicKey))
	hmac := func(key string) string {
		return encode(t, `{"alg":"HS256"}`, claims, jwt.SigningMethodHS256, []byte(key))
	}
	signedBy := func(p pair, alg string) string { return encode(t, `{"alg":"`+alg+`"}`, claims, p.method, p.private) }
	raw := func(alg string, signature []byte) string {
		return encode(t, `{"alg":"`+alg+`"}`, claims, nil, nil) + base64.RawURLEncoding.EncodeToString(signature)
	}
	otherEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	order := elliptic.P256().Params().N
	withR := func(r *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), order.FillBytes(make([]byte, 32))...)
	}
	good := signWith(t, all["ES256"], "", claims)
	head, rest, _ := strings.Cut(good, ".")
	_, sig, _ := strings.Cut(rest, ".")
	sigBytes, _ := base64.RawURLEncoding.DecodeString(sig)

	tests := []struct {
		name   string
		config config.Token
		token  string
		reason string
	}{
		{"HS256 with the RSA public key", rsaBlock, hmac(rsaBlock.RSAPublicKey), "no key for HS256"},
		{"HS256 with its DER", rsaBlock, hmac(string(der.Bytes)), "no key for HS256"},
		{"HS256 with the RSA public key beside a secret", both, hmac(rsaBlock.RSAPublicKey), "does not match"},
		{"HS256 with an empty key", both, hmac(""), "does not match"},
		{"RS256 header, HMAC signature", both, encode(t, `{"alg":"RS256"}`, claims, jwt.SigningMethodHS256, []byte(secret)), "rsa_public_key"},
		{"HS256 header, RSA signature", both, signedBy(all["RS256"], "HS256"), "hmac_secret_key"},
		{"RS512 header on RS256", both, signedBy(all["RS256"], "RS512"), "does not match"},
		{"PS256", both, signedBy(all["RS256"], "PS256"), "unknown algorithm"},
		{"ES256K", both, signedBy(all["ES256"], "ES256K"), "unknown algorithm"},
		{"ES256 without a key", rsaBlock, good, "no key for ES256: set client.token.ecdsa_public_key"},
		{"RS256 without a key", ecBlock, signWith(t, all["RS256"], "", claims), "no key for RS256: set client.token.rsa_public_key"},
		{"EdDSA has no static key", both, signWith(t, all["EdDSA"], "", claims), "no key for EdDSA: set client.token.jwks_public_endpoint"},
		{"EdDSA with the HMAC secret", both, encode(t, `{"alg":"EdDSA"}`, claims, jwt.SigningMethodHS256, []byte(secret)), "no key for EdDSA"},
		{"ES384 header with the P-256 key", ecBlock, signedBy(all["ES256"], "ES384"), "no key for ES384"},
		{"ES256 header on ES384", both, signedBy(all["ES384"], "ES256"), "does not match"},
		{"another P-256 key", ecBlock, signWith(t, pair{jwt.SigningMethodES256, otherEC}, "", claims), "private key that belongs to client.token.ecdsa_public_key"},
		{"r = s = 0", ecBlock, raw("ES256", make([]byte, 64)), "does not match"},
		{"r = 0, s = n", ecBlock, raw("ES256", withR(new(big.Int))), "does not match"},
		{"r = s = n", ecBlock, raw("ES256", withR(order)), "does not match"},
		{"ES256 in DER", ecBlock, raw("ES256", append([]byte{0x30, 0x44, 2, 0x20}, sigBytes...)), "does not match"},
		{"ES256 with a byte more", ecBlock, raw("ES256", append(sigBytes[:64:64], 0)), "does not match"},
		{"ES256 without a signature", ecBlock, raw("ES256", nil), "does not match"},
		{"RS256 of zeros", rsaBlock, raw("RS256", make([]byte, 256)), "does not match"},
		{"RS256 without a signature", rsaBlock, raw("RS256", nil), "does not match"},
		{"RS256 longer than the key", rsaBlock, raw("RS256", make([]byte, 512)), "does not match"},
		{"none", both, raw("none", nil), "never accepted"},
		{"NONE with a signature", both, raw("NONE", sigBytes), "never accepted"},
		{"noNe", ecBlock, raw("noNe", nil), "never accepted"},
		{"other claims", ecBlock, head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"43"}`)) + "." + sig, "does not match"},
		{"the key in the header", ecBlock, encode(t, `{"alg":"ES256","jwk":`+jwkText(t, pair{nil, otherEC})+`,"jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/"}`, claims,
			jwt.SigningMethodES256, otherEC), "does not match"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := verifier(t, test.config, false)
			for range 2 { // what was wrong is not remembered as right
				_, err := v.Connect(test.token, now)
				check(t, err, ErrInvalid, test.reason)
			}
		})
	}
}

func jwkText(t testing.TB, p pair) string {
	b, err := json.Marshal(jwk(t, p, "x", nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
