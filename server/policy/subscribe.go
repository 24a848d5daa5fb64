package policy

import (
	"fmt"
	"time"

	"stentor/codec"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/filter"
)

// Subscription is what a client gets when it may subscribe.
type Subscription struct {
	Options  *channel.Options
	Info     []byte // of the client in this channel
	Data     []byte // for the client, in the reply
	ExpireAt int64  // unix seconds; 0: never

	Positioned  bool
	Recoverable bool // implies Positioned

	From  Place // where the client left the stream, if it says so
	Cache bool  // recovery is about the newest publication alone
	Delta bool  // patches where they are shorter
	// Filter chooses publications; nil takes all. A chain of patches would break, so with Delta it has no effect.
	Filter *filter.Filter

	// Wildcard says that the channel's name is a pattern. There is neither position nor recovery nor delta then.
	Wildcard bool

	Presence      bool // enter the client into presence
	JoinLeave     bool // publish its join and leave
	PushJoinLeave bool // send it the joins and leaves of others
}

// Place is where a client left a channel's stream.
type Place struct {
	Recover bool // the client wants what came after
	// Strict asks for error 112 if that cannot be told.
	Strict bool
	codec.StreamPosition
}

// place reads what a client says of a channel. Nothing in it aliases req but the epoch, which is compared and not kept.
func place(req *codec.SubscribeRequest) Place {
	return Place{
		Recover:        req.Recover,
		Strict:         req.Flag&codec.SubscribeRejectUnrecoverable != 0,
		StreamPosition: codec.StreamPosition{Offset: req.Offset, Epoch: req.Epoch},
	}
}

// deltaFossil is the only type of delta that a client may ask for.
const deltaFossil = "fossil"

// Precheck decides rows 1 to 4 of the protocol's table of subscribe. [Policy.Subscribe] runs it too; a session that runs it
// before its own rows 5 and 6 keeps the order of the table.
func (p *Policy) Precheck(c Client, req *codec.SubscribeRequest) error {
	ch := p.resolve(&c, req.Channel) // an unknown namespace is row 7
	return p.precheck(ch, req)
}

func (p *Policy) precheck(ch channel.Channel, req *codec.SubscribeRequest) error {
	switch {
	case req.Channel == "":
		return badRequest
	case req.Type == int32(channel.TypeSharedPoll): // on a channel of another kind, or not built yet
		return codec.ErrorNotAvailable
	case ch.Options != nil && ch.Options.Type == channel.TypeSharedPoll:
		return codec.ErrorBadRequest
	case req.Delta != "" && req.Delta != deltaFossil:
		return badRequest
	}
	if err := p.rules.CheckLength(req.Channel); err != nil {
		p.notices.noteClient(noticeName, nil, ch, "")
		return err
	}
	return nil
}

// Subscribe decides on a subscribe command by rows 1 to 4 and 7 to 19 of the protocol's table of subscribe. Nothing in the
// result aliases req. An *auth.Pending means the same as in Connect.
func (p *Policy) Subscribe(c Client, req *codec.SubscribeRequest, now time.Time) (Subscription, error) {
	ch := p.resolve(&c, req.Channel)
	if err := p.precheck(ch, req); err != nil {
		return Subscription{}, err
	}
	if err := p.checkName(&c, ch); err != nil {
		return Subscription{}, err
	}
	if err := p.checkType(&c, ch, req.Type); err != nil {
		return Subscription{}, err
	}

	var claims auth.SubscribeClaims
	var err error
	switch {
	case req.Token != "":
		claims, err = p.subscribeToken(&c, ch, req.Token, now)
	case ch.IsPrivate():
		p.notices.noteClient(noticePrivate, &c, ch, "")
		err = codec.ErrorPermissionDenied
	default:
		err = p.subscribeRight(&c, ch)
	}
	if err != nil {
		return Subscription{}, err
	}

	chosen, err := p.tagsFilter(&c, ch, req.TF)
	if err != nil {
		return Subscription{}, err
	}
	if claims.ExpireAt != 0 && claims.ExpireAt <= now.Unix() {
		p.notices.noteClient(noticeSubscriptionExpired, &c, ch, "")
		return Subscription{}, codec.ErrorExpired
	}
	s := p.grant(&c, ch, req, &claims)
	s.Filter = chosen
	return s, nil
}

// tagsFilter is row 18. Without a filter it is nil.
func (p *Policy) tagsFilter(c *Client, ch channel.Channel, tf *codec.FilterNode) (*filter.Filter, error) {
	if tf == nil {
		return nil, nil
	}
	if !ch.Options.AllowTagsFilter {
		p.notices.noteClient(noticeFilter, c, ch, "")
		return nil, codec.ErrorBadRequest
	}
	f, err := filter.New(tf)
	if err != nil {
		p.notices.noteClient(noticeFilterInvalid, c, ch, err.Error())
		return nil, codec.ErrorBadRequest
	}
	return f, nil
}

// checkType is row 9, and refuses the types that are not built yet.
func (p *Policy) checkType(c *Client, ch channel.Channel, asked int32) error {
	if int32(ch.Options.Type) != asked {
		p.notices.noteClient(noticeType, c, ch, "")
		return codec.ErrorPermissionDenied
	}
	if ch.Options.Type != channel.TypeStream {
		p.notices.noteClient(noticeType, c, ch, "")
		return codec.ErrorNotAvailable
	}
	return nil
}

// subscribeToken is row 11: what a subscription token says. A token that is not good at all is a missing permission; a good
// one for somebody else closes the session.
func (p *Policy) subscribeToken(c *Client, ch channel.Channel, token string, now time.Time) (auth.SubscribeClaims, error) {
	claims, err := p.subscription.Subscribe(token, now)
	switch {
	case auth.IsPending(err):
		return claims, err
	case auth.IsExpired(err):
		p.notices.noteClient(noticeSubscriptionTokenExpired, c, ch, err.Error())
		return claims, codec.ErrorTokenExpired
	case err != nil:
		p.notices.noteClient(noticeSubscriptionTokenInvalid, c, ch, err.Error())
		return claims, codec.ErrorPermissionDenied
	case claims.Channel != ch.Name || claims.User != c.User || claims.Client != "" && !c.hasID(claims.Client):
		p.notices.noteClient(noticeSubscriptionTokenOther, c, ch, fmt.Sprintf("it is for channel %q, user %q, client %q",
			clip(claims.Channel), clip(claims.User), clip(claims.Client)))
		return claims, invalidToken
	}
	return claims, nil
}

// subscribeRight is rows 12 to 17: who may subscribe without a token.
func (p *Policy) subscribeRight(c *Client, ch channel.Channel) error {
	o, limited := ch.Options, ch.IsUserLimited()
	switch {
	case limited && ch.UserAllowed(c.User):
		return nil
	case !limited && (o.SubscribeProxy || o.SubscribeStreamProxy):
		p.notices.noteClient(noticeChannelProxy, c, ch, "")
		return codec.ErrorNotAvailable
	case !limited && o.Subscribe.Allows(c.User, false):
		return nil
	case p.insecure:
		return nil
	case limited:
		p.notices.noteClient(noticeUserLimited, c, ch, "")
	default:
		p.notices.noteClient(subscribeNotice(o.Subscribe), c, ch, "")
	}
	return codec.ErrorPermissionDenied
}

// grant puts together what an allowed client gets: the namespace's options, replaced by those of its token, and then what it
// asks for and may have.
func (p *Policy) grant(c *Client, ch channel.Channel, req *codec.SubscribeRequest, claims *auth.SubscribeClaims) Subscription {
	o, t := ch.Options, &claims.Override
	s := Subscription{
		Options:       o,
		From:          place(req),
		Cache:         o.RecoverCache,
		Delta:         req.Delta == deltaFossil && o.DeltaFossil,
		Info:          claims.Info,
		Data:          claims.Data,
		ExpireAt:      claims.ExpireAt,
		Positioned:    t.ForcePositioning.Or(o.ForcePositioning),
		Recoverable:   t.ForceRecovery.Or(o.ForceRecovery),
		Presence:      t.Presence.Or(o.Presence),
		JoinLeave:     t.JoinLeave.Or(o.JoinLeave),
		PushJoinLeave: t.ForcePushJoinLeave.Or(o.ForcePushJoinLeave),
	}
	// All checks are passed: the client counts as a subscriber although it is not one yet.
	history := p.insecure || o.ReadHistory.Allows(c.User, true)
	presence := p.insecure || o.ReadPresence.Allows(c.User, true)
	if req.Recoverable && (o.AllowRecovery || history) {
		s.Recoverable = true
	}
	if s.Recoverable || req.Positioned && (o.AllowPositioning || history) {
		s.Positioned = true
	}
	if req.JoinLeave && o.JoinLeave && presence {
		s.PushJoinLeave = true
	}
	if s.Wildcard = ch.IsPattern(); s.Wildcard {
		s.Positioned, s.Recoverable, s.Delta = false, false, false
	}
	if !s.Recoverable {
		s.From = Place{}
	}
	return s
}

// SubRefresh decides on a sub_refresh command for a channel that the client is subscribed to: until when the subscription lives
// now, in unix seconds; 0 is for ever; and what others learn of the client there, nil leaves that as it is. A token that is not for this very subscription closes the session. An *auth.Pending means
// the same as in Connect.
func (p *Policy) SubRefresh(c Client, name, token string, now time.Time) (expireAt int64, info []byte, err error) {
	ch := p.resolve(&c, name)
	if err := p.checkName(&c, ch); err != nil {
		return 0, nil, err
	}
	claims, err := p.subscribeToken(&c, ch, token, now)
	switch {
	case err == codec.ErrorTokenExpired || auth.IsPending(err):
		return 0, nil, err
	case err != nil:
		return 0, nil, invalidToken
	case claims.ExpireAt != 0 && claims.ExpireAt <= now.Unix():
		return 0, nil, codec.ErrorExpired
	}
	return claims.ExpireAt, claims.Info, nil
}
