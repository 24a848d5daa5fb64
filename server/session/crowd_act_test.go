package session

import (
	"slices"

	"stentor/codec"
)

// act is what the application does with its client.
func (f *fan) act() {
	c := f.crowd
	switch {
	case f.pipe == nil || !f.online:
		return
	case f.pipe.busy(): // commands would be held back, and a publication behind a subscribe would come before its reply is judged
		if c.one(4) {
			f.cut()
		}
		return
	}
	if f.listens {
		if f.slow = f.slow != c.one(8); c.one(6) {
			f.cut()
		}
		return
	}
	s := f.subs[c.rnd.IntN(len(f.subs))]
	switch n := c.rnd.IntN(100); {
	case n < 35:
		f.pipe.ask(f.publish(s))
	case n < 45:
		f.ask()
	case n < 55 && s.state == live:
		s.wanted = false
		f.pipe.ask(f.leave(s))
	case n < 60 && s.state == live && !s.server: // leaves and comes back in one message
		commands := []codec.Command{f.publish(s), f.leave(s)}
		f.pipe.ask(append(commands, s.command(c.one(2)))...)
	case n < 75 && s.state == idle && !s.server:
		s.wanted = true
		f.pipe.ask(f.publish(s), s.command(c.one(2)))
	case n < 90:
		f.cut()
	case n < 97:
		f.slow = !f.slow
	}
}

// ask is a question about a channel that answers some.
func (f *fan) ask() {
	c := f.crowd
	i := slices.IndexFunc(f.subs, func(s *sub) bool {
		return s.stream.options.ReadHistory.Subscriber || s.stream.options.ReadPresence.Subscriber
	})
	if i < 0 {
		return
	}
	s := f.subs[i]
	a := ask{sub: s}
	if s.state == live {
		a.life = s.life
	}
	x, name := codec.Command{}, s.stream.name
	switch o := s.stream.options; {
	case o.ReadHistory.Subscriber && !c.one(3):
		a.method, a.limit = codec.MethodHistory, 3
		if c.one(2) {
			a.limit = entriesMax + 1
		}
		x.History = codec.HistoryRequest{Channel: name, Limit: int32(a.limit)}
	case !o.ReadPresence.Subscriber:
		return
	case c.one(2):
		a.method, x.Presence.Channel = codec.MethodPresence, name
	default:
		a.method, x.PresenceStats.Channel = codec.MethodPresenceStats, name
	}
	x.ID, x.Method = f.pipe.await(a), a.method
	commands := []codec.Command{x}
	if a.limit > entriesMax && s.state == live && !s.server { // these have to wait
		commands = append(commands, f.publish(s), f.leave(s), s.command(c.one(2)))
	}
	f.pipe.ask(commands...)
}

func (f *fan) leave(s *sub) codec.Command {
	s.state, s.still = leaving, true
	id := f.pipe.await(ask{method: codec.MethodUnsubscribe, sub: s})
	return codec.Command{ID: id, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: s.stream.name}}
}

func (f *fan) publish(s *sub) codec.Command {
	x := f.crowd.newPost(s.stream, f.pipe)
	a := ask{method: codec.MethodPublish, sub: s, post: x.number}
	if s.state == live {
		a.life = s.life
	}
	return codec.Command{ID: f.pipe.await(a), Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: s.stream.name, Data: []byte(x.data)}}
}

// busy reports that the server is about to make a large reply, or may be.
func (p *pipe) busy() bool {
	return slices.ContainsFunc(p.asked, func(a *ask) bool { return a.limit > entriesMax })
}
