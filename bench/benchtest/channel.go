package benchtest

import (
	"slices"

	"stentor/codec"
)

// epoch is that of all channels.
const epoch = "epoch1"

// channel is its subscribers and, with history, its last publications.
type channel struct {
	subscribers []subscriber
	count       int // publications so far
	kept        []*codec.Publication
	held        *codec.Publication // until the next has been sent
}

type subscriber struct {
	*client
	joinLeave bool
}

func (ch *channel) has(c *client) bool {
	return slices.ContainsFunc(ch.subscribers, func(s subscriber) bool { return s.client == c })
}

// channel finds a channel. The caller holds the lock.
func (s *Server) channel(name string) *channel {
	ch := s.channels[name]
	if ch == nil {
		ch = &channel{}
		s.channels[name] = ch
	}
	return ch
}

// subscribe answers one request. The caller holds the lock.
func (s *Server) subscribe(c *client, r *codec.SubscribeRequest) *codec.Reply {
	name := string([]byte(r.Channel))
	ch := s.channel(name)
	switch {
	case name == s.cfg.Deny:
		return &codec.Reply{Error: codec.ErrorPermissionDenied}
	case ch.has(c):
		return &codec.Reply{Error: codec.ErrorAlreadySubscribed}
	}
	s.announce(name, &codec.Push{Channel: name, Join: &codec.Join{Info: &codec.ClientInfo{Client: "c"}}})
	ch.subscribers = append(ch.subscribers, subscriber{c, r.JoinLeave})
	result := &codec.SubscribeResult{}
	if s.cfg.History > 0 && r.Recoverable {
		*result = codec.SubscribeResult{Recoverable: true, Positioned: true, Epoch: epoch, Offset: uint64(ch.count), WasRecovering: r.Recover}
		if missed := ch.count - int(r.Offset); r.Recover && r.Epoch == epoch && missed <= len(ch.kept) && !s.cfg.Forgets {
			result.Recovered, result.Offset, result.Publications = true, r.Offset, ch.kept[len(ch.kept)-missed:]
		}
	}
	return &codec.Reply{Subscribe: result}
}

// leave takes c off a channel. The caller holds the lock.
func (s *Server) leave(name string, c *client) {
	ch := s.channel(name)
	if !ch.has(c) {
		return
	}
	ch.subscribers = slices.DeleteFunc(ch.subscribers, func(s subscriber) bool { return s.client == c })
	s.announce(name, &codec.Push{Channel: name, Leave: &codec.Leave{Info: &codec.ClientInfo{Client: "c"}}})
}

// announce sends a join or leave to those who asked for them. The caller holds the lock.
func (s *Server) announce(name string, p *codec.Push) {
	if p.Join != nil {
		if s.joins++; s.joins == s.cfg.LoseJoin {
			return
		}
	}
	for _, sub := range s.channel(name).subscribers {
		if !sub.joinLeave {
			continue
		}
		if text, err := codec.AppendPush(nil, sub.form, p); err == nil {
			sub.send(text)
		}
	}
}

// Publish sends data to the subscribers of a channel.
func (s *Server) Publish(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channel(name)
	ch.count++
	p := &codec.Publication{Data: slices.Clone(data)}
	if s.cfg.History > 0 {
		p.Offset = uint64(ch.count)
		ch.kept = append(ch.kept, p)
		ch.kept = ch.kept[max(0, len(ch.kept)-s.cfg.History):]
	}
	if ch.count == s.cfg.SwapAt {
		ch.held = p
		return
	}
	s.fanOut(name, ch, p)
	if ch.held != nil {
		s.fanOut(name, ch, ch.held)
		ch.held = nil
	}
}

// fanOut sends p with the faults that are asked for. The caller holds the lock.
func (s *Server) fanOut(name string, ch *channel, p *codec.Publication) {
	for i, sub := range ch.subscribers {
		if i == 0 && s.cfg.LoseEvery > 0 && ch.count%s.cfg.LoseEvery == 0 {
			continue
		}
		text, err := codec.AppendPublication(nil, sub.form, name, p)
		if err != nil {
			return
		}
		sub.send(text)
		if ch.count == s.cfg.TwiceAt {
			sub.send(text)
		}
	}
}
