package session

import (
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/hub"
	"stentor/server/metrics"
)

// extra is what few sessions have.
type extra struct {
	info  []byte                       // connection info, attached to what the client publishes
	terms []terms                      // of subscriptions that have some
	index map[string]*hub.Subscription // by channel, once there are many
	held  *held                        // while work is under way off the loop

	tokenChannels []string  // server-side subscriptions that the token named
	filterBytes   int       // that the tags filters of all subscriptions take
	rested        time.Time // when the bucket of its command rate is full again
	place         uint64    // among the user's sessions, where only the newest may stay
}

// terms are what few subscriptions have.
type terms struct {
	sub  *hub.Subscription
	end  loop.Time // of its life, grace included; 0 is never
	info []byte    // channel info, attached to what the client publishes there

	filterBytes int // that its tags filter takes
}

// empty reports that there is nothing in e.
func (e *extra) empty() bool {
	return e.info == nil && len(e.terms) == 0 && e.index == nil && e.held == nil && e.tokenChannels == nil && e.filterBytes == 0 &&
		e.rested.IsZero() && e.place == 0
}

func (s *Session) more() *extra {
	if s.extra == nil {
		s.extra = new(extra)
	}
	return s.extra
}

// indexedMin is how many subscriptions a session has before it keeps an index of them. A look through as many takes 1 to 2 µs;
// where channel_limit allows for thousands, each command would take a millisecond without one.
const indexedMin = 64

// find returns the subscription to channel, or nil.
func (s *Session) find(channel string) *hub.Subscription {
	if s.extra != nil && s.extra.index != nil {
		return s.extra.index[channel]
	}
	for sub := s.subs; sub != nil; sub = sub.Next {
		if sub.Name() == channel {
			return sub
		}
	}
	return nil
}

// holds reports that sub has not been dropped.
func (s *Session) holds(sub *hub.Subscription) bool { return s.find(sub.Name()) == sub }

// count is how many subscriptions there are.
func (s *Session) count() (n int) {
	if s.extra != nil && s.extra.index != nil {
		return len(s.extra.index)
	}
	for sub := s.subs; sub != nil; sub = sub.Next {
		n++
	}
	return n
}

// listen adds a subscription to the session and its channel.
func (s *Session) listen(channel string, o hub.Options) *hub.Subscription {
	sub := &s.first
	if s.firstUsed {
		sub = new(hub.Subscription)
	}
	s.firstUsed = true // for good: what still points to it must not meet another subscription there
	s.node.Table.Subscribe(sub, s.loop(), channel, s.form, s, o)
	sub.Next, s.subs = s.subs, sub
	s.node.Metrics.Subscribed(s.handle.Loop(), s.node.Metrics.NamespaceOf(sub.Name()), s.class)
	s.indexAdded(sub)
	return sub
}

func (s *Session) indexAdded(sub *hub.Subscription) {
	if s.extra != nil && s.extra.index != nil {
		s.extra.index[sub.Name()] = sub
		return
	}
	if s.count() < indexedMin {
		return
	}
	index := make(map[string]*hub.Subscription, 2*indexedMin)
	for each := s.subs; each != nil; each = each.Next {
		index[each.Name()] = each
	}
	s.more().index = index
}

// drop removes a subscription that the session holds from it and its channel.
func (s *Session) drop(sub *hub.Subscription) {
	at := &s.subs
	for *at != sub {
		at = &(*at).Next
	}
	*at, sub.Next = sub.Next, nil
	s.disappear(sub)
	if s.extra != nil {
		delete(s.extra.index, sub.Name())
		if s.subs == nil {
			s.extra.index = nil
		}
		s.extra.forget(sub)
	}
	s.node.Metrics.Unsubscribed(s.handle.Loop(), s.node.Metrics.NamespaceOf(sub.Name()), s.class)
	s.node.Table.Unsubscribe(sub)
}

// dropTelling removes a subscription by the server's will and tells the client why.
func (s *Session) dropTelling(sub *hub.Subscription, why codec.Unsubscribe) {
	s.drop(sub)
	s.node.Metrics.Unsubscribe(s.node.Metrics.NamespaceOf(sub.Name()), why.Code)
	s.push(metrics.FramePushUnsubscribe, &codec.Push{Channel: sub.Name(), Unsubscribe: &why})
}

// of finds the terms of sub, or nil. It looks at the newest first: a session that ends drops its subscriptions in that order.
func (e *extra) of(sub *hub.Subscription) *terms {
	for i := len(e.terms) - 1; i >= 0; i-- {
		if e.terms[i].sub == sub {
			return &e.terms[i]
		}
	}
	return nil
}

// infoOf is the channel info of sub, or nil.
func (e *extra) infoOf(sub *hub.Subscription) []byte {
	if t := e.of(sub); t != nil {
		return t.info
	}
	return nil
}

// set makes room for terms of sub, or finds what there is.
func (e *extra) set(sub *hub.Subscription) *terms {
	if t := e.of(sub); t != nil {
		return t
	}
	e.terms = append(e.terms, terms{sub: sub})
	return &e.terms[len(e.terms)-1]
}

// forget drops the terms of sub.
func (e *extra) forget(sub *hub.Subscription) {
	if t := e.of(sub); t != nil {
		e.filterBytes -= t.filterBytes
		last := &e.terms[len(e.terms)-1]
		*t, *last = *last, terms{}
		e.terms = e.terms[:len(e.terms)-1]
	}
}
