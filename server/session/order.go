package session

import (
	"slices"

	"stentor/codec"
	"stentor/server/auth"
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

// Subscribe orders sessions to subscribe to a channel, whatever their rights. Its strings and bytes may be kept; the sessions that
// it is for share them.
type Subscribe struct {
	Target
	Channel  string
	Info     []byte // channel info, JSON; nil is none
	Data     []byte // for the subscribe push, JSON; nil is none
	ExpireAt int64  // unix seconds at which the subscription expires; 0 is never
	// RecoverSince is the position from which on missed publications are pushed; nil does not recover.
	RecoverSince *codec.StreamPosition
	Override     auth.Override
}

// Refresh says when sessions expire from now on, or ends them.
type Refresh struct {
	Target
	Expired  bool   // to close with 3005
	ExpireAt int64  // unix seconds; 0 is never
	Info     []byte // connection info from now on, JSON; nil leaves it
}

// published is the reply to a publish command that waited behind its publication.
type published uint32

// failure is what Fail noted.
type failure struct {
	sub *hub.Subscription
	why hub.Failure
}

// Order does what another goroutine, or the session itself, left in the loop's mailbox.
func (s *Session) Order(what any) {
	if s.state == closed {
		return
	}
	s.begin()
	if s.postpones(what) {
		s.postpone(what)
	} else {
		s.act(what)
	}
	s.flush()
}

// act is Order for a session that is ready.
func (s *Session) act(what any) {
	switch order := what.(type) {
	case published:
		s.replyPublished(uint32(order))
	case publishedFar:
		s.publishedFar(order)
	case hub.Outcome:
		s.live(order)
	case *entering:
		s.enteredFar(order)
	case stillPresent:
		s.stayPresent()
	case failure:
		s.broke(order)
	case resumed:
		s.fetched(order.fault)
	case encoded:
		s.answer(order)
	case Disconnect:
		if order.matches(s) {
			for sub := s.subs; sub != nil; sub = sub.Next {
				s.node.Table.CatchUp(sub)
			}
			s.close(order.Disconnect)
		}
	case Unsubscribe:
		if order.matches(s) {
			s.obey(order)
		}
	case Subscribe:
		if order.matches(s) {
			s.takeIn(order)
		}
	case Refresh:
		if order.matches(s) {
			s.renew(order)
		}
	case commands:
		s.takeEmulated(order)
	case last:
		if s.outdone(order) {
			s.close(codec.DisconnectConnectionLimit)
		}
	case codec.Disconnect: // of the node itself: shutdown
		s.close(order)
	}
}

// obey leaves the channels that an order names. What was published before the order is delivered first, what comes after it is
// not: all of it came through the same mailbox.
func (s *Session) obey(order Unsubscribe) {
	leave := func(sub *hub.Subscription) {
		s.node.Table.CatchUp(sub)
		if s.state != closed {
			s.dropTelling(sub, order.Unsubscribe)
		}
	}
	if order.Channel != "" {
		if sub := s.find(order.Channel); sub != nil {
			leave(sub)
		}
		return
	}
	for s.subs != nil {
		leave(s.subs)
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
	if f.sub.Own()&serverSide != 0 { // its client cannot subscribe again by itself
		s.close(codec.DisconnectInsufficientState)
		return
	}
	s.dropTelling(f.sub, codec.UnsubscribeInsufficient)
}
