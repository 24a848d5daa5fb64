package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"stentor/server/config"
)

// RegexBytesMax is the longest audience_regex and issuer_regex.
const RegexBytesMax = 1024

// Verifier verifies tokens by one token block of the configuration. Immutable; see [NewVerifiers].
type Verifier struct {
	path          string // of the block, for reasons that name an option
	keys          keySet
	skipSignature bool

	audience      string
	audienceRegex *regexp.Regexp
	issuer        string
	issuerRegex   *regexp.Regexp
	userClaim     string
}

// NewVerifiers returns the verifier of connection tokens and that of subscription tokens, which is the same unless
// client.subscription_token is enabled.
func NewVerifiers(cfg *config.Config) (connection, subscription *Verifier, err error) {
	skip := cfg.Client.InsecureSkipTokenSignatureVerify
	connection, err = NewVerifier("client.token", cfg.Client.Token, skip)
	if err != nil || !cfg.Client.SubscriptionToken.Enabled {
		return connection, connection, err
	}
	subscription, err = NewVerifier("client.subscription_token", cfg.Client.SubscriptionToken.Token, skip)
	return connection, subscription, err
}

// NewVerifier builds a verifier from the token block that stands at path. skipSignature accepts any signature
// (client.insecure_skip_token_signature_verify). An error names the option and what is wrong with it.
func NewVerifier(path string, c config.Token, skipSignature bool) (*Verifier, error) {
	v := &Verifier{
		path:          path,
		skipSignature: skipSignature,
		audience:      c.Audience,
		issuer:        c.Issuer,
		userClaim:     c.UserIDClaim,
	}
	if v.userClaim == "" {
		v.userClaim = "sub"
	}
	var err error
	if v.keys, err = newKeySet(path, &c); err != nil {
		return nil, err
	}
	if v.audienceRegex, err = compile(path+".audience_regex", c.AudienceRegex); err != nil {
		return nil, err
	}
	if v.issuerRegex, err = compile(path+".issuer_regex", c.IssuerRegex); err != nil {
		return nil, err
	}
	return v, nil
}

// compile returns nil for an empty pattern.
func compile(path, pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	if len(pattern) > RegexBytesMax {
		return nil, fmt.Errorf("%s: %d bytes are more than %d", path, len(pattern), RegexBytesMax)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return re, nil
}

// Connect verifies a connection token. Errors are [ErrExpired] and [ErrInvalid], with the reason in their text.
func (v *Verifier) Connect(token string, now time.Time) (ConnectClaims, error) {
	c, err := v.verify(token, now)
	if err != nil {
		return ConnectClaims{}, err
	}
	if c.channel != "" {
		return ConnectClaims{}, invalid("it has a claim channel: this is a subscription token")
	}
	if err := c.checkTime(now); err != nil {
		return ConnectClaims{}, err
	}
	r := ConnectClaims{ExpireAt: c.expiry(), Meta: slices.Clone(c.meta)}
	if r.User, err = c.userID(v.userClaim); err != nil {
		return ConnectClaims{}, err
	}
	if r.Info, err = raw("info", c.info, c.b64info); err != nil {
		return ConnectClaims{}, err
	}
	if r.Channels, err = readChannels(c.channels); err != nil {
		return ConnectClaims{}, err
	}
	if r.Subs, err = readSubs(c.subs); err != nil {
		return ConnectClaims{}, err
	}
	return r, nil
}

// readChannels reads the claim channels; nil without one.
func readChannels(b []byte) ([]string, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var list []string
	if json.Unmarshal(b, &list) != nil {
		return nil, invalid("the claim channels is not a list of strings")
	}
	return list, nil
}

// readSubs reads the claim subs; nil without one.
func readSubs(b []byte) (map[string]SubscribeOptions, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var texts map[string]jsonOptions
	if err := json.Unmarshal(b, &texts); err != nil {
		return nil, invalid("the claim subs is not an object of channels with their options")
	}
	subs := make(map[string]SubscribeOptions, len(texts))
	for channel, t := range texts {
		s := SubscribeOptions{Override: Override(t.Override)}
		var err error
		if s.Info, err = raw("info", absent(t.Info), t.B64Info); err != nil {
			return nil, err
		}
		if s.Data, err = raw("data", absent(t.Data), t.B64Data); err != nil {
			return nil, err
		}
		subs[channel] = s
	}
	return subs, nil
}

// absent turns null into nothing, as it is for claims.
func absent(value json.RawMessage) json.RawMessage {
	if string(value) == "null" {
		return nil
	}
	return value
}

// Subscribe verifies a subscription token. Whether it is for the channel and the client at hand is for the caller to see.
// Errors are [ErrExpired] and [ErrInvalid], with the reason in their text.
func (v *Verifier) Subscribe(token string, now time.Time) (SubscribeClaims, error) {
	c, err := v.verify(token, now)
	if err != nil {
		return SubscribeClaims{}, err
	}
	if err := c.checkTime(now); err != nil {
		return SubscribeClaims{}, err
	}
	if c.channel == "" {
		return SubscribeClaims{}, invalid("it has no claim channel: this is a connection token")
	}
	r := SubscribeClaims{Channel: c.channel, Client: c.client, ExpireAt: c.expiry()}
	if r.User, err = c.userID(v.userClaim); err != nil {
		return SubscribeClaims{}, err
	}
	if r.Info, err = raw("info", c.info, c.b64info); err != nil {
		return SubscribeClaims{}, err
	}
	if r.Data, err = raw("data", c.data, c.b64data); err != nil {
		return SubscribeClaims{}, err
	}
	if r.Override, err = readOverride(c.override); err != nil {
		return SubscribeClaims{}, err
	}
	return r, nil
}

// readOverride reads the claim override; all unset without one.
func readOverride(b []byte) (Override, error) {
	if len(b) == 0 {
		return Override{}, nil
	}
	var o jsonOverride
	if json.Unmarshal(b, &o) != nil {
		return Override{}, invalid(`the claim override is not an object of options with {"value":…}`)
	}
	return Override(o), nil
}

// verify returns the claims of a token whose signature, audience and issuer are right; time is left to the caller. The
// claims alias a buffer of their own.
func (v *Verifier) verify(token string, now time.Time) (claims, error) {
	p, err := split(token)
	if err != nil {
		return claims{}, err
	}
	// One buffer for everything: header and signature are done with when the claims come.
	buffer := make([]byte, 0, base64url.DecodedLen(max(len(p.header), len(p.claims), len(p.signature))))
	header, err := base64url.AppendDecode(buffer, []byte(p.header))
	if err != nil {
		return claims{}, invalid("its header is not base64url")
	}
	alg, err := readHeader(header)
	if err != nil {
		return claims{}, err
	}
	signature, err := base64url.AppendDecode(buffer, []byte(p.signature))
	if err != nil {
		return claims{}, invalid("its signature is not base64url")
	}
	if !v.skipSignature {
		err = v.keys.verify(alg, p.signed, signature, now)
	} else if isNone(alg) {
		err = invalid(whyNone)
	}
	if err != nil {
		return claims{}, err
	}
	text, err := base64url.AppendDecode(buffer, []byte(p.claims))
	if err != nil {
		return claims{}, invalid("its claims are not base64url")
	}
	c, err := readClaims(text, v.userClaim)
	if err != nil {
		return claims{}, err
	}
	return c, v.checkSource(&c)
}

// checkSource reports a token of another issuer, or for another audience.
func (v *Verifier) checkSource(c *claims) error {
	if v.issuer != "" || v.issuerRegex != nil {
		iss := ""
		if c.iss != nil {
			iss = unquote(c.iss)
		}
		if v.issuer != "" && iss != v.issuer {
			return invalid(fmt.Sprintf("its issuer (iss) is %q and not %s.issuer, %q", clip(iss), v.path, v.issuer))
		}
		if v.issuerRegex != nil && !v.issuerRegex.MatchString(iss) {
			return invalid(fmt.Sprintf("its issuer (iss) %q does not match %s.issuer_regex", clip(iss), v.path))
		}
	}
	if v.audience == "" && v.audienceRegex == nil {
		return nil
	}
	list, err := c.audiences()
	if err != nil {
		return err
	}
	if v.audience != "" && !slices.Contains(list, v.audience) {
		return invalid(fmt.Sprintf("its audience (aud) does not contain %s.audience, %q", v.path, v.audience))
	}
	if v.audienceRegex != nil && !slices.ContainsFunc(list, v.audienceRegex.MatchString) {
		return invalid(fmt.Sprintf("its audience (aud) does not match %s.audience_regex", v.path))
	}
	return nil
}

// IsExpired reports an error of Connect or Subscribe that a new token mends.
func IsExpired(err error) bool { return errors.Is(err, ErrExpired) }
