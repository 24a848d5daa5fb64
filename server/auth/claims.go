package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"stentor/codec"
)

// ConnectClaims is what a connection token says, all of it verified.
type ConnectClaims struct {
	User     string // empty: anonymous
	Info     []byte
	ExpireAt int64                       // unix seconds at which the connection expires; 0: never
	Channels []string                    // server-side subscriptions; Subs wins if both are there
	Subs     map[string]SubscribeOptions // likewise, with options
	Meta     []byte                      // JSON for the backend only
}

// SubscribeClaims is what a subscription token says, all of it verified.
type SubscribeClaims struct {
	User     string
	Channel  string // never empty
	Client   string // empty: any client of the user
	Info     []byte
	Data     []byte
	ExpireAt int64 // unix seconds at which the subscription expires; 0: never
	Override Override
}

// claims is every claim that has a meaning, as it stands in the token.
type claims struct {
	given fields // by claim number; null is not given

	user     []byte // value of sub or of user_id_claim
	exp, nbf float64
	expireAt int64
	iss, aud []byte

	channel, client  string
	info, data, meta []byte
	b64info, b64data string
	channels, subs   []byte
	override         []byte
}

// Claims by number, for fields.
const (
	claimSub = iota
	claimUser
	claimExp
	claimNbf
	claimExpireAt
	claimIss
	claimAud
	claimChannel
	claimClient
	claimInfo
	claimB64Info
	claimData
	claimB64Data
	claimMeta
	claimChannels
	claimSubs
	claimOverride
)

var claimNumbers = map[string]int{
	"sub": claimSub, "exp": claimExp, "nbf": claimNbf, "expire_at": claimExpireAt, "iss": claimIss, "aud": claimAud,
	"channel": claimChannel, "client": claimClient, "info": claimInfo, "b64info": claimB64Info, "data": claimData,
	"b64data": claimB64Data, "meta": claimMeta, "channels": claimChannels, "subs": claimSubs, "override": claimOverride,
}

// readClaims reads decoded claims. Names are compared exactly (RFC 7519 section 10.1.1) and a claim that is there twice is
// refused: issuers and servers have disagreed on which of the two counts. A claim that is null is absent. The result aliases b.
func readClaims(b []byte, userClaim string) (c claims, err error) {
	if err := checkObject(b); err != nil {
		return c, invalid("the text of its claims " + err.Error())
	}
	var seen fields
	for o := members(b); ; {
		name, value, ok := o.next()
		if !ok {
			return c, nil
		}
		null := string(value) == "null"
		if string(name) == userClaim {
			if !seen.first(claimUser) {
				return c, twice(name)
			}
			if !null {
				c.user = value
			}
		}
		number, known := claimNumbers[string(name)]
		if !known {
			continue
		}
		if !seen.first(number) {
			return c, twice(name)
		}
		if null {
			continue
		}
		c.given.first(number)
		if err := c.set(number, value); err != nil {
			return c, invalid(fmt.Sprintf("the claim %s %v", name, err))
		}
	}
}

func twice(name []byte) error {
	return invalid(fmt.Sprintf("the claim %q is there twice", clip(string(name))))
}

// set takes the value of one claim. The error continues "the claim x".
func (c *claims) set(number int, value []byte) (err error) {
	switch number {
	case claimSub:
		err = mustBeText(value) // kept as the user, or in its place another claim is
	case claimExp:
		c.exp, err = seconds(value)
	case claimNbf:
		c.nbf, err = seconds(value)
	case claimExpireAt:
		c.expireAt, err = strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			err = fmt.Errorf("is not a whole number of seconds: %s", clip(string(value)))
		}
	case claimIss:
		c.iss, err = value, mustBeText(value)
	case claimAud:
		if c.aud = value; value[0] != '"' && value[0] != '[' {
			err = errors.New("is neither a string nor a list of strings")
		}
	case claimChannel:
		c.channel, err = text(value)
	case claimClient:
		c.client, err = text(value)
	case claimInfo:
		c.info = value
	case claimB64Info:
		c.b64info, err = text(value)
	case claimData:
		c.data = value
	case claimB64Data:
		c.b64data, err = text(value)
	case claimMeta:
		c.meta = value
	case claimChannels:
		c.channels = value
	case claimSubs:
		c.subs = value
	case claimOverride:
		c.override = value
	}
	return err
}

// text reads a string.
func text(value []byte) (string, error) {
	if err := mustBeText(value); err != nil {
		return "", err
	}
	return unquote(value), nil
}

func mustBeText(value []byte) error {
	if value[0] != '"' {
		return fmt.Errorf("must be a string, in quotes: %s", clip(string(value)))
	}
	return nil
}

// seconds reads a time in unix seconds (RFC 7519 section 2: fractions are allowed). The libraries that issuers and the
// reference use take a number in quotes too.
func seconds(value []byte) (float64, error) {
	digits := bytes.Trim(value, `"`)
	if len(digits) > 0 && (digits[0] == '-' || '0' <= digits[0] && digits[0] <= '9') && codec.ValidJSON(digits) {
		if f, err := strconv.ParseFloat(string(digits), 64); err == nil {
			return f, nil
		}
	}
	return 0, fmt.Errorf("is not a time in unix seconds: %s", clip(string(value)))
}

// secondsMax is far beyond any clock and well inside an int64.
const secondsMax = 1e15

// userID returns the user: sub, or the claim that stands in for it, which may be a whole number.
func (c *claims) userID(userClaim string) (string, error) {
	v := c.user
	if len(v) == 0 {
		return "", nil
	}
	if v[0] == '"' {
		return unquote(v), nil
	}
	if _, err := strconv.ParseInt(string(v), 10, 64); err == nil && userClaim != "sub" {
		return string(v), nil
	}
	return "", invalid(fmt.Sprintf("the claim %s must be a string, in quotes: %s", userClaim, clip(string(v))))
}

// issuer returns iss, empty without one.
func (c *claims) issuer() string {
	if c.iss == nil {
		return ""
	}
	return unquote(c.iss)
}

// audiences returns aud, which may be one string or a list.
func (c *claims) audiences() (list []string, err error) {
	if len(c.aud) == 0 {
		return nil, nil
	}
	if c.aud[0] == '"' {
		return []string{unquote(c.aud)}, nil
	}
	list, ok := texts(c.aud)
	if !ok {
		return nil, invalid("the claim aud is neither a string nor a list of strings")
	}
	return list, nil
}

// texts reads a list of strings. encoding/json would take null for an empty one.
func texts(value []byte) (list []string, ok bool) {
	var all []*string
	if json.Unmarshal(value, &all) != nil || all == nil {
		return nil, false
	}
	list = make([]string, len(all))
	for i, s := range all {
		if s == nil {
			return nil, false
		}
		list[i] = *s
	}
	return list, true
}

// checkTime reports a token out of its time.
func (c *claims) checkTime(now time.Time) error {
	t := float64(now.UnixNano()) / 1e9
	if c.given.has(claimExp) && c.exp <= t {
		return fmt.Errorf("%w: exp is over", ErrExpired)
	}
	if c.given.has(claimNbf) && c.nbf > t {
		return fmt.Errorf("%w: nbf is to come", ErrExpired)
	}
	return nil
}

// expiry returns when what the token opens expires, in unix seconds; 0: never.
func (c *claims) expiry() int64 {
	if c.given.has(claimExpireAt) {
		return max(0, c.expireAt)
	}
	return int64(min(c.exp, secondsMax))
}

// raw returns b64, decoded, or else a copy of value. What stays in memory must not keep the whole token there.
func raw(name string, value []byte, b64 string) ([]byte, error) {
	if b64 == "" {
		return slices.Clone(value), nil
	}
	b, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return nil, invalid("the claim b64" + name + " is not base64")
	}
	return b, nil
}
