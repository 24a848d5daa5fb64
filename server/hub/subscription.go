package hub

import "stentor/codec"

// Subscriber is one client, as fan-out sees it. Its methods run on the loop of its channel.
type Subscriber interface {
	// Send queues a frame. A client that cannot take it ends itself.
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

// Subscription is one session on one channel: 48 bytes, one object.
type Subscription struct {
	subscriber Subscriber
	channel    *Channel
	// Next links the subscriptions of one session; it belongs to the session.
	Next *Subscription
	// offset is the last one sent or known, if positioned.
	offset uint64
	index  uint32 // among the channel's members
	form   codec.Form
	flags  flag
}

type flag uint8

const (
	positioned flag = 1 << iota
	failed          // Fail was called, or it was removed: nothing more is sent
)

// Channel is what the subscription listens to.
func (s *Subscription) Channel() *Channel { return s.channel }

// Name is the channel's name.
func (s *Subscription) Name() string { return s.channel.record.name }

// Positioned reports that offsets are tracked.
func (s *Subscription) Positioned() bool { return s.flags&positioned != 0 }

// Offset is the position that a positioned subscription has reached.
func (s *Subscription) Offset() uint64 { return s.offset }
