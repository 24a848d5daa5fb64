package session

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

// fan is one client, as a client SDK behaves: it comes back when it is cut, recovers from where it stood, answers pings, renews
// its tokens unless it is forgetful, and does what codes tell it.
type fan struct {
	crowd     *crowd
	index     int
	user      string
	form      codec.Form
	subs      []*sub
	pipe      *pipe // nil while it is offline
	online    bool  // connect was answered
	back      loop.Time
	tokens    bool // connects with tokens that expire
	forgetful bool
	slow      bool
	listens   bool   // and does nothing else
	elsewhere bool   // its commands go where its pipe does not
	info      string // of its connections, by its tokens
	refreshAt time.Time
	remindAt  time.Time // nothing is to be refreshed before; zero if nothing is at all
}

func (f *fan) String() string { return fmt.Sprintf("fan %d (%s, %v)", f.index, f.user, f.form) }

// want adds a subscription that the fan will have.
func (f *fan) want(s *stream) {
	if f.find(s.name) == nil {
		c := f.crowd
		f.add(&sub{stream: s, wanted: true, tokens: s.name[0] == '$' || s.options.Namespace == "long" && c.one(20)})
	}
}

// add adds a subscription, with what it asks for where it may.
func (f *fan) add(s *sub) *sub {
	c := f.crowd
	s.fan, s.value = f, -1
	s.asksRecovery, s.asksDelta, s.asksJoins = c.one(2), c.one(2), c.one(2)
	if s.stream.options.AllowTagsFilter && !c.one(3) {
		s.asksFilter = choosings[c.rnd.IntN(len(choosings))]
	}
	f.subs = append(f.subs, s)
	return s
}

func (f *fan) find(channel string) *sub {
	for _, s := range f.subs {
		if s.stream.name == channel {
			return s
		}
	}
	return nil
}

// headerUser is what a proxy in front says of a client without a token.
func (f *fan) headerUser() string {
	if f.tokens {
		return ""
	}
	return f.user
}

// nextEnd is when the fan's next token ends: soon after it will be renewed, if it will.
func (f *fan) nextEnd(soon bool) time.Time {
	life := 20 + f.crowd.rnd.IntN(40)
	switch {
	case f.listens && f.crowd.calm:
		life = 1000 // it comes back when its token ends, and would never come to rest
	case soon:
		life = 2 + f.crowd.rnd.IntN(20)
	}
	return time.Unix(f.crowd.wall.Unix()+int64(life), 0)
}

// mint makes a token for the connection, or for a channel if there is one. A run makes so many that a library would take a tenth of
// its time.
func (f *fan) mint(channel string, end time.Time) string {
	claims := fmt.Appendf(nil, `{"sub":"%s","exp":%d`, f.user, end.Unix())
	switch {
	case channel != "":
		claims = fmt.Appendf(claims, `,"channel":"%s"`, channel)
	case f.info != "":
		claims = fmt.Appendf(claims, `,"info":%s,"channels":["%s"]`, f.info, strings.Join(f.channels(), `","`))
	}
	token := base64.RawURLEncoding.AppendEncode([]byte(tokenHead), append(claims, '}'))
	mac := f.crowd.mac
	mac.Reset()
	mac.Write(token) // fails never
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), mac.Sum(nil)))
}

// tokenHead is {"alg":"HS256"} and the dot behind it.
const tokenHead = "eyJhbGciOiJIUzI1NiJ9."

// channels are those of the fan's tokens.
func (f *fan) channels() (names []string) {
	for _, s := range f.subs {
		if s.named {
			names = append(names, s.stream.name)
		}
	}
	return names
}

// wake does what time brings.
func (f *fan) wake() {
	c := f.crowd
	if f.pipe == nil {
		if f.back <= c.now {
			f.connect()
		}
		return
	}
	if f.remindAt.IsZero() || c.wall.Before(f.remindAt) || !f.online {
		return
	}
	f.remindAt = time.Time{}
	if f.due(f.refreshAt) {
		f.refresh()
	}
	for _, s := range f.subs {
		if f.due(s.refreshAt) && s.state == live {
			f.subRefresh(s)
		}
	}
}

// due reports that at has come, and sees to it that fan is woken then if it has not.
func (f *fan) due(at time.Time) bool {
	if !at.IsZero() && f.crowd.wall.Before(at) {
		f.remind(at)
		return false
	}
	return !at.IsZero()
}

// remind has the fan look at what it refreshes at a moment, which it returns.
func (f *fan) remind(at time.Time) time.Time {
	if f.remindAt.IsZero() || at.Before(f.remindAt) {
		f.remindAt = at
	}
	return at
}

// in is the end of seconds from now, of which the fan is reminded.
func (f *fan) in(seconds uint32) time.Time {
	return f.remind(f.crowd.wall.Add(time.Duration(seconds) * time.Second))
}

func (f *fan) connect() {
	f.pipe = f.crowd.openPipe(f)
	f.refreshAt = time.Time{}
	a := ask{method: codec.MethodConnect}
	var req codec.ConnectRequest
	if f.tokens {
		a.end = f.nextEnd(f.forgetful)
		req.Token = f.mint("", a.end)
	}
	f.pipe.endAt = a.end
	f.bring(&a, &req)
	if f.listens {
		f.pipe.listen(a, &req)
		return
	}
	f.pipe.ask(codec.Command{ID: f.pipe.await(a), Method: codec.MethodConnect, Connect: req})
}

func (f *fan) refresh() {
	f.refreshAt = time.Time{}
	a := ask{method: codec.MethodRefresh, end: f.nextEnd(false)}
	f.pipe.ask(codec.Command{ID: f.pipe.await(a), Method: codec.MethodRefresh, Refresh: codec.RefreshRequest{Token: f.mint("", a.end)}})
}

func (f *fan) subRefresh(s *sub) {
	s.refreshAt = time.Time{}
	a := ask{method: codec.MethodSubRefresh, sub: s, life: s.life, end: f.nextEnd(false)}
	req := codec.SubRefreshRequest{Channel: s.stream.name, Token: f.mint(s.stream.name, a.end)}
	f.pipe.ask(codec.Command{ID: f.pipe.await(a), Method: codec.MethodSubRefresh, SubRefresh: req})
}

// cut is the network failing, in the middle of whatever is under way: some frames may still get through.
func (f *fan) cut() {
	if p := f.pipe; p != nil {
		if len(p.down) > 0 && !f.crowd.calm {
			p.read(f.crowd.rnd.IntN(len(p.down)))
		}
		if f.pipe == p { // it has not read of its end
			p.drop()
			f.lost(f.crowd.rnd.IntN(1 + f.crowd.rnd.IntN(100)))
		}
	}
}

// ended is the server closing the connection. Everything before an order has come, nothing that came after it.
func (f *fan) ended(d codec.Disconnect) {
	c := f.crowd
	c.trace.Ends++
	c.trace.note(f.index, int(d.Code))
	delay := c.rnd.IntN(20)
	switch d.Code {
	case 3503, 4501:
		delay = 50 + c.rnd.IntN(100) // until the application wants it again
		fallthrough
	case 3011, 4000:
		f.obeyed(d)
	case codec.DisconnectInsufficientState.Code:
		f.unplaced()
	case codec.DisconnectSubExpired.Code:
		f.overdue()
	case codec.DisconnectServerError.Code:
		f.unheard()
	}
	f.lost(delay)
}

// lost is the end of a connection, for whatever reason; the fan comes back after some ticks.
func (f *fan) lost(ticks int) {
	if f.crowd.calm {
		ticks = min(ticks, 5)
	}
	f.pipe, f.online = nil, false
	f.back = f.crowd.now + loop.Time(ticks)
	for _, s := range f.subs {
		s.state, s.still = idle, false
		s.endAt, s.refreshAt = time.Time{}, time.Time{}
	}
}

// hear takes one message of the server.
func (f *fan) hear(p *pipe, in *content, r *codec.Reply) {
	if f.pipe != p {
		return // it has been cut while it read
	}
	switch {
	case r.Push != nil && r.Push.Connect != nil:
		f.listening(in, r.Push.Connect)
	case r.Push != nil:
		f.pushed(in, r.Push)
	case r.ID == 0 && f.listens:
	case r.ID == 0:
		p.ask(codec.Command{})
	default:
		a := p.find(r.ID)
		if a.method != codec.MethodPublish {
			if a.id < p.heardID {
				f.crowd.fault("%v: command %d was answered after %d", f, a.id, p.heardID)
			}
			p.heardID = a.id
		}
		f.answered(in, a, r)
		p.forget(a)
	}
}

func (f *fan) pushed(in *content, x *codec.Push) {
	s := f.find(x.Channel)
	switch {
	case s == nil:
		f.crowd.fault("%v: a push in channel %q", f, x.Channel)
	case x.Pub != nil:
		s.follow(in, x.Pub)
	case x.Join != nil:
		s.meet(joins, x.Join.Info)
	case x.Leave != nil:
		s.meet(leaves, x.Leave.Info)
	case x.Unsubscribe != nil:
		s.told(x.Unsubscribe)
	case x.Subscribe != nil:
		f.given(x)
	default:
		f.crowd.fault("%v: what push is this in %s? %+v", f, x.Channel, x)
	}
}

func (f *fan) answered(in *content, a *ask, r *codec.Reply) {
	s := a.sub
	switch {
	case r.Error != nil:
		f.refused(a, r.Error)
	case r.Connect != nil && a.method == codec.MethodConnect:
		f.connected(in, a, r.Connect)
	case r.Subscribe != nil && a.method == codec.MethodSubscribe:
		s.subscribed(in, a, r.Subscribe)
	case r.Unsubscribe != nil && a.method == codec.MethodUnsubscribe:
		if s.still = false; s.state == leaving {
			s.state = idle
		}
		s.wanted = s.wanted && !s.server
	case r.Publish != nil && a.method == codec.MethodPublish:
		f.published(a)
	case r.Refresh != nil && a.method == codec.MethodRefresh:
		f.pipe.endAt = a.end
		f.refreshAt = f.in(r.Refresh.TTL)
	case r.SubRefresh != nil && a.method == codec.MethodSubRefresh:
		if s.life == a.life {
			s.endAt = a.end
			s.refreshAt = f.in(r.SubRefresh.TTL)
		}
	case r.History != nil && a.method == codec.MethodHistory:
		s.listed(a, r.History)
	case r.Presence != nil && a.method == codec.MethodPresence, r.PresenceStats != nil && a.method == codec.MethodPresenceStats:
	default:
		f.crowd.fault("%v: %+v answers %+v", f, r, a)
	}
}

func (f *fan) connected(in *content, a *ask, r *codec.ConnectResult) {
	f.online, f.pipe.client = true, r.Client
	f.crowd.trace.Connects++
	secret := f.listens || f.elsewhere
	if r.Expires == a.end.IsZero() || r.Pong == f.listens || r.Ping != 25 || r.Client != f.pipe.id || secret != (r.Session != "") {
		f.crowd.fault("%v: connected with %+v, its token ends at %v", f, r, a.end)
	}
	if r.Expires && !f.forgetful && !f.listens {
		f.refreshAt = f.in(r.TTL)
	}
	for _, part := range a.parts {
		part.sub.subscribed(in, part, r.Subs[part.sub.stream.name])
	}
	var commands []codec.Command
	for _, s := range f.subs {
		if s.wanted && !s.server {
			commands = append(commands, s.command(true))
		}
	}
	if len(commands) > 0 {
		f.pipe.ask(commands...)
	}
}

// published is the answer to publish: a subscriber has had its own publication by now.
func (f *fan) published(a *ask) {
	x, s := &f.crowd.posts[a.post], a.sub
	if x.stream != s.stream {
		f.crowd.fault("%v: publication %d was answered and did not take place", f, a.post)
	}
	if a.life > 0 && s.state == live && s.life == a.life && s.last < x.index && s.takes(x) && !s.broken() {
		s.fault("publication %d was answered and has not come", a.post)
	}
}

// refused takes an error, which must have a reason.
func (f *fan) refused(a *ask, e *codec.Error) {
	s := a.sub
	switch {
	case e.Code == codec.ErrorTokenExpired.Code && a.late(f.crowd.wall): // on the way, as the lane lags
		f.renew(a)
	case a.method == codec.MethodPublish && e.Code == codec.ErrorPermissionDenied.Code && !s.stream.options.Publish.Client:
		if f.crowd.posts[a.post].stream != nil || s.state == live && s.life == a.life && s.stream.options.Publish.Subscriber {
			s.fault("publication %d was refused", a.post)
		}
	case a.method >= codec.MethodPresence && a.method <= codec.MethodHistory && e.Code == codec.ErrorPermissionDenied.Code &&
		(s.state != live || s.life != a.life || a.life == 0):
	case a.method == codec.MethodConnect && e.Code == codec.ErrorUnrecoverablePosition.Code:
		f.unwelcome(a)
	case a.method == codec.MethodSubscribe && e.Code == codec.ErrorUnrecoverablePosition.Code && s.state == asked:
		s.state, s.known = idle, false
		f.pipe.ask(s.command(false))
	case a.method == codec.MethodSubRefresh && e.Code == codec.ErrorPermissionDenied.Code && (s.state != live || s.life != a.life):
	default:
		f.crowd.fault("%v: %+v was answered with %+v", f, a, e)
	}
}

// unwelcome is a connect that was refused because of a position. The client goes, or waits until it is sent away.
func (f *fan) unwelcome(a *ask) {
	for _, part := range a.parts {
		part.sub.known = false
	}
	if c := f.crowd; c.calm || c.one(2) {
		f.pipe.drop()
		f.lost(1)
	}
}

// renew asks again with a new token.
func (f *fan) renew(a *ask) {
	switch a.method {
	case codec.MethodConnect:
		f.pipe.drop()
		f.lost(1)
	case codec.MethodSubscribe:
		f.pipe.ask(a.sub.command(true))
	case codec.MethodSubRefresh:
		if a.sub.state == live && a.sub.life == a.life {
			f.subRefresh(a.sub)
		}
	}
}

// calmDown makes the fan want all it has, read everything and renew its tokens.
func (f *fan) calmDown() {
	f.slow, f.forgetful = false, false
	f.back = min(f.back, f.crowd.now)
	if f.pipe != nil && !f.pipe.endAt.IsZero() && !f.listens {
		f.refreshAt = f.in(0)
	}
	for _, s := range f.subs {
		if s.server {
			continue
		}
		if s.wanted = true; !s.endAt.IsZero() {
			s.refreshAt = f.in(0)
		}
	}
}

// settled reports that the fan is online with everything it wants. In the end it asks for what it had given up.
func (f *fan) settled() bool {
	if f.pipe == nil || !f.online {
		return false
	}
	for _, s := range f.subs {
		if s.server {
			continue
		}
		if s.state == idle {
			s.wanted = true
			f.pipe.ask(s.command(true))
		}
		if s.state != live {
			return false
		}
	}
	return len(f.pipe.asked) == 0
}

func (f *fan) checkEnd() {
	if f.pipe.summoned {
		f.crowd.fault("%v: still there in spite of an order", f)
	}
	for _, s := range f.subs {
		s.checkEnd()
	}
	if end := f.pipe.endAt; !end.IsZero() && f.crowd.wall.After(end.Add(expiryGrace+expirySlack)) {
		f.crowd.fault("%v: still there, and its token's time was over at %v", f, end)
	}
}
