package memengine

import (
	"slices"
	"unsafe"

	"stentor/engine"
)

// crowd is who is in one channel. Few members are a slice that is looked through; many have an index beside it, in the hall. With
// its record 48 bytes.
type crowd struct {
	members []member
}

// member is one client in a channel. 40 bytes.
type member struct {
	client [16]byte
	user   string
	about  *about // nil if there is nothing to say
}

// about is what a member says of itself: the bytes of its session, as strings because that is shorter. It never changes: copies of
// members share it. 32 bytes.
type about struct{ conn, channel string }

// membersFew is how many members are looked through. An index is made beyond it, and goes when half of them are left.
const membersFew = 32

// index finds the members of a large crowd, and counts its users.
type index struct {
	places map[[16]byte]uint32 // of clients in the slice
	users  map[string]uint32   // how many clients each one has
	peak   int                 // members the maps have had, and hence have room for
}

func newIndex(members []member) *index {
	x := &index{
		places: make(map[[16]byte]uint32, len(members)),
		users:  make(map[string]uint32),
		peak:   len(members),
	}
	for i := range members {
		x.places[members[i].client] = uint32(i)
		x.users[members[i].user]++
	}
	return x
}

// lost takes one client from a user.
func (x *index) lost(user string) {
	if x.users[user]--; x.users[user] == 0 {
		delete(x.users, user)
	}
}

// place is where the client is in the slice, or -1. x is the crowd's index, or nil.
func (c *crowd) place(x *index, client [16]byte) int {
	if x != nil {
		if i, ok := x.places[client]; ok {
			return int(i)
		}
		return -1
	}
	for i := range c.members {
		if c.members[i].client == client {
			return i
		}
	}
	return -1
}

// users counts the different ones. Without an index there are few to compare.
func (c *crowd) users(x *index) (n int) {
	if x != nil {
		return len(x.users)
	}
	for i := range c.members {
		user := c.members[i].user
		if !slices.ContainsFunc(c.members[:i], func(m member) bool { return m.user == user }) {
			n++
		}
	}
	return n
}

// enter takes a member in, or changes what is known of it. The hall is locked.
func (h *hall) enter(c *crowd, client [16]byte, info engine.PresenceInfo) {
	x := h.large[c]
	if i := c.place(x, client); i >= 0 {
		c.members[i].renew(x, info)
		return
	}
	if len(c.members) == cap(c.members) {
		c.resize()
	}
	c.members = append(c.members, member{client: client, user: info.User, about: aboutOf(info)})
	n := len(c.members)
	switch {
	case x != nil:
		x.places[client] = uint32(n - 1)
		x.users[info.User]++
		x.peak = max(x.peak, n)
	case n > membersFew:
		h.setIndex(c, newIndex(c.members))
	}
}

// leave lets a member go, if it is there. The hall is locked.
func (h *hall) leave(c *crowd, client [16]byte) {
	x := h.large[c]
	i := c.place(x, client)
	if i < 0 {
		return
	}
	user, last := c.members[i].user, len(c.members)-1
	c.members[i] = c.members[last]
	c.members[last] = member{}
	c.members = c.members[:last]
	if 2*last < cap(c.members) {
		c.resize()
	}
	if x == nil {
		return
	}
	delete(x.places, client)
	x.lost(user)
	if i < last {
		x.places[c.members[i].client] = uint32(i)
	}
	switch {
	case last <= membersFew/2:
		h.setIndex(c, nil)
	case last <= x.peak/4:
		h.setIndex(c, newIndex(c.members)) // maps keep the room they once needed
	}
}

func (h *hall) setIndex(c *crowd, x *index) {
	switch {
	case x != nil && h.large == nil:
		h.large = map[*crowd]*index{c: x}
	case x != nil:
		h.large[c] = x
	default:
		delete(h.large, c)
		if len(h.large) == 0 {
			h.large = nil
		}
	}
}

// renew replaces what is known of a member.
func (m *member) renew(x *index, info engine.PresenceInfo) {
	if x != nil && m.user != info.User {
		x.lost(m.user)
		x.users[info.User]++
	}
	m.user = info.User
	if m.about == nil || m.about.conn != stringOf(info.ConnInfo) || m.about.channel != stringOf(info.ChanInfo) {
		m.about = aboutOf(info)
	}
}

func aboutOf(info engine.PresenceInfo) *about {
	if len(info.ConnInfo) == 0 && len(info.ChanInfo) == 0 {
		return nil
	}
	return &about{stringOf(info.ConnInfo), stringOf(info.ChanInfo)}
}

// stringOf and bytesOf go there and back without a copy: nobody writes to what is given to an engine, or read from it.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// resize moves the members to a slice with room for a quarter more, at least one; none need none.
func (c *crowd) resize() {
	n := len(c.members)
	if n == 0 {
		c.members = nil
		return
	}
	c.members = append(make([]member, 0, n+max(1, n/4)), c.members...)
}
