// Package engine is the contract between channels and what keeps them: who stores history, who carries publications between
// nodes, what they promise.
//
//	API, session ── Publish ──► Broker ── Receiver.Publication ──► channel table ──► loops
//	session ── PublishJoin, PublishLeave ──► Broker ── Receiver.Join, Leave ──► channel table ──► loops
//
// An engine calls its Receiver in offset order per channel, while it holds whatever lock orders that channel. The receiver
// never blocks and never calls back. See enginetest for the suite that every engine passes.
package engine

import (
	"context"
	"time"

	"stentor/codec"
)

// Error is what an engine answers besides *codec.Error values that are meant for the client as they are.
type Error string

func (e Error) Error() string { return string(e) }

// Errors of engines.
const (
	// ErrOverloaded: the receiver's mailboxes are full; nothing was published and no offset given.
	ErrOverloaded = Error("engine: too many publications wait for delivery")
	// ErrEpoch: the position belongs to another epoch of the channel.
	ErrEpoch = Error("engine: the epoch of the position is not the channel's")
	// ErrNotAvailable: the engine cannot do this at all (history on a broker without one).
	ErrNotAvailable = Error("engine: not available")
	// ErrUnreachable: the servers that keep channels do not answer. What was asked may have happened or not.
	ErrUnreachable = Error("engine: the server that keeps channels cannot be reached")
)

// PublishOptions say how a publication is kept and when it is suppressed.
type PublishOptions struct {
	// HistorySize and HistoryTTL keep the publication in history; both are needed. Each publish starts the time anew for all
	// that is kept, and its size holds for all that is kept.
	HistorySize int
	HistoryTTL  time.Duration
	// HistoryMetaTTL is how long offset, epoch and version outlive the last publication; 0 keeps them for ever.
	HistoryMetaTTL time.Duration
	// IdempotencyKey makes a repeat within IdempotencyTTL answer the first result and deliver nothing. A publish that was
	// refused, or suppressed by its version, leaves the key free.
	IdempotencyKey string
	// Version, when not 0, suppresses a publication whose version is not above the last one of the same VersionEpoch; the
	// result is then the top. Without history it is only carried.
	Version      uint64
	VersionEpoch string
	// Delta asks for the previous publication to go along, as the base of a patch.
	Delta bool
}

// HasHistory reports that the publication is to be kept.
func (o PublishOptions) HasHistory() bool { return o.HistorySize > 0 && o.HistoryTTL > 0 }

// IdempotencyTTL is how long the result of a publish is remembered under its idempotency key.
const IdempotencyTTL = 300 * time.Second

// PublishResult is where a publication went: zero when the channel has no history.
type PublishResult struct {
	codec.StreamPosition
	// Suppressed says why nothing was delivered; empty when it was.
	Suppressed SuppressReason
}

// SuppressReason is why a publish delivered nothing although it succeeded.
type SuppressReason string

// Reasons to suppress a publication.
const (
	SuppressIdempotency SuppressReason = "idempotency"
	SuppressVersion     SuppressReason = "version"
)

// HistoryFilter selects from a channel's history.
type HistoryFilter struct {
	// Since starts after this position (before it when Reverse); nil starts at the end that Reverse chooses. An empty epoch
	// stands for whatever epoch the channel has.
	Since *codec.StreamPosition
	// Limit is the most publications returned: 0 none, only the top position; -1 all.
	Limit int
	// Reverse returns the newest first.
	Reverse bool
	// MetaTTL is how long the channel keeps offset and epoch from this read on. 0 changes nothing, and keeps a channel that
	// this read creates for ever.
	MetaTTL time.Duration
}

// Broker publishes and keeps history.
type Broker interface {
	// Publish stores p as o says and hands it to every node that listens. It sets p.Offset, p.Version, and p.Epoch on a
	// channel's first publication. The engine owns p after the call and may keep p.Data as it is, so that must be memory of
	// its own: no part of a read buffer or of a larger request. Strings in channel and o are cloned if they are kept.
	// ErrOverloaded means that nothing happened.
	Publish(ctx context.Context, channel string, p *codec.Publication, o PublishOptions) (PublishResult, error)
	// History reads publications and the top position. A channel that nobody used yet gets its epoch here, and the string
	// channel may be kept as its name: it must not alias a read buffer. A Since of another epoch is ErrEpoch, with the top
	// position. Publications are shared and must not be changed.
	History(ctx context.Context, channel string, f HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error)
	// PublishJoin tells every node that listens that a client has subscribed to channel, PublishLeave that it has left. Neither
	// is kept nor has an offset; both arrive in the order in which one producer made them, its publications included. The engine
	// owns info after the call, so its bytes must be memory of their own. ErrOverloaded means that nothing happened.
	PublishJoin(ctx context.Context, channel string, info *codec.ClientInfo) error
	PublishLeave(ctx context.Context, channel string, info *codec.ClientInfo) error
	// RemoveHistory drops the publications of a channel and keeps its position.
	RemoveHistory(ctx context.Context, channel string) error
	// Subscribe starts delivery of a channel to this node, and Unsubscribe ends it. Both return at once. Whether it worked is told
	// by Reporter.Subscribed, once for each Subscribe, on another goroutine and within seconds, be it as ErrUnreachable: clients wait
	// for nothing else meanwhile. From then on the broker keeps the subscription over any loss of its connections. The caller subscribes
	// to no channel that is subscribed or under way, and unsubscribes only from those that are; after Unsubscribe it may subscribe again
	// at once. It holds a lock that Receiver and Reporter take, too, so what these two lock must not be held while one of those is called.
	// A local broker delivers everything and does nothing here: it tells nothing either.
	Subscribe(channel string)
	Unsubscribe(channel string)
	// Local reports that no method ever blocks, so that loops may call them.
	Local() bool
	// Abilities says what the broker can do. It never changes.
	Abilities() Ability
	// Run works until ctx ends, then returns nil: expiry, connections. It gives the receiver what arrives. A server that cannot be
	// reached is no reason to return: Run goes on trying, and calls answer ErrUnreachable meanwhile.
	Run(ctx context.Context) error
}

// Reporter is the node, as a remote broker sees it beside its Receiver. Its methods return at once and may be called on any
// goroutine.
type Reporter interface {
	// Subscribed tells the outcome of Broker.Subscribe. After an error the broker has forgotten the channel.
	Subscribed(channel string, err error)
	// Resumed tells that the subscriptions to these channels were made anew after a loss: what was published meanwhile did not
	// come. The node compares positions then. The slice is the receiver's.
	Resumed(channels []string)
}

// Node is all that an engine sees of the node it works for.
type Node interface {
	Receiver
	Reporter
}

// Wake names the loops that have to be woken for what a Receiver took. Only the receiver can read it.
type Wake uint64

// Receiver is the node, as an engine sees it.
type Receiver interface {
	// Admit reports whether the loops that listen to channel have room for a publication, join or leave. Asked before an offset
	// is given.
	Admit(channel string) bool
	// Publication delivers p, and prev as base of a delta or nil. sp is the position after p, zero on channels without history.
	// Called under the lock that orders the channel; returns at once. channel is good until it returns; p and prev stay as they
	// are for ever. The engine passes the result to Wake after unlocking.
	Publication(channel string, p, prev *codec.Publication, sp codec.StreamPosition) Wake
	// Join and Leave deliver what PublishJoin and PublishLeave were told. Called like Publication, under the same lock; info stays
	// as it is for ever.
	Join(channel string, info *codec.ClientInfo) Wake
	Leave(channel string, info *codec.ClientInfo) Wake
	// Wake rings the loops.
	Wake(w Wake)
}
