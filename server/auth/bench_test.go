package auth

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

// libraryClaims is what golang-jwt's parser needs to read the claims of a connection token.
type libraryClaims struct {
	ExpireAt *int64 `json:"expire_at"`
	Info     any    `json:"info"`
	Channel  string `json:"channel"`
	jwt.RegisteredClaims
}

func BenchmarkConnect(b *testing.B) {
	c := config.Token{HMACSecretKey: "a secret of thirty-two bytes 1234"}
	now := time.Now()
	token, err := MintConnection(c, "user-1234567", now, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		v, err := NewVerifier("client.token", c, false)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Connect(token, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("golang-jwt", func(b *testing.B) {
		p := jwt.NewParser(jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}))
		key := func(*jwt.Token) (any, error) { return []byte(c.HMACSecretKey), nil }
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.ParseWithClaims(token, &libraryClaims{}, key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("signature", func(b *testing.B) {
		p, _ := split(token)
		signature, _ := base64url.DecodeString(p.signature)
		var key any = []byte(c.HMACSecretKey)
		b.ReportAllocs()
		for b.Loop() {
			if err := jwt.SigningMethodHS256.Verify(p.signed, signature, key); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAlgorithms is what a connect costs with each algorithm: the first time, and when the same token comes again.
func BenchmarkAlgorithms(b *testing.B) {
	all := pairs()
	for _, alg := range []string{"HS256", "RS256", "ES256", "ES384", "ES512", "EdDSA"} {
		v := verifier(b, config.Token{HMACSecretKey: secret}, false)
		token := hs256(b, `{"sub":"user-1234567","exp":1800000000}`)
		if p, ok := all[alg]; ok {
			token = signWith(b, p, "", `{"sub":"user-1234567","exp":1800000000}`)
			v.keys.add(newKey(p.private.Public(), "", 0))
		}
		connect := func(b *testing.B) {
			if _, err := v.Connect(token, now); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(alg+"/first", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.memo = newMemo() // 3 KB, less than a microsecond
				connect(b)
			}
		})
		b.Run(alg+"/again", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				connect(b)
			}
		})
	}
}
