package session

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

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
	refreshAt time.Time
}

func (f *fan) String() string { return fmt.Sprintf("fan %d (%s, %v)", f.index, f.user, f.form) }

// want adds a subscription that the fan will have.
func (f *fan) want(s *stream) {
	if f.find(s.name) != nil {
		return
	}
	tokens := s.name[0] == '$' || s.options.Namespace == "long" && f.crowd.one(20)
	f.subs = append(f.subs, &sub{fan: f, stream: s, wanted: true, tokens: tokens})
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
	if soon {
		life = 2 + f.crowd.rnd.IntN(20)
	}
	return time.Unix(f.crowd.wall.Unix()+int64(life), 0)
}

// mint makes a token for the connection, or for a channel if there is one.
func (f *fan) mint(channel string, end time.Time) string {
	claims := jwt.MapClaims{"sub": f.user, "exp": end.Unix()}
	if channel != "" {
		claims["channel"] = channel
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("secret"))
	if err != nil {
		f.crowd.fault("%v", err)
	}
	return token
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
	if !f.online {
		return
	}
	if !f.refreshAt.IsZero() && !c.wall.Before(f.refreshAt) {
		f.refresh()
	}
	for _, s := range f.subs {
		if !s.refreshAt.IsZero() && s.state == live && !c.wall.Before(s.refreshAt) {
			f.subRefresh(s)
		}
	}
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

// act is what the application does with its client.
func (f *fan) act() {
	c := f.crowd
	if f.pipe == nil || !f.online {
		return
	}
	s := f.subs[c.rnd.IntN(len(f.subs))]
	switch n := c.rnd.IntN(100); {
	case n < 45:
		f.pipe.ask(f.publish(s))
	case n < 55 && s.state == live:
		s.wanted = false
		f.pipe.ask(f.leave(s))
	case n < 60 && s.state == live: // leaves and comes back in one message
		commands := []codec.Command{f.publish(s), f.leave(s)}
		f.pipe.ask(append(commands, s.command(c.one(2)))...)
	case n < 75 && s.state == idle:
		s.wanted = true
		f.pipe.ask(f.publish(s), s.command(c.one(2)))
	case n < 90:
		f.cut()
	case n < 97:
		f.slow = !f.slow
	}
}

func (f *fan) leave(s *sub) codec.Command {
	s.state, s.still = leaving, true
	id := f.pipe.await(ask{method: codec.MethodUnsubscribe, sub: s})
	return codec.Command{ID: id, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: s.stream.name}}
}

func (f *fan) publish(s *sub) codec.Command {
	data := f.crowd.newPost(f.pipe)
	a := ask{method: codec.MethodPublish, sub: s, post: len(f.crowd.posts) - 1}
	if s.state == live {
		a.life = s.life
	}
	return codec.Command{ID: f.pipe.await(a), Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: s.stream.name, Data: data}}
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
	}
	f.lost(delay)
}

func (f *fan) obeyed(d codec.Disconnect) {
	o := f.crowd.orderOf(d.Reason)
	if o == nil || o.code != d.Code || !o.isFor(f) {
		f.crowd.fault("%v: closed with %v, by order %+v", f, d, o)
	}
	for _, s := range f.subs {
		if s.state == live {
			s.obeyed(o)
		}
	}
}

// summon remembers an order that must be obeyed.
func (f *fan) summon(o *summons) {
	f.pipe.summoned = f.pipe.summoned || o.ends()
	for _, s := range f.subs {
		if s.state == live && (o.channel == "" || o.channel == s.stream.name) {
			s.summoned, s.summonedAt = s.life, o.when
		}
	}
}

// lost is the end of a connection, for whatever reason; the fan comes back after some ticks.
func (f *fan) lost(ticks int) {
	f.pipe, f.online = nil, false
	f.back = f.crowd.now + loop.Time(ticks)
	for _, s := range f.subs {
		s.state, s.still = idle, false
		s.refreshAt = time.Time{}
	}
}

// hear takes one message of the server.
func (f *fan) hear(p *pipe, r *codec.Reply) {
	if f.pipe != p {
		return // it has been cut while it read
	}
	switch {
	case r.Push != nil:
		f.pushed(r.Push)
	case r.ID == 0:
		p.ask(codec.Command{})
	default:
		a := p.find(r.ID)
		f.answered(a, r)
		p.forget(a)
	}
}

func (f *fan) pushed(x *codec.Push) {
	s := f.find(x.Channel)
	switch {
	case s == nil:
		f.crowd.fault("%v: a push in channel %q", f, x.Channel)
	case x.Pub != nil:
		s.follow(x.Pub)
	case x.Unsubscribe != nil:
		s.told(x.Unsubscribe)
	default:
		f.crowd.fault("%v: what push is this in %s? %+v", f, x.Channel, x)
	}
}

func (f *fan) answered(a *ask, r *codec.Reply) {
	switch {
	case r.Error != nil:
		f.refused(a, r.Error)
	case r.Connect != nil && a.method == codec.MethodConnect:
		f.connected(a, r.Connect)
	case r.Subscribe != nil && a.method == codec.MethodSubscribe:
		a.sub.subscribed(a, r.Subscribe)
	case r.Unsubscribe != nil && a.method == codec.MethodUnsubscribe:
		if a.sub.still = false; a.sub.state == leaving {
			a.sub.state = idle
		}
	case r.Publish != nil && a.method == codec.MethodPublish:
		f.published(a)
	case r.Refresh != nil && a.method == codec.MethodRefresh:
		f.pipe.endAt = a.end
		f.refreshAt = f.crowd.wall.Add(time.Duration(r.Refresh.TTL) * time.Second)
	case r.SubRefresh != nil && a.method == codec.MethodSubRefresh:
		if a.sub.life == a.life {
			a.sub.endAt = a.end
			a.sub.refreshAt = f.crowd.wall.Add(time.Duration(r.SubRefresh.TTL) * time.Second)
		}
	default:
		f.crowd.fault("%v: %+v answers %+v", f, r, a)
	}
}

func (f *fan) connected(a *ask, r *codec.ConnectResult) {
	f.online, f.pipe.client = true, r.Client
	f.crowd.trace.Connects++
	if r.Expires == a.end.IsZero() || !r.Pong || r.Ping != 25 {
		f.crowd.fault("%v: connected with %+v, its token ends at %v", f, r, a.end)
	}
	if r.Expires && !f.forgetful {
		f.refreshAt = f.crowd.wall.Add(time.Duration(r.TTL) * time.Second)
	}
	var commands []codec.Command
	for _, s := range f.subs {
		if s.wanted {
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
	if a.life > 0 && s.state == live && s.life == a.life && s.last < x.index && !s.broken() {
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
	case a.method == codec.MethodSubscribe && e.Code == codec.ErrorUnrecoverablePosition.Code && s.state == asked:
		s.state, s.known = idle, false
		f.pipe.ask(s.command(false))
	case a.method == codec.MethodSubRefresh && e.Code == codec.ErrorPermissionDenied.Code && (s.state != live || s.life != a.life):
	default:
		f.crowd.fault("%v: %+v was answered with %+v", f, a, e)
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
	if f.pipe != nil && !f.pipe.endAt.IsZero() {
		f.refreshAt = f.crowd.wall
	}
	for _, s := range f.subs {
		if s.wanted = true; !s.endAt.IsZero() {
			s.refreshAt = f.crowd.wall
		}
	}
}

// settled reports that the fan is online with everything it wants. In the end it asks for what it had given up.
func (f *fan) settled() bool {
	if f.pipe == nil || !f.online {
		return false
	}
	for _, s := range f.subs {
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
