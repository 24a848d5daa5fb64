package auth

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"stentor/server/config"
)

// Limits of patterns, and of what they are compared with: with a JWKS that is before anybody has verified it.
const (
	// RegexBytesMax is the longest audience_regex and issuer_regex.
	RegexBytesMax = 1024
	// IssuerBytesMax is the longest iss that is compared with issuer_regex.
	IssuerBytesMax = 1024
	// AudienceBytesMax is the longest text of aud, with all its members, that is compared with audience_regex.
	AudienceBytesMax = 4096
)

// Verifier verifies tokens by one token block of the configuration. It never changes, but for what it remembers: keys that
// were fetched, signatures that were right and the header of one. See [NewVerifiers].
type Verifier struct {
	path          string // of the block, for reasons that name an option
	keys          keySet
	memo          *memo
	store         *keyStore // nil: keys are those of the block
	endpoint      config.JWKSEndpoint
	skipSignature bool

	// header is that of the last token whose signature was right: all tokens of one issuer and key have the same. Strangers cannot put
	// theirs in its place.
	header atomic.Pointer[knownHeader]

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
		memo:          newMemo(),
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
	if v.endpoint, err = c.JWKSEndpoint(); err != nil {
		return nil, fmt.Errorf("%s.%w", path, err)
	}
	if c.JWKSPublicEndpoint != "" {
		v.store = newKeyStore(path + ".jwks_public_endpoint")
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

// Connect verifies a connection token. Errors are [ErrExpired] and [ErrInvalid], with the reason in their text, and
// [*Pending]. It never waits.
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

// Subscribe verifies a subscription token. Whether it is for the channel and the client at hand is for the caller to see.
// Errors are those of Connect. It never waits.
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

// verify returns the claims of a token whose signature, audience and issuer are right; time is left to the caller. The
// claims alias a buffer of their own.
func (v *Verifier) verify(token string, now time.Time) (claims, error) {
	p, err := split(token)
	if err != nil {
		return claims{}, err
	}
	// One buffer for everything: the header is done with when the signature comes, and the claims are behind it.
	ahead := base64url.DecodedLen(max(len(p.header), len(p.signature)))
	buffer := make([]byte, 0, ahead+base64url.DecodedLen(len(p.claims)))
	s, err := p.decodeSignature(buffer[:0:ahead], v.header.Load())
	if err != nil {
		return claims{}, err
	}
	if v.store == nil && !v.skipSignature {
		if err := v.keys.verify(&s, v.memo, now); err != nil {
			return claims{}, err
		}
		v.remember(&p, &s)
	}
	c, err := v.readClaims(&p, buffer[ahead:ahead])
	if err != nil {
		return claims{}, err
	}
	if v.store != nil && !v.skipSignature {
		if err := v.verifyFetched(&s, &c); err != nil {
			return claims{}, err
		}
		v.remember(&p, &s)
	}
	return c, nil
}

// remember keeps the header of a token whose signature s is right.
func (v *Verifier) remember(p *parts, s *signature) {
	if known := v.header.Load(); known == nil || known.text != p.header {
		v.header.Store(&knownHeader{strings.Clone(p.header), s.alg, s.kid})
	}
}

// readClaims decodes the claims of a token into buffer and checks that they are for this server.
func (v *Verifier) readClaims(p *parts, buffer []byte) (claims, error) {
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

// verifyFetched checks a signature with a key of the JWKS that belongs to c. That nobody has signed c yet does no harm: issuer
// and audience were found to be allowed, nothing else of c is used, and the key that comes of it has to fit.
func (v *Verifier) verifyFetched(s *signature, c *claims) error {
	switch {
	case s.alg.kind == kindHMAC:
		return invalid("no key for " + s.alg.name + ": with " + v.store.option + " tokens are signed with RSA, ECDSA or EdDSA")
	case s.kid == "":
		return invalid("its header has no kid, which says which key of " + v.store.option + " it is signed with")
	}
	endpoint, err := v.endpoint.Fill(func(name string) string { return v.matched(c, name) })
	if err != nil {
		return invalid(v.store.option + ": " + err.Error())
	}
	k, err := v.store.find(endpoint, s)
	if err != nil {
		return err
	}
	if !s.by(&k, v.memo) {
		return invalid(fmt.Sprintf("the signature does not match the key %q of %s", clip(s.kid), shownEndpoint(endpoint)))
	}
	return nil
}

// matched returns what a named group of the patterns has matched. Of several audiences the first that matches counts.
func (v *Verifier) matched(c *claims, name string) string {
	if v.issuerRegex != nil {
		if i := v.issuerRegex.SubexpIndex(name); i > 0 {
			return v.issuerRegex.FindStringSubmatch(c.issuer())[i]
		}
	}
	list, _ := c.audiences() // were read before
	for _, audience := range list {
		if m := v.audienceRegex.FindStringSubmatch(audience); m != nil {
			return m[v.audienceRegex.SubexpIndex(name)]
		}
	}
	return ""
}

// checkSource reports a token of another issuer, or for another audience.
func (v *Verifier) checkSource(c *claims) error {
	if v.issuer != "" || v.issuerRegex != nil {
		iss := c.issuer()
		if v.issuer != "" && iss != v.issuer {
			return invalid(fmt.Sprintf("its issuer (iss) is %q and not %s.issuer, %q", clip(iss), v.path, v.issuer))
		}
		if v.issuerRegex != nil && (len(iss) > IssuerBytesMax || !v.issuerRegex.MatchString(iss)) {
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
	if v.audienceRegex != nil && (len(c.aud) > AudienceBytesMax || !slices.ContainsFunc(list, v.audienceRegex.MatchString)) {
		return invalid(fmt.Sprintf("its audience (aud) does not match %s.audience_regex", v.path))
	}
	return nil
}

// IsExpired reports an error of Connect or Subscribe that a new token mends.
func IsExpired(err error) bool { return errors.Is(err, ErrExpired) }
