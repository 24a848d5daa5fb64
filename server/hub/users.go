package hub

import (
	"hash/maphash"
	"sync"

	"stentor/reactor/loop"
)

// Users knows the sessions of every user of this node, as handles. Any goroutine may use it. Anonymous sessions (user "") have
// no place here: there may be a million of them, and nothing tells them apart.
type Users struct {
	seed    maphash.Seed
	stripes [stripesCount]usersStripe
}

type usersStripe struct {
	mu    sync.Mutex
	users map[string]places

	_ [48]byte // a cache line of its own
}

// places are the sessions of one user. Nearly every user has one, which needs no slice.
type places struct {
	one  loop.Handle
	more *[]loop.Handle
}

// NewUsers makes an empty table.
func NewUsers() *Users {
	u := &Users{seed: maphash.MakeSeed()}
	for i := range u.stripes {
		u.stripes[i].users = make(map[string]places)
	}
	return u
}

func (u *Users) stripe(user string) *usersStripe {
	return &u.stripes[maphash.String(u.seed, user)%stripesCount]
}

// Reserve gives session h a place with user, whose string must outlive the session. It reports false, and does nothing, when the
// user has limit sessions already; 0 is no limit. Every place is given back with Release.
func (u *Users) Reserve(user string, h loop.Handle, limit int) bool {
	if user == "" {
		return true
	}
	st := u.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	p, known := st.users[user]
	if limit > 0 && p.count() >= limit {
		return false
	}
	switch {
	case !known:
		p.one = h
	case p.more == nil:
		p.more = &[]loop.Handle{h}
	default:
		*p.more = append(*p.more, h)
	}
	st.users[user] = p
	return true
}

// Release gives the place of session h back.
func (u *Users) Release(user string, h loop.Handle) {
	if user == "" {
		return
	}
	st := u.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	p, known := st.users[user]
	if !known {
		return
	}
	p.remove(h)
	if p.count() == 0 {
		delete(st.users, user)
		return
	}
	st.users[user] = p
}

// Sessions appends the handles of user to dst.
func (u *Users) Sessions(dst []loop.Handle, user string) []loop.Handle {
	st := u.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	p, known := st.users[user]
	if !known {
		return dst
	}
	dst = append(dst, p.one)
	if p.more != nil {
		dst = append(dst, *p.more...)
	}
	return dst
}

// Count is how many users have sessions on this node.
func (u *Users) Count() (n int) {
	for i := range u.stripes {
		st := &u.stripes[i]
		st.mu.Lock()
		n += len(st.users)
		st.mu.Unlock()
	}
	return n
}

func (p places) count() int {
	n := 0
	if p.one != 0 {
		n++
	}
	if p.more != nil {
		n += len(*p.more)
	}
	return n
}

// remove takes h out; one stays set while any are left.
func (p *places) remove(h loop.Handle) {
	if p.one == h {
		p.one = 0
		if p.more != nil {
			last := len(*p.more) - 1
			p.one, *p.more = (*p.more)[last], (*p.more)[:last]
		}
	} else if p.more != nil {
		for i, other := range *p.more {
			if other == h {
				last := len(*p.more) - 1
				(*p.more)[i], *p.more = (*p.more)[last], (*p.more)[:last]
				break
			}
		}
	}
	if p.more != nil && len(*p.more) == 0 {
		p.more = nil
	}
}
