package policy

import (
	"context"
	"log/slog"
	"time"

	"stentor/reactor/quiet"
	"stentor/server/channel"
)

// clipBytes is the most of a client's text that a notice repeats.
const clipBytes = 128

// clip shortens text of clients for the log. That it stays on its line is the log handler's work: it quotes.
func clip(s string) string {
	if len(s) > clipBytes {
		return s[:clipBytes] + "…"
	}
	return s
}

// notice is one kind of notice.
type notice uint8

const (
	noticeNoCredentials notice = iota
	noticeTokenInvalid
	noticeTokenExpired
	noticeAnonymousToken
	noticeConnectExpired
	noticeConnectProxy
	noticeNamespace
	noticeName
	noticeType
	noticePrivate
	noticeUserLimited
	noticeSubscriptionTokenInvalid
	noticeSubscriptionTokenExpired
	noticeSubscriptionTokenOther
	noticeSubscriptionExpired
	noticeChannelProxy
	noticeSubscribe
	noticeSubscribeAnonymous
	noticeFilter
	noticeFilterInvalid
	noticePattern
	noticeData
	noticePublish
	noticePublishAnonymous
	noticePublishSubscriber
	noticeHistory
	noticePresence
	noticeKinds
)

// noticeTexts says what happened and what to do if it should not have.
var noticeTexts = [noticeKinds]struct{ what, remedy string }{
	noticeNoCredentials: {"a client without a token was refused",
		"give clients a connection token signed with client.token.hmac_secret_key (or its key pair), or set client.allow_anonymous_connect_without_token"},
	noticeTokenInvalid: {"an invalid connection token was refused", "see the reason"},
	noticeTokenExpired: {"an expired connection token was refused",
		"clients get a new token from your backend; if they do not, check its clock and the lifetime that it gives to tokens"},
	noticeAnonymousToken: {"a connection token without a user was refused",
		"put the user into the claim sub, or unset client.disallow_anonymous_connection_tokens"},
	noticeConnectExpired: {"a connection token for a connection that has expired was refused", "let your backend set expire_at to a time to come, or omit it"},
	noticeConnectProxy: {"a client without a token was refused because this version has no connect proxy",
		"give clients connection tokens, or unset client.proxy.connect.enabled"},
	noticeNamespace: {"a channel of an unknown namespace was refused", "add the namespace to channel.namespaces, or check the name of the channel"},
	noticeName: {"a channel name was refused",
		"check it against channel.max_length and the channel_regex of its namespace; without a channel_regex only printable ASCII is taken"},
	noticeType:        {"the type of subscription does not fit the channel", "check subscription_type of the namespace; this version has only streams"},
	noticePrivate:     {"a subscription to a private channel without a token was refused", "give the client a subscription token for the channel, or use a name without channel.private_prefix"},
	noticeUserLimited: {"a user who is not in the channel's list of users was refused", "name the user behind channel.user_boundary, or give the client a subscription token"},
	noticeSubscriptionTokenInvalid: {"an invalid subscription token was refused",
		"see the reason"},
	noticeSubscriptionTokenExpired: {"an expired subscription token was refused",
		"clients get a new token from your backend; if they do not, check its clock and the lifetime that it gives to tokens"},
	noticeSubscriptionTokenOther: {"a subscription token for another channel, user or client was refused",
		"let your backend sign the token for the channel and the user that ask"},
	noticeSubscriptionExpired: {"a subscription token for a subscription that has expired was refused", "let your backend set expire_at to a time to come, or omit it"},
	noticeChannelProxy:        {"a client was refused because this version has no channel proxies", "unset the proxy options of the namespace and use tokens or allow options"},
	noticeSubscribe: {"a subscription without permission was refused",
		"set allow_subscribe_for_client in the namespace, or give the client a subscription token"},
	noticeSubscribeAnonymous: {"a subscription of a client without a user was refused",
		"set allow_subscribe_for_anonymous in the namespace, or give clients a connection token with a user"},
	noticeFilterInvalid: {"a subscription with a malformed tags filter was refused", "see the reason"},
	noticeFilter:        {"a subscription with a tags filter was refused", "set allow_tags_filter in the namespace"},
	noticePattern:       {"a client's publication to a name with wildcards was refused", "publish into a channel; where allow_wildcards is set, * and > are for subscriptions"},
	noticeData:          {"a client's publication was refused because of its data", "check it against publication_data_format; without one it may not be empty"},
	noticePublish:       {"a client's publication without permission was refused", "set allow_publish_for_client or allow_publish_for_subscriber in the namespace, or publish through the API"},
	noticePublishAnonymous: {"a publication of a client without a user was refused",
		"set allow_publish_for_anonymous in the namespace, or give clients a connection token with a user"},
	noticePublishSubscriber: {"a publication of a client that is not subscribed to the channel was refused",
		"subscribe before publishing, or set allow_publish_for_client in the namespace"},
	noticeHistory: {"a client that may not read history was refused",
		"set allow_history_for_client or allow_history_for_subscriber in the namespace, and allow_history_for_anonymous for clients without a user"},
	noticePresence: {"a client that may not read presence was refused",
		"set allow_presence_for_client or allow_presence_for_subscriber in the namespace, and allow_presence_for_anonymous for clients without a user"},
}

// subscribeNotice chooses the notice for a client that lacks right.
func subscribeNotice(right channel.Right) notice {
	if right.Client { // then only the user is missing
		return noticeSubscribeAnonymous
	}
	return noticeSubscribe
}

// publishNotice chooses the notice for a client that lacks right.
func publishNotice(right channel.Right, c *Client, subscribed bool) notice {
	switch {
	case right.Client || right.Subscriber && subscribed:
		return noticePublishAnonymous
	case right.Subscriber && (c.User != "" || right.Anonymous):
		return noticePublishSubscriber
	}
	return noticePublish
}

// notices writes notices to a log. Clients can cause notices as fast as they can send. Any goroutine may use it.
type notices struct {
	log   *slog.Logger
	kinds [noticeKinds]quiet.Line
}

// due reports whether a notice may be written, and how many of its kind were not since the last one.
func (n *notices) due(k notice) (suppressed int64, ok bool) {
	if !n.log.Enabled(context.Background(), slog.LevelInfo) {
		return 0, false
	}
	return n.kinds[k].Due(time.Now())
}

// note writes a notice of kind k; reason may be empty.
func (n *notices) note(k notice, reason string) {
	if suppressed, ok := n.due(k); ok {
		n.write(k, suppressed, nil, reason)
	}
}

// noteClient writes a notice of kind k about a channel and a client, which may be nil. Its arguments are no list of any,
// because that would be allocated for the notices that are not due.
func (n *notices) noteClient(k notice, c *Client, ch channel.Channel, reason string) {
	suppressed, ok := n.due(k)
	if !ok {
		return
	}
	args := []any{"channel", clip(ch.Name), "namespace", clip(ch.Namespace)}
	switch k {
	case noticeType:
		args = append(args, "subscription_type", ch.Options.Type.String())
	case noticeData:
		args = append(args, "publication_data_format", ch.Options.DataFormat.String())
	}
	if c != nil {
		args = append(args, "user", clip(c.User), "client", string(c.appendID(nil)))
	}
	n.write(k, suppressed, args, reason)
}

func (n *notices) write(k notice, suppressed int64, args []any, reason string) {
	text := &noticeTexts[k]
	if reason != "" {
		args = append(args, "reason", reason)
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	n.log.Info(text.what, append(args, "remedy", text.remedy)...)
}
