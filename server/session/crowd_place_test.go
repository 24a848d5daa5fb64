package session

import (
	"context"
	"iter"
	"strconv"

	"stentor/codec"
)

// members are the connections that are subscribed to the stream at this moment, whatever their clients know.
func (s *stream) members() (members []*pipe) {
	for p := range s.crowd.connections() {
		if p.session.find(s.name) != nil {
			members = append(members, p)
		}
	}
	return members
}

// connections are those that the server has.
func (c *crowd) connections() iter.Seq[*pipe] {
	return func(yield func(*pipe) bool) {
		for _, f := range c.fans {
			if p := f.pipe; p != nil && p.session.state == connected && !yield(p) {
				return
			}
		}
		for _, p := range c.cuts {
			if p.session.state == connected && !yield(p) {
				return
			}
		}
	}
}

// checkPlaces checks all streams.
func (c *crowd) checkPlaces() {
	members := map[*stream][]*pipe{}
	for p := range c.connections() {
		for sub := p.session.subs; sub != nil; sub = sub.Next {
			s := c.byName[sub.Name()]
			members[s] = append(members[s], p)
		}
	}
	for _, s := range c.streams {
		s.checkPlace(members[s])
	}
}

// checkPlace compares what the server says of who is in the channel with who is. It holds between any two calls of the server.
func (s *stream) checkPlace(members []*pipe) {
	c, ctx := s.crowd, context.Background()
	if n := c.node.Table.Subscribers(s.name); n != len(members) {
		c.fault("%s: %d subscribers, want %d", s.name, n, len(members))
	}
	present, err := c.node.Presence.Presence(ctx, s.name)
	stats, again := c.node.Presence.PresenceStats(ctx, s.name)
	if err != nil || again != nil {
		c.fault("%s: %v, %v", s.name, err, again)
	}
	if !s.options.Presence {
		members = nil
	}
	s.checkPresence(present, members, nil)
	if users := usersOf(members); stats.Clients != len(members) || stats.Users != users {
		c.fault("%s: %+v, want %d of %d users", s.name, stats, len(members), users)
	}
	if s.options.JoinLeave {
		s.checkInside(members)
	}
}

// checkInside: whoever is subscribed has joined, and nobody else. A panic may come between.
func (s *stream) checkInside(members []*pipe) {
	in := 0
	for _, p := range members {
		if s.inside[p.id] {
			in++
		} else if !p.stumbled {
			s.crowd.fault("%s: %v has not joined", s.name, p.fan)
		}
	}
	if in != len(s.inside) {
		s.crowd.fault("%s: %d have joined and not left, want %d: %v", s.name, len(s.inside), in, s.inside)
	}
}

// checkPresence compares a list of clients with who is subscribed, except for one of them if there is one.
func (s *stream) checkPresence(present map[string]*codec.ClientInfo, members []*pipe, except *pipe) {
	c, n := s.crowd, len(present)
	if except != nil && present[except.id] != nil {
		n--
	}
	for _, p := range members {
		if p == except {
			continue
		}
		n--
		info := present[p.id]
		if info == nil {
			c.fault("%s: %v is not present", s.name, p.fan)
		}
		p.fan.checkInfo(p, info)
	}
	if n != 0 {
		c.fault("%s: %d more are present than are subscribed: %v", s.name, n, present)
	}
}

func usersOf(members []*pipe) int {
	users := map[string]bool{}
	for _, p := range members {
		users[p.fan.user] = true
	}
	return len(users)
}

// judgePresence compares an answer with who is subscribed at this moment. Of the client itself it says nothing: it may have done more
// in the same message.
func (p *pipe) judgePresence(a *ask, r *codec.Reply) {
	s := a.sub.stream
	members := s.members()
	if r.Presence != nil {
		s.checkPresence(r.Presence.Presence, members, p)
		return
	}
	got := r.PresenceStats
	if n, users := len(members), usersOf(members); int(got.NumClients) < n-1 || int(got.NumClients) > n+1 || int(got.NumUsers) < users-1 || int(got.NumUsers) > users+1 {
		p.crowd.fault("%s: %+v, want %d of %d users", s.name, got, n, users)
	}
}

// checkInfo checks what is said of a client.
func (f *fan) checkInfo(p *pipe, info *codec.ClientInfo) {
	if info.User != f.user || info.Client != p.id || string(info.ConnInfo) != f.info {
		f.crowd.fault("%v: it is said to be %+v", f, info)
	}
}

// listed takes an answer to history: one publication after the other, up to the top unless there are more than were asked for.
func (s *sub) listed(a *ask, r *codec.HistoryResult) {
	c := s.fan.crowd
	c.trace.Lists++
	last := uint64(0)
	for _, p := range r.Publications {
		number, err := c.whole(p.Data)
		if err != nil {
			s.fault("history: %v", err)
		}
		x := &c.posts[number]
		if x.stream != s.stream || x.epoch != r.Epoch || x.offset != p.Offset || last != 0 && x.offset != last+1 {
			s.fault("history: %+v came as offset %d, after %d in epoch %s", *x, p.Offset, last, r.Epoch)
		}
		last = x.offset
	}
	if n := len(r.Publications); n > a.limit || n < a.limit && n > 0 && last != r.Offset {
		s.fault("history: %d publications up to %d of %d", n, last, r.Offset)
	}
}

// meet takes a join or leave.
func (s *sub) meet(m move, info *codec.ClientInfo) {
	c := s.fan.crowd
	number, err := strconv.Atoi(string(info.ChanInfo))
	if err != nil || number >= len(c.posts) || !s.on() {
		s.fault("%+v moves", info)
	}
	x := &c.posts[number]
	if x.move != m || x.by.id != info.Client {
		s.fault("move %d of %+v, but it is %+v", m, info, *x)
	}
	x.by.fan.checkInfo(x.by, info)
	s.hear(x)
	c.trace.Moves++
}
