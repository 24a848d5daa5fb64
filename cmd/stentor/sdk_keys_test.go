package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenKeys are the keys of the backend of these tests.
type tokenKeys struct {
	rsa   *rsa.PrivateKey
	ecdsa *ecdsa.PrivateKey
	eddsa ed25519.PrivateKey
}

func newTokenKeys(t *testing.T) *tokenKeys {
	t.Helper()
	k := new(tokenKeys)
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if k.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, k.eddsa, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return k
}

// sign makes a token for user with the key of a method; claims are added. It ends in an hour unless they say otherwise.
func (k *tokenKeys) sign(t *testing.T, method jwt.SigningMethod, user string, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"sub": user, "exp": after(time.Hour)}
	maps.Copy(all, claims)
	token := jwt.NewWithClaims(method, all)
	var key any = []byte(quickStartSecret)
	switch method {
	case jwt.SigningMethodRS256:
		key = k.rsa
	case jwt.SigningMethodES256:
		key = k.ecdsa
	case jwt.SigningMethodEdDSA:
		key, token.Header["kid"] = k.eddsa, jwksKeyID
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const jwksKeyID = "key-1"

// jwks serves the EdDSA key and returns its address.
func (k *tokenKeys) jwks(t *testing.T) string {
	public := k.eddsa.Public().(ed25519.PublicKey)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":%q,"x":%q}]}`,
			jwksKeyID, base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// publicPEM is how a configuration names a key.
func publicPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// privatePEM is how a key is handed to the scripts.
func privatePEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
