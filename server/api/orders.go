package api

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"stentor/codec"
	"stentor/server/auth"
)

// Subscribe subscribes a user's sessions that are online. It asks for no right, and for no channel_limit.
func (a *API) Subscribe(ctx context.Context, req *SubscribeRequest) (_ *EmptyResult, err *Error) {
	defer a.done(methodSubscribe, a.now(), &err)
	ch, err := a.named(methodSubscribe, req.Channel)
	if err != nil {
		return nil, err
	}
	order := Subscribe{Channel: ch.Name, ExpireAt: req.ExpireAt, RecoverSince: req.RecoverSince.position()}
	if order.Info, err = a.payload(methodSubscribe, "info", req.Info, req.B64Info); err != nil {
		return nil, err
	}
	if order.Data, err = a.payload(methodSubscribe, "data", req.Data, req.B64Data); err != nil {
		return nil, err
	}
	if size := len(ch.Name) + len(order.Info) + len(order.Data); size > a.publicationBytesMax {
		return nil, a.bad(methodSubscribe, "info and data are too large", "channel", ch.Name, "bytes", size, "limit", a.publicationBytesMax)
	}
	if o := req.Override; o != nil {
		order.Override = auth.Override(*o)
	}
	to := Target{User: req.User, Client: req.Client, Session: req.Session}
	return a.ordered(methodSubscribe, ch.Name, a.cfg.Clients.Subscribe(ctx, to, order))
}

// Refresh says when a user's sessions expire; the clients get a refresh push, or are closed with code 3005.
func (a *API) Refresh(ctx context.Context, req *RefreshRequest) (_ *EmptyResult, err *Error) {
	defer a.done(methodRefresh, a.now(), &err)
	order := Refresh{Expired: req.Expired, ExpireAt: req.ExpireAt}
	if order.Info, err = a.payload(methodRefresh, "info", req.Info, ""); err != nil {
		return nil, err
	}
	if size := len(order.Info); size > a.publicationBytesMax {
		return nil, a.bad(methodRefresh, "info is too large", "bytes", size, "limit", a.publicationBytesMax)
	}
	to := Target{User: req.User, Client: req.Client, Session: req.Session}
	return a.ordered(methodRefresh, "", a.cfg.Clients.Refresh(ctx, to, order))
}

// payload is a field that may be JSON or base64, which wins; nil if it is neither. Null is nothing: here there is a choice to send
// nothing. Base64 that is none is error 107.
func (a *API) payload(m int, field string, raw json.RawMessage, b64 string) ([]byte, *Error) {
	if b64 == "" {
		if len(raw) == 0 || string(raw) == "null" {
			return nil, nil
		}
		return raw, nil
	}
	b, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return nil, a.bad(m, "b64"+field+" is not base64")
	}
	return b, nil
}

// Unsubscribe ends subscriptions of a user's sessions; the clients get an unsubscribe push with code 2000.
func (a *API) Unsubscribe(ctx context.Context, req *UnsubscribeRequest) (_ *EmptyResult, err *Error) {
	defer a.done(methodUnsubscribe, a.now(), &err)
	if req.Channel != "" {
		if _, err := a.resolve(req.Channel); err != nil {
			return nil, err
		}
	}
	to := Target{User: req.User, Client: req.Client, Session: req.Session}
	return a.ordered(methodUnsubscribe, req.Channel, a.cfg.Clients.Unsubscribe(ctx, to, req.Channel, codec.UnsubscribeServer))
}

// Disconnect ends a user's sessions. The code goes to the clients as it is; 0, which no close frame can carry, means the
// default.
func (a *API) Disconnect(ctx context.Context, req *DisconnectRequest) (_ *EmptyResult, err *Error) {
	defer a.done(methodDisconnect, a.now(), &err)
	why := codec.DisconnectForceNoReconnect
	if d := req.Disconnect; d != nil && d.Code != 0 {
		if !Closeable(d.Code) {
			return nil, a.bad(methodDisconnect, "no close frame can carry the code", "code", d.Code)
		}
		why = codec.Disconnect{Code: d.Code, Reason: d.Reason}
	}
	to := Target{User: req.User, Client: req.Client, Session: req.Session, Whitelist: req.Whitelist}
	return a.ordered(methodDisconnect, "", a.cfg.Clients.Disconnect(ctx, to, why))
}

// ordered is the answer to a request whose order was given, perhaps not to all nodes.
func (a *API) ordered(m int, channel string, fault error) (*EmptyResult, *Error) {
	if fault != nil {
		return nil, a.failure(methods[m].name, channel, fault)
	}
	return &EmptyResult{}, nil
}

// Closeable reports that a close frame may carry the code (RFC 6455, section 7.4): a client that gets another one fails the
// connection with an error of its own instead of reading it.
func Closeable(code uint32) bool {
	return code >= 1000 && code < 1<<16 && (code < 1004 || code > 1006) && code != 1015
}
