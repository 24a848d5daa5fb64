package auth

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/server/config"
)

var (
	// ErrNoSecret: there is no secret to sign a token with. Public keys verify only.
	ErrNoSecret = errors.New("no hmac_secret_key in the token block of the configuration: set one to sign tokens")
	// ErrSecretUnused: a token that is signed with the secret would not be valid.
	ErrSecretUnused = errors.New("the token block of the configuration has jwks_public_endpoint, beside which hmac_secret_key does not count: " +
		"sign tokens where the private keys are")
)

// MintConnection signs a connection token for user with HS256 and the secret of c. It ends after ttl; a negative ttl never
// ends. Audience, issuer and the claim for the user are those that c asks for.
func MintConnection(c config.Token, user string, now time.Time, ttl time.Duration) (string, error) {
	return mint(c, jwt.MapClaims{}, user, now, ttl)
}

// MintSubscription signs a subscription token for user and channel in the same way.
func MintSubscription(c config.Token, user, channel string, now time.Time, ttl time.Duration) (string, error) {
	return mint(c, jwt.MapClaims{"channel": channel}, user, now, ttl)
}

func mint(c config.Token, claims jwt.MapClaims, user string, now time.Time, ttl time.Duration) (string, error) {
	switch {
	case c.JWKSPublicEndpoint != "":
		return "", ErrSecretUnused
	case c.HMACSecretKey == "":
		return "", ErrNoSecret
	}
	claims["sub"], claims["iat"] = user, now.Unix()
	if ttl >= 0 {
		claims["exp"] = now.Add(ttl).Unix()
	}
	if c.Audience != "" {
		claims["aud"] = c.Audience
	}
	if c.Issuer != "" {
		claims["iss"] = c.Issuer
	}
	if c.UserIDClaim != "" {
		claims[c.UserIDClaim] = user
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(c.HMACSecretKey))
}
