package policy

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/config"
)

// Policy decides. Immutable but for the counters of its notices.
type Policy struct {
	rules        *channel.Rules
	connection   *auth.Verifier
	subscription *auth.Verifier

	anonymousConnect  bool // without any token
	noAnonymousTokens bool
	insecure          bool
	userHeader        bool
	connectProxy      bool

	channelLimit int // of a client

	personal         bool   // each user is subscribed to a channel of its own
	personalPrefix   string // of that channel's name, before the user
	rpc              rpc
	singleConnection bool // of each user: a newcomer ends the others

	notices notices
}

// New builds the policy of cfg. log gets the notices.
func New(cfg *config.Config, rules *channel.Rules, connection, subscription *auth.Verifier, log *slog.Logger) (*Policy, error) {
	if rules == nil || connection == nil || subscription == nil {
		return nil, errors.New("policy: rules and both verifiers are needed")
	}
	c := &cfg.Client
	own := &c.SubscribeToUserPersonalChannel
	return &Policy{
		rules:             rules,
		connection:        connection,
		subscription:      subscription,
		anonymousConnect:  c.AllowAnonymousConnectWithoutToken,
		noAnonymousTokens: c.DisallowAnonymousConnectionTokens,
		insecure:          c.Insecure,
		userHeader:        c.UserIDHTTPHeader != "",
		connectProxy:      c.Proxy.Connect.Enabled,
		channelLimit:      c.ChannelLimit,
		personal:          own.Enabled,
		personalPrefix:    rules.PersonalPrefix(own.PersonalChannelNamespace),
		rpc:               newRPC(&cfg.RPC),
		singleConnection:  own.Enabled && own.SingleConnection,
		notices:           notices{log: log},
	}, nil
}

// Client is who asks.
type Client struct {
	User string // empty: anonymous
	ID   [16]byte
	// Label takes the label of the namespace that the client asks about (channel.Options), which a refusal does not tell otherwise.
	// It may be nil.
	Label *uint16
}

// hasID reports whether id is the client's id as the protocol prints it: a lower-case UUID.
func (c *Client) hasID(id string) bool {
	var text [36]byte
	return string(c.appendID(text[:0])) == id
}

// appendID appends the client's id to dst.
func (c *Client) appendID(dst []byte) []byte {
	for i, group := range [][]byte{c.ID[:4], c.ID[4:6], c.ID[6:8], c.ID[8:10], c.ID[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, group)
	}
	return dst
}

// Disconnects as errors, made once: converting a struct to an interface allocates.
var (
	badRequest       error = codec.DisconnectBadRequest
	invalidToken     error = codec.DisconnectInvalidToken
	permissionDenied error = codec.DisconnectPermissionDenied
)

// Credentials is who a connection belongs to.
type Credentials struct {
	User     string // empty: anonymous
	Info     []byte
	ExpireAt int64 // unix seconds; 0: never

	// Subs are the channels that the server subscribes the client to.
	Subs []ServerSubscription
	// TokenChannels are those of them that the token names, in order. A refresh may not change them.
	TokenChannels []string
	// Single reports that the user's other connections are to end.
	Single bool
}

// Connect decides on a connect command by rows 2 to 8 of the protocol's table of connect. headerUser is the value of the
// header that client.user_id_http_header names, or empty; it is kept as it is. Nothing in the result aliases req. An
// *auth.Pending means that the decision needs a key that has to be fetched: then ask again.
func (p *Policy) Connect(req *codec.ConnectRequest, headerUser string, now time.Time) (Credentials, error) {
	var c Credentials
	var claims auth.ConnectClaims
	var err error
	switch {
	case req.Token != "":
		if claims, err = p.connectToken(req.Token, now); err != nil {
			return Credentials{}, err
		}
		c.User, c.Info, c.ExpireAt, c.TokenChannels = claims.User, claims.Info, claims.ExpireAt, tokenChannels(&claims)
	case p.connectProxy:
		// Falling through to the anonymous user would let in everybody whom the backend was to judge.
		p.notices.note(noticeConnectProxy, "")
		return Credentials{}, codec.ErrorNotAvailable
	case p.anonymousConnect || p.insecure:
	case p.userHeader && headerUser != "":
		c.User = headerUser
	default:
		p.notices.note(noticeNoCredentials, "")
		return Credentials{}, badRequest
	}
	if c.Subs, err = p.serverSide(c.User, &claims, req); err != nil {
		return Credentials{}, err
	}
	c.Single = p.singleConnection && c.User != ""
	if p.insecure {
		c.ExpireAt = 0
	}
	if c.ExpireAt != 0 && c.ExpireAt <= now.Unix() {
		p.notices.note(noticeConnectExpired, "")
		return Credentials{}, codec.ErrorExpired
	}
	return c, nil
}

// connectToken is row 2: what a connection token says.
func (p *Policy) connectToken(token string, now time.Time) (auth.ConnectClaims, error) {
	claims, err := p.connection.Connect(token, now)
	switch {
	case auth.IsPending(err):
		return claims, err
	case auth.IsExpired(err):
		p.notices.note(noticeTokenExpired, err.Error())
		return claims, codec.ErrorTokenExpired
	case err != nil:
		p.notices.note(noticeTokenInvalid, err.Error())
		return claims, invalidToken
	}
	if err := p.checkChannels(&claims); err != nil {
		return claims, err
	}
	if claims.User == "" && p.noAnonymousTokens {
		p.notices.note(noticeAnonymousToken, "")
		return claims, permissionDenied
	}
	return claims, nil
}

// checkChannels reports a token for server-side subscriptions to channels of unknown namespaces.
func (p *Policy) checkChannels(claims *auth.ConnectClaims) error {
	for _, name := range tokenChannels(claims) {
		if c, err := p.rules.Resolve(name); err != nil {
			p.notices.noteClient(noticeNamespace, nil, c, "the channel is in a connection token")
			return err
		}
	}
	return nil
}

// Publish decides on a publish command by the protocol's table of commands; subscribed reports that this client has an active
// subscription to the channel.
func (p *Policy) Publish(c Client, name string, subscribed bool, data []byte) (engine.PublishOptions, error) {
	if name == "" {
		return engine.PublishOptions{}, badRequest
	}
	ch := p.resolve(&c, name)
	if err := p.checkName(&c, ch); err != nil {
		return engine.PublishOptions{}, err
	}
	o := ch.Options
	if ch.IsPattern() {
		p.notices.noteClient(noticePattern, &c, ch, "")
		return engine.PublishOptions{}, codec.ErrorBadRequest
	}
	if o.CheckData(data) != nil {
		p.notices.noteClient(noticeData, &c, ch, "")
		return engine.PublishOptions{}, codec.ErrorBadRequest
	}
	switch {
	case o.Type != channel.TypeStream:
		p.notices.noteClient(noticeType, &c, ch, "")
		return engine.PublishOptions{}, codec.ErrorNotAvailable
	case o.PublishProxy || o.SubscribeStreamProxy:
		p.notices.noteClient(noticeChannelProxy, &c, ch, "")
		return engine.PublishOptions{}, codec.ErrorNotAvailable
	case !o.Publish.Allows(c.User, subscribed) && !p.insecure:
		p.notices.noteClient(publishNotice(o.Publish, &c, subscribed), &c, ch, "")
		return engine.PublishOptions{}, codec.ErrorPermissionDenied
	}
	return engine.PublishOptions{
		HistorySize:    o.HistorySize,
		HistoryTTL:     o.HistoryTTL,
		HistoryMetaTTL: o.HistoryMetaTTL,
		Delta:          o.DeltaPublish,
	}, nil
}

// History decides on a history command by the protocol's table of commands; subscribed is as in [Policy.Publish].
func (p *Policy) History(c Client, req *codec.HistoryRequest, subscribed bool) (*channel.Options, error) {
	ch, err := p.readable(&c, req.Channel, (*channel.Options).HasHistory)
	if err != nil {
		return nil, err
	}
	if !ch.Options.ReadHistory.Allows(c.User, subscribed) && !p.insecure {
		p.notices.noteClient(noticeHistory, &c, ch, "")
		return nil, codec.ErrorPermissionDenied
	}
	if req.Reverse && req.Since != nil && req.Since.Offset == 0 {
		return nil, codec.ErrorBadRequest
	}
	return ch.Options, nil
}

// Presence decides on a presence or presence_stats command.
func (p *Policy) Presence(c Client, name string, subscribed bool) error {
	ch, err := p.readable(&c, name, func(o *channel.Options) bool { return o.Presence })
	if err != nil {
		return err
	}
	if !ch.Options.ReadPresence.Allows(c.User, subscribed) && !p.insecure {
		p.notices.noteClient(noticePresence, &c, ch, "")
		return codec.ErrorPermissionDenied
	}
	return nil
}

// Options is what holds for a channel, nil if its namespace is unknown.
func (p *Policy) Options(name string) *channel.Options {
	ch, _ := p.rules.Resolve(name)
	return ch.Options
}

// readable finds a channel that is asked for something that its namespace has to keep.
func (p *Policy) readable(c *Client, name string, keeps func(*channel.Options) bool) (channel.Channel, error) {
	if name == "" {
		return channel.Channel{}, badRequest
	}
	ch := p.resolve(c, name)
	if err := p.checkName(c, ch); err != nil {
		return ch, err
	}
	if ch.Options.Type != channel.TypeStream || !keeps(ch.Options) {
		return ch, codec.ErrorNotAvailable
	}
	return ch, nil
}

// resolve finds what holds for a channel, and checkName tells whether anything does.
func (p *Policy) resolve(c *Client, name string) channel.Channel {
	ch, unknown := p.rules.Resolve(name)
	if unknown == nil && c.Label != nil {
		*c.Label = ch.Options.Label
	}
	return ch
}

// checkName reports a channel of an unknown namespace (102) and then a bad name (107).
func (p *Policy) checkName(c *Client, ch channel.Channel) error {
	if ch.Options == nil {
		p.notices.noteClient(noticeNamespace, c, ch, "")
		return codec.ErrorUnknownChannel
	}
	if err := ch.CheckName(); err != nil {
		p.notices.noteClient(noticeName, c, ch, "")
		return err
	}
	return nil
}
