package memengine

import (
	"context"
	"sync"
	"time"
	"unsafe"

	"stentor/codec"
	"stentor/engine"
)

// hall is one lock and the channels under it that somebody is in. Presence has locks of its own: whoever reads a huge one does
// not keep publications waiting. 64 bytes, a cache line of its own.
type hall struct {
	mu    sync.Mutex
	table table[crowd]
	large map[*crowd]*index // of the crowds that have one; nil if none has
	_     [16]byte
}

var _ engine.Presence = (*Engine)(nil)

// AddPresence implements engine.Presence. The entry stays until it is removed.
func (e *Engine) AddPresence(_ context.Context, channel string, client [16]byte, info engine.PresenceInfo, _ time.Duration) error {
	hash := e.hash(channel)
	h := e.hall(hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	rec := h.table.find(hash, channel)
	if rec == nil {
		rec = h.table.add(e.seed, hash, channel)
	}
	h.enter(&rec.of, client, info)
	return nil
}

// RemovePresence implements engine.Presence. The channel goes with its last member.
func (e *Engine) RemovePresence(_ context.Context, channel string, client [16]byte, _ string) error {
	hash := e.hash(channel)
	h := e.hall(hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	rec := h.table.find(hash, channel)
	if rec == nil {
		return nil
	}
	h.leave(&rec.of, client)
	if len(rec.of.members) == 0 {
		h.table.remove(hash, rec)
		h.table.shrink(e.seed)
	}
	return nil
}

// Presence implements engine.Presence.
func (e *Engine) Presence(_ context.Context, channel string) (map[string]*codec.ClientInfo, error) {
	return clients(e.present(channel)), nil
}

// present is Presence up to the map, which is made after unlocking: others wait for a copy of the members, no longer. The room for
// it is made without the lock as well: for many, fresh memory costs more than the copy.
func (e *Engine) present(channel string) []member {
	hash := e.hash(channel)
	var room []member
	for {
		n := e.hall(hash).copyTo(&room, hash, channel)
		if n == len(room) {
			return room
		}
		room = make([]member, 0, n+n/8)
	}
}

// copyTo fills room with the members of a channel if they fit, and tells how many there are.
func (h *hall) copyTo(room *[]member, hash uint64, channel string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	rec := h.table.find(hash, channel)
	if rec == nil {
		return 0
	}
	members := rec.of.members
	if len(members) <= cap(*room) {
		*room = append(*room, members...)
	}
	return len(members)
}

// clients describes members in a few allocations, however many there are.
func clients(members []member) map[string]*codec.ClientInfo {
	found := make(map[string]*codec.ClientInfo, len(members))
	infos := make([]codec.ClientInfo, len(members))
	ids := make([]byte, 0, len(members)*engine.ClientIDSize)
	for i, m := range members {
		ids = engine.AppendClientID(ids, m.client)
		id := ids[len(ids)-engine.ClientIDSize:]
		info := &infos[i]
		info.Client, info.User = unsafe.String(&id[0], len(id)), m.user // nobody writes there any more
		if m.about != nil {
			info.ConnInfo, info.ChanInfo = bytesOf(m.about.conn), bytesOf(m.about.channel)
		}
		found[info.Client] = info
	}
	return found
}

// PresenceStats implements engine.Presence.
func (e *Engine) PresenceStats(_ context.Context, channel string) (engine.PresenceStats, error) {
	hash := e.hash(channel)
	h := e.hall(hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	rec := h.table.find(hash, channel)
	if rec == nil {
		return engine.PresenceStats{}, nil
	}
	c := &rec.of
	return engine.PresenceStats{Clients: len(c.members), Users: c.users(h.large[c])}, nil
}
