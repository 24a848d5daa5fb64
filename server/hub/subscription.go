package hub

import (
	"stentor/codec"
	"stentor/server/filter"
)

// Subscriber is one client, as fan-out sees it. Its methods run on the loop of its channel.
type Subscriber interface {
	// Send queues a frame of publications, joins and leaves. A client that cannot take it ends itself, and may give up its subscriptions at once.
	Send(f *codec.Frame)
	// Fail tells that s cannot go on. The subscriber removes it, now or later; until then s gets nothing.
	Fail(s *Subscription, why Failure)
}

// Failure is why a subscription cannot go on.
type Failure uint8

const (
	// Lost: publications are missing between the last one sent and the next.
	Lost Failure = iota
	// Unencodable: a payload cannot be written in the subscriber's form.
	Unencodable
)

// Subscription is one session on one channel: 48 bytes. Its memory is the subscriber's and serves once: orders that are on their
// way may still point to it after Unsubscribe.
type Subscription struct {
	subscriber Subscriber
	channel    *Channel
	// Next links the subscriptions of one session; it belongs to the session.
	Next *Subscription
	// offset is the last one sent or known, if positioned.
	offset uint64
	index  uint32 // among the channel's members
	era    uint16 // of the channel, when the position was taken
	flags  flags
}

// Own are what a session notes of a subscription: up to OwnBits bits, which belong to it as Next does.
type Own uint16

// OwnBits is how many bits a session may note.
const OwnBits = 16 - ownShift

// Note sets bits of the session's own.
func (s *Subscription) Note(o Own) { s.flags |= flags(o << ownShift) }

// Forget clears them.
func (s *Subscription) Forget(o Own) { s.flags &^= flags(o << ownShift) }

// Own is what has been noted.
func (s *Subscription) Own() Own { return Own(s.flags >> ownShift) }

type flags uint16

const (
	protobuf  flags = 1 << iota // these two are the form; as a variant they are the form, too
	uni                         // see codec.UniJSON
	joinLeave                   // joins and leaves are sent; as a variant it is withJoins
	deltas                      // payloads are sent as deltas; as a variant it is inDeltas
	positioned
	filtered // only publications that the filter of its group takes are sent
	based    // with deltas: the client has the last publication before the next; it is at offset, if positioned
	failed   // Fail was called, or it was removed: nothing more is sent
	wildcard // the channel's name is a pattern

	ownShift = iota // behind them are the bits of Own

	formBits = protobuf | uni
)

// nobody is no member's flags: a failed one is sent nothing.
const nobody = failed

// Options are what a subscription is besides a reader of publications.
type Options struct {
	// JoinLeave asks for the joins and leaves of others.
	JoinLeave bool
	// Positioned says that a Position follows.
	Positioned bool
	// Delta has payloads sent as patches where the client has what they are against. In JSON all payloads are strings then.
	Delta bool
	// Filter chooses publications by their tags; nil takes all. Together with Delta it is not applied, because the chain would
	// break.
	Filter *filter.Filter
	// Wildcard says that the channel's name is a pattern, see SetScope: the subscription gets the publications of all channels that
	// match it, without offsets. It must not be positioned.
	Wildcard bool
}

func (o *Options) flags(form codec.Form) flags {
	f := flags(form)
	if o.JoinLeave {
		f |= joinLeave
	}
	if o.Delta {
		f |= deltas
	} else if o.Filter != nil {
		f |= filtered
	}
	if o.Wildcard {
		f |= wildcard
	}
	return f
}

// Channel is what the subscription listens to.
func (s *Subscription) Channel() *Channel { return s.channel }

// Name is the channel's name.
func (s *Subscription) Name() string { return s.channel.record.name }

// Positioned reports that offsets are tracked.
func (s *Subscription) Positioned() bool { return s.flags&positioned != 0 }

// JoinLeave reports that the client gets joins and leaves.
func (s *Subscription) JoinLeave() bool { return s.flags&joinLeave != 0 }

func (s *Subscription) form() codec.Form { return codec.Form(s.flags & formBits) }

// Delta reports that the client gets deltas.
func (s *Subscription) Delta() bool { return s.flags&deltas != 0 }

// variant is what s gets of a batch if it has no base for a patch.
func (s *Subscription) variant() variant {
	return variant(s.flags & (formBits | joinLeave | deltas))
}

// got notes that e is the last publication that s got. Only one that is in the stream can be the base of a patch.
func (s *Subscription) got(e *event) {
	if e.pub.Offset > 0 {
		s.flags |= based
	} else {
		s.flags &^= based
	}
}

// Offset is the position that a positioned subscription has reached.
func (s *Subscription) Offset() uint64 { return s.offset }

// fail tells the subscriber, once.
func (s *Subscription) fail(why Failure) {
	if s.flags&failed == 0 {
		s.flags |= failed
		s.subscriber.Fail(s, why)
	}
}
