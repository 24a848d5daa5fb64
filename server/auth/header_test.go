package auth

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

// The header of a token that was good is remembered, and changes nothing about those that come after it, whatever theirs is.
func TestKnownHeader(t *testing.T) {
	v := verifier(t, config.Token{HMACSecretKey: secret}, false)
	known := func() string {
		if h := v.header.Load(); h != nil {
			return h.text
		}
		return ""
	}
	token := func(header string, method jwt.SigningMethod, key string) string {
		return encode(t, header, `{"sub":"42"}`, method, []byte(key))
	}
	const short, long = `{"alg":"HS256"}`, `{"alg":"HS512","kid":"7"}`
	for _, c := range []struct {
		name, token string
		want        error
		reason      string
		kept        bool
	}{
		{"a stranger's", token(short, jwt.SigningMethodHS256, "another secret"), ErrInvalid, "signature does not match", false},
		{"good", token(short, jwt.SigningMethodHS256, secret), nil, "", true},
		{"good again", token(short, jwt.SigningMethodHS256, secret), nil, "", true},
		{"a stranger's with the known header", token(short, jwt.SigningMethodHS256, "another secret"), ErrInvalid, "signature does not match", true},
		{"another algorithm than the known header says", token(short, jwt.SigningMethodHS512, secret), ErrInvalid, "signature does not match", true},
		{"a stranger's of another algorithm", token(long, jwt.SigningMethodHS512, "another secret"), ErrInvalid, "signature does not match", false},
		{"another good one", token(long, jwt.SigningMethodHS512, secret), nil, "", true},
		{"unsigned", token(`{"alg":"none"}`, nil, ""), ErrInvalid, whyNone, false},
		{"good after all that", token(short, jwt.SigningMethodHS256, secret), nil, "", true},
	} {
		_, err := v.Connect(c.token, now)
		check(t, err, c.want, c.reason)
		if p, _ := split(c.token); (known() == p.header) != c.kept {
			t.Errorf("%s: the known header is %q", c.name, known())
		}
	}
	blind := verifier(t, config.Token{HMACSecretKey: secret}, true)
	if _, err := blind.Connect(token(short, jwt.SigningMethodHS256, "another secret"), now); err != nil || blind.header.Load() != nil {
		t.Errorf("a signature that nobody looked at: %v, known: %v", err, blind.header.Load() != nil)
	}
}
