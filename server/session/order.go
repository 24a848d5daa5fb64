package session

import (
	"slices"

	"stentor/codec"
	"stentor/server/hub"
)

// Target says which sessions an order is for: those of a user, or fewer.
type Target struct {
	User      string   // the empty user is the anonymous one
	Client    string   // public client id; empty matches all
	Whitelist []string // client ids that are spared
}

func (t Target) matches(s *Session) bool {
	if s.state != connected || t.User != s.user {
		return false
	}
	if t.Client == "" && len(t.Whitelist) == 0 {
		return true
	}
	id := s.clientID()
	return (t.Client == "" || t.Client == id) && !slices.Contains(t.Whitelist, id)
}

// Disconnect orders sessions to end.
type Disconnect struct {
	Target
	codec.Disconnect
}

// Unsubscribe orders sessions to leave a channel, or all of them when Channel is empty.
type Unsubscribe struct {
	Target
	Channel string
	codec.Unsubscribe
}

// published is the reply to a publish command that waited behind its publication.
type published uint32

// failure is what Fail noted.
type failure struct {
	sub *hub.Subscription
	why hub.Failure
}

// deferred is an order that waits until all that the session's channels had in store has been handed out: who publishes and then
// disconnects wants the publication delivered.
type deferred struct {
	left  int // channels that are not through yet
	order any
}

// passed tells a session that one channel that its deferred order waited for is through.
type passed struct{ order *deferred }

// Order does what another goroutine, or the session itself, left in the loop's mailbox.
func (s *Session) Order(what any) {
	if s.state == closed {
		return
	}
	s.begin()
	switch order := what.(type) {
	case published:
		s.replyPublished(uint32(order))
	case failure:
		s.broke(order)
	case passed:
		if order.order.left--; order.order.left == 0 {
			s.obey(order.order.order)
		}
	case Disconnect:
		if order.matches(s) {
			s.afterWaiting(order, "")
		}
	case Unsubscribe:
		if order.matches(s) {
			s.afterWaiting(order, order.Channel)
		}
	case codec.Disconnect: // of the node itself: shutdown
		s.close(order)
	}
	s.flush()
}

// afterWaiting obeys order once every channel (or the one named) has handed out what waits in it now.
func (s *Session) afterWaiting(order any, channel string) {
	d := &deferred{order: order}
	wait := func(sub *hub.Subscription) {
		if sub != nil && sub.Channel().Pending() {
			d.left++
			s.node.Table.Behind(sub.Channel(), s.handle, passed{d})
		}
	}
	if channel != "" {
		wait(s.find(channel))
	} else {
		for sub := s.subs; sub != nil; sub = sub.Next {
			wait(sub)
		}
	}
	if d.left == 0 {
		s.obey(order)
	}
}

func (s *Session) obey(what any) {
	switch order := what.(type) {
	case Disconnect:
		s.close(order.Disconnect)
	case Unsubscribe:
		if order.Channel != "" {
			if sub := s.find(order.Channel); sub != nil {
				s.dropTelling(sub, order.Unsubscribe)
			}
			return
		}
		for s.subs != nil {
			s.dropTelling(s.subs, order.Unsubscribe)
		}
	}
}

// broke ends what fan-out could not go on with.
func (s *Session) broke(f failure) {
	if !s.holds(f.sub) {
		return // it was unsubscribed meanwhile
	}
	if f.why == hub.Unencodable {
		s.close(codec.DisconnectInappropriateProtocol)
		return
	}
	s.dropTelling(f.sub, codec.UnsubscribeInsufficient)
}
