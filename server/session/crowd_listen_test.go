package session

import (
	"slices"

	"stentor/codec"
)

// onlyListen makes the fan one that sends nothing but a request to connect. The channels that it wants are in there, and in its token.
func (f *fan) onlyListen() {
	c := f.crowd
	f.listens, f.form = true, f.form.Bare()
	for _, s := range c.huge {
		if c.one(2) {
			f.admit(s).wanted = true
		}
	}
	for range 1 + c.rnd.IntN(3) {
		if s := c.rooms[c.rnd.IntN(len(c.rooms))]; s.name[0] != '$' { // those want a token of their own
			f.admit(s).wanted = true
		}
	}
	f.admit(c.addStream("own:#" + f.user)).wanted = true
	if c.one(4) {
		f.give()
	}
	c.fans = append(c.fans, f)
}

// listen sends the request to connect of a client that only listens.
func (p *pipe) listen(a ask, req *codec.ConnectRequest) {
	p.await(a)
	body, err := codec.AppendConnectRequest(nil, p.fan.form, req)
	if err != nil {
		p.crowd.fault("%v", err)
	}
	p.send(sent{bytes: body, listens: p.asked[0]})
}

// connectUni is what a transport does with the request.
func (p *pipe) connectUni(body []byte) {
	var req codec.ConnectRequest
	if err := codec.DecodeConnectRequest(p.fan.form, body, &req); err != nil {
		p.crowd.fault("%v", err)
	}
	p.session.ConnectUni(&req)
}

// resultOf is the answer to a connect command that says what the first push says.
func resultOf(c *codec.Connect) *codec.ConnectResult {
	return &codec.ConnectResult{
		Client: c.Client, Version: c.Version, Expires: c.Expires, TTL: c.TTL, Data: c.Data, Subs: c.Subs, Ping: c.Ping, Pong: c.Pong,
		Session: c.Session, Node: c.Node, Time: c.Time,
	}
}

// listening takes the first push.
func (f *fan) listening(in *content, c *codec.Connect) {
	if f.online || len(f.pipe.asked) != 1 {
		f.crowd.fault("%v: connected with %+v", f, c)
	}
	a := f.pipe.asked[0]
	f.connected(in, a, resultOf(c))
	f.pipe.forget(a)
	f.crowd.trace.Listens++
}

// mayEnd checks the reasons that end a client that only listens and others not, or not so.
func (p *pipe) mayEnd(d codec.Disconnect) bool {
	c := p.crowd
	asked := func(what func(*ask) bool) bool { return slices.ContainsFunc(p.asked, what) }
	switch d.Code {
	case codec.DisconnectExpired.Code: // at once
		if !asked(func(a *ask) bool { return a.late(c.wall) }) && (p.endAt.IsZero() || c.wall.Before(p.endAt.Add(-expirySlack))) {
			c.fault("%v: expired at %v, which should be at %v", p.fan, c.wall, p.endAt)
		}
		return true
	case codec.DisconnectServerError.Code:
		if !asked((*ask).refuses) {
			c.fault("%v: closed with %v", p.fan, d)
		}
		return true
	case codec.DisconnectNoPong.Code:
		c.fault("%v: closed for a pong", p.fan)
	}
	return false
}

// checkFarewell checks what the client is told of its end where that is a push.
func (p *pipe) checkFarewell(d codec.Disconnect) {
	farewell := p.session.AppendFarewell(nil, d)
	if d == codec.DisconnectConnectionClosed {
		if len(farewell) > 0 {
			p.crowd.fault("%v: it is told %q", p.fan, farewell)
		}
		return
	}
	var r codec.Reply
	rest, err := codec.DecodeReply(p.fan.form, farewell, &r)
	if err != nil || len(rest) > 0 || r.Push == nil || *r.Push.Disconnect != (codec.DisconnectPush{Code: d.Code, Reason: d.Reason}) {
		p.crowd.fault("%v: it is told %q of %v, %v", p.fan, farewell, d, err)
	}
}

// unheard is a connect that came to nothing because of a position. The client comes back without one.
func (f *fan) unheard() {
	for _, a := range f.pipe.asked {
		for _, part := range a.parts {
			part.sub.known = false
		}
	}
}
