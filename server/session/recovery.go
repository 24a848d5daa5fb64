package session

import (
	"context"
	"errors"
	"log/slog"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/filter"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// position gives sub its place in the channel's stream and, if the client asks for it, what it missed (spec: client-protocol,
// section 8).
func (s *Session) position(sub *hub.Subscription, permit *policy.Subscription, result *codec.SubscribeResult) error {
	r := newRecovery(permit)
	if err := r.read(context.Background(), s.node, sub.Name(), permit); err != nil {
		s.node.faults.Say(s.node.Log, slog.LevelError, "history could not be read", "channel", sub.Name(), "error", err)
		return codec.DisconnectServerError
	}
	return s.place(sub, permit, &r, result)
}

// place is position when history has been read.
func (s *Session) place(sub *hub.Subscription, permit *policy.Subscription, r *recovery, result *codec.SubscribeResult) error {
	result.Positioned, result.Recoverable = true, permit.Recoverable
	result.Offset, result.Epoch = r.top.Offset, r.top.Epoch
	if r.from.Recover {
		room := &s.worker().room
		list, err := r.list(s.form, permit.Delta, *room)
		if err != nil {
			return err
		}
		if !r.recovered && r.from.Strict {
			return codec.ErrorUnrecoverablePosition
		}
		*room -= sizeOfAll(list)
		result.Publications, result.WasRecovering, result.Recovered = list, true, r.recovered
		if len(list) > 0 {
			result.Offset = r.offset()
		}
		s.node.Metrics.Recover(s.handle.Loop(), metrics.Namespace(permit.Options.Label), r.recovered, len(list) > 0)
	}
	s.node.Table.Position(sub, r.top)
	if len(r.missed) > 0 && r.filter == nil { // and so the last of them is at the top
		s.node.Table.Recovered(sub)
	}
	return nil
}

// list is what was missed, in deltas if the subscription has them. What takes more than room bytes would close the client as slow, each
// time that it comes back for it; it is not recovered.
func (r *recovery) list(f codec.Form, deltas bool, room int) (list []*codec.Publication, err error) {
	list = r.missed
	if deltas && sizeOfAll(list) <= room {
		var ok bool
		if list, ok = hub.Deltas(f, list); !ok {
			return nil, codec.DisconnectInappropriateProtocol
		}
	}
	if sizeOfAll(list) > room {
		r.missed, r.recovered = nil, false
	}
	if len(r.missed) == 0 {
		return nil, nil
	}
	return list, nil
}

// recovery is what a client that comes back gets.
type recovery struct {
	from   policy.Place
	cache  bool
	filter *filter.Filter // nil takes all

	top       codec.StreamPosition
	missed    []*codec.Publication
	recovered bool
}

func newRecovery(permit *policy.Subscription) recovery {
	r := recovery{from: permit.From, cache: permit.Cache}
	if !permit.Delta { // a filter would break the chain of patches
		r.filter = permit.Filter
	}
	return r
}

// read finds out where the stream stands and what of it is missing. It may wait for a server far away.
func (r *recovery) read(ctx context.Context, n *Node, channel string, permit *policy.Subscription) error {
	ask := engine.HistoryFilter{MetaTTL: permit.Options.HistoryMetaTTL}
	switch {
	case !r.from.Recover:
	case r.cache:
		ask.Reverse, ask.Limit = true, 1
		if r.filter != nil {
			ask.Limit = n.Settings.RecoveryLimit
		}
	default:
		ask.Since, ask.Limit = &codec.StreamPosition{Offset: r.from.Offset, Epoch: r.from.Epoch}, n.Settings.RecoveryLimit
	}
	pubs, top, err := n.Broker.History(ctx, channel, ask)
	otherEpoch := errors.Is(err, engine.ErrEpoch)
	if err != nil && !otherEpoch {
		return err
	}
	r.top = top
	switch {
	case !r.from.Recover || otherEpoch:
	case r.cache:
		r.latest(pubs)
	default:
		r.stream(pubs)
	}
	return nil
}

// stream recovers all that was missed, or nothing. Whether it is all is judged before the filter takes its part.
func (r *recovery) stream(pubs []*codec.Publication) {
	if r.recovered = complete(pubs, r.from.Offset, r.top.Offset); r.recovered {
		r.missed = r.taken(pubs)
	}
}

// taken is what the filter takes of pubs.
func (r *recovery) taken(pubs []*codec.Publication) []*codec.Publication {
	if r.filter == nil {
		return pubs
	}
	return r.filter.Select(pubs)
}

// complete tells whether pubs is all that came after offset, up to top.
func complete(pubs []*codec.Publication, offset, top uint64) bool {
	if len(pubs) == 0 {
		return offset == top
	}
	return pubs[0].Offset == offset+1 && pubs[len(pubs)-1].Offset == top
}

// latest recovers the newest publication, unless the client has it. pubs are the newest first.
func (r *recovery) latest(pubs []*codec.Publication) {
	if r.from.Offset > 0 && r.from.StreamPosition == r.top {
		r.recovered = true
		return
	}
	if pubs = r.taken(pubs); len(pubs) > 0 {
		r.missed, r.recovered = pubs[:1], true
	}
}

// offset is the result's: before the first missed publication of a stream, so that the client advances through them.
func (r *recovery) offset() uint64 {
	if r.cache {
		return r.top.Offset
	}
	return r.from.Offset
}
