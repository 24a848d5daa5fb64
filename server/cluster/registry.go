package cluster

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"stentor/server/api"
)

// registry is the other nodes, as their announcements describe them.
type registry struct {
	mu      sync.Mutex
	members map[string]*member // by id
}

// member is another node.
type member struct {
	info  api.NodeInfo
	heard time.Time
	// left tells that it has said Shutdown. It stays for a while so that an announcement that was overtaken does not bring it back.
	left bool
}

// hearing is what an announcement means.
type hearing uint8

const (
	known    hearing = iota
	unknown          // the node is new
	leaving          // the node has gone
	stranger         // there is no room for it
)

func newRegistry() registry { return registry{members: make(map[string]*member)} }

// heard takes an announcement. Metrics come only now and then, so those of the last time stay.
func (r *registry) heard(info api.NodeInfo, now time.Time) hearing {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[info.UID]
	switch {
	case m == nil && len(r.members) >= NodesMax:
		return stranger
	case m == nil:
		r.members[info.UID] = &member{info: info, heard: now}
		return unknown
	case m.left:
		return leaving
	}
	if info.Metrics == nil {
		info.Metrics = m.info.Metrics
	}
	m.info, m.heard = info, now
	return known
}

// leave takes a Shutdown message. It reports whether the node was there.
func (r *registry) leave(uid string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[uid]
	if m == nil {
		if len(r.members) < NodesMax {
			r.members[uid] = &member{heard: now, left: true}
		}
		return false
	}
	was := !m.left
	*m = member{heard: now, left: true}
	return was
}

// forget removes those who are silent, and names the nodes among them.
func (r *registry) forget(now time.Time) (gone []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for uid, m := range r.members {
		if now.Sub(m.heard) <= ForgetAfter {
			continue
		}
		delete(r.members, uid)
		if !m.left {
			gone = append(gone, uid)
		}
	}
	return gone
}

// has reports that a node is there.
func (r *registry) has(uid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[uid]
	return m != nil && !m.left
}

// count is how many nodes are there.
func (r *registry) count() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if !m.left {
			n++
		}
	}
	return n
}

// names are the ids of all nodes that are there.
func (r *registry) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.members))
	for uid, m := range r.members {
		if !m.left {
			names = append(names, uid)
		}
	}
	return names
}

// list describes all nodes that are there, by name.
func (r *registry) list() []api.NodeInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]api.NodeInfo, 0, len(r.members))
	for m := range maps.Values(r.members) {
		if !m.left {
			list = append(list, m.info)
		}
	}
	slices.SortFunc(list, func(a, b api.NodeInfo) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID)) })
	return list
}
