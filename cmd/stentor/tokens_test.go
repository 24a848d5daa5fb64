package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestCheckTokenJWKS: the tools fetch the keys that they need.
func TestCheckTokenJWKS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/one/jwks.json" {
			fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
			return
		}
		http.NotFound(w, r)
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "config.json")
	config := fmt.Sprintf(`{"client": {"token": {"jwks_public_endpoint": "%s/{{tenant}}/jwks.json", "issuer_regex": "^(?P<tenant>one|two)$"}}}`, s.URL)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		command, issuer, channel string
		says                     string // in the output, or in the error
	}{
		{"checktoken", "one", "", "valid token for user 42"},
		{"checksubtoken", "one", "chat:1", "valid subscription token for user 42 and channel chat:1"},
		{"checktoken", "two", "", s.URL + "/two/jwks.json gives no keys: it answers with status 404"},
		{"checktoken", "three", "", "issuer_regex"},
	} {
		j := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "42", "iss": test.issuer, "channel": test.channel})
		j.Header["kid"] = "k"
		token, err := j.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		c := rootCommand()
		c.SetOut(&out)
		c.SetArgs([]string{test.command, "-c", file, token})
		if err := c.Execute(); err != nil {
			fmt.Fprint(&out, err)
		}
		if !strings.Contains(out.String(), test.says) {
			t.Errorf("%s of %s: %s", test.command, test.issuer, &out)
		}
	}
}
