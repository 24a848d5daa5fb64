package api

import (
	"context"

	"stentor/codec"
)

// Unsubscribe ends subscriptions of a user's sessions; the clients get an unsubscribe push with code 2000.
func (a *API) Unsubscribe(_ context.Context, req *UnsubscribeRequest) (_ *EmptyResult, err *Error) {
	defer a.done(methodUnsubscribe, a.now(), &err)
	if req.Channel != "" {
		if _, err := a.resolve(req.Channel); err != nil {
			return nil, err
		}
	}
	to := Target{User: req.User, Client: req.Client, Session: req.Session}
	a.cfg.Clients.Unsubscribe(to, req.Channel, codec.UnsubscribeServer)
	return &EmptyResult{}, nil
}

// Disconnect ends a user's sessions. The code goes to the clients as it is; 0, which no close frame can carry, means the
// default.
func (a *API) Disconnect(_ context.Context, req *DisconnectRequest) (_ *EmptyResult, err *Error) {
	defer a.done(methodDisconnect, a.now(), &err)
	why := codec.DisconnectForceNoReconnect
	if d := req.Disconnect; d != nil && d.Code != 0 {
		if !closeable(d.Code) {
			return nil, a.bad(methodDisconnect, "no close frame can carry the code", "code", d.Code)
		}
		why = codec.Disconnect{Code: d.Code, Reason: d.Reason}
	}
	to := Target{User: req.User, Client: req.Client, Session: req.Session, Whitelist: req.Whitelist}
	a.cfg.Clients.Disconnect(to, why)
	return &EmptyResult{}, nil
}

// closeable reports that a close frame may carry the code (RFC 6455, section 7.4): a client that gets another one fails the
// connection with an error of its own instead of reading it.
func closeable(code uint32) bool {
	return code >= 1000 && code < 1<<16 && (code < 1004 || code > 1006) && code != 1015
}
