package policy

import (
	"maps"
	"slices"
	"strings"

	"stentor/codec"
	"stentor/server/auth"
	"stentor/server/channel"
)

// ServerSubscription is a channel that the server subscribes a client to.
type ServerSubscription struct {
	Channel string
	Subscription
}

// serverSide collects the channels that a connecting client is subscribed to without a command for each (spec: client-protocol,
// section 4.2). A channel for which there are several reasons is there once, by the first of them.
func (p *Policy) serverSide(user string, claims *auth.ConnectClaims, req *codec.ConnectRequest) ([]ServerSubscription, error) {
	personal := p.personal && user != ""
	if !personal && len(claims.Subs)+len(claims.Channels)+len(req.Subs) == 0 {
		return nil, nil
	}
	list := serverSubscriptions{policy: p, client: &Client{User: user}, wanted: req.Subs} // the names of a token are all different
	for _, name := range tokenChannels(claims) {
		if err := list.add(name, claims.Subs[name]); err != nil {
			return nil, err
		}
	}
	if name := p.personalPrefix + user; personal && !list.has(name) {
		if err := list.add(name, auth.SubscribeOptions{}); err != nil {
			return nil, err
		}
	}
	if err := list.addWanted(); err != nil {
		return nil, err
	}
	return list.all, nil
}

// serverSubscriptions is a list under way.
type serverSubscriptions struct {
	policy *Policy
	client *Client
	wanted map[string]*codec.SubscribeRequest // what the client says of channels
	all    []ServerSubscription
}

func (l *serverSubscriptions) has(name string) bool {
	return slices.ContainsFunc(l.all, func(s ServerSubscription) bool { return s.Channel == name })
}

// addWanted puts the channels on the list that the client names by itself. A stranger can name thousands: each is compared only with
// those that the server wants, and nothing is done for more than one beyond channel_limit, which the session then refuses.
func (l *serverSubscriptions) addWanted() error {
	p, c, ours := l.policy, l.client, *l
	for _, name := range slices.Sorted(maps.Keys(l.wanted)) {
		if len(l.all) > p.channelLimit {
			return nil
		}
		ch, unknown := p.rules.Resolve(name)
		if unknown != nil {
			p.notices.noteClient(noticeNamespace, c, ch, "the channel is in a connect command")
			return badRequest
		}
		if ours.has(name) || !p.mayWant(c, ch) {
			continue
		}
		if err := l.add(strings.Clone(name), auth.SubscribeOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// add puts a channel on the list that is not on it.
func (l *serverSubscriptions) add(name string, o auth.SubscribeOptions) error {
	granted, err := l.policy.ServerSubscription(*l.client, name, o, l.wanted[name])
	if err == nil {
		l.all = append(l.all, ServerSubscription{name, granted})
	}
	return err
}

// ServerSubscription is what a client gets of a channel that the server subscribes it to. wanted is what the client says of the
// channel, or nil; o comes from the token or the server API. No right is asked for, but the channel has to exist.
func (p *Policy) ServerSubscription(c Client, name string, o auth.SubscribeOptions, wanted *codec.SubscribeRequest) (Subscription, error) {
	ch := p.resolve(&c, name)
	if err := p.checkName(&c, ch); err != nil {
		return Subscription{}, err
	}
	if ch.Options.Type != channel.TypeStream {
		p.notices.noteClient(noticeType, &c, ch, "")
		return Subscription{}, codec.ErrorNotAvailable
	}
	var asks codec.SubscribeRequest
	if wanted != nil { // what else the client asks for is the server's to say
		asks.Recover, asks.Offset, asks.Epoch, asks.Flag, asks.Delta = wanted.Recover, wanted.Offset, wanted.Epoch, wanted.Flag, wanted.Delta
	}
	s := p.grant(&c, ch, &asks, &auth.SubscribeClaims{Info: o.Info, Data: o.Data, Override: o.Override})
	if ch.Options.AutoCacheRecover && s.Recoverable {
		s.From.Recover = true
	}
	return s, nil
}

// mayWant reports that a client may have a channel that it names in its connect command. What it may not have is left out, as if
// it had not been named.
func (p *Policy) mayWant(c *Client, ch channel.Channel) bool {
	o := ch.Options
	if ch.CheckName() != nil || ch.IsPrivate() || o.Type != channel.TypeStream {
		return false
	}
	if ch.IsUserLimited() {
		return ch.UserAllowed(c.User) || p.insecure
	}
	return !o.SubscribeProxy && !o.SubscribeStreamProxy && (o.Subscribe.Allows(c.User, false) || p.insecure)
}

// tokenChannels are the channels that a connection token names, in order: those of subs, or else those of channels.
func tokenChannels(claims *auth.ConnectClaims) []string {
	if len(claims.Subs) > 0 {
		return slices.Sorted(maps.Keys(claims.Subs))
	}
	names := slices.Clone(claims.Channels) // nil, and nothing allocated, for most tokens
	slices.Sort(names)
	return slices.Compact(names)
}
