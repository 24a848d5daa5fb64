package hub

import (
	"hash/maphash"
	"slices"
	"sync"

	"stentor/reactor/loop"
)

// Users knows the sessions of every user of this node, as handles. Any goroutine may use it. Anonymous sessions (user "") have
// no place here: there may be a million of them, and nothing tells them apart.
//
// A user is known by a hash of 64 bits with a seed of this process. Two users who met there would share their limit and see each
// other's orders, which name the user they are for; among a million users the odds of one such pair are 1 in 36 million. It
// makes a place 16 bytes without pointers, which the collector does not look into.
type Users struct {
	seed    maphash.Seed
	stripes [stripesCount]usersStripe
}

type usersStripe struct {
	mu   sync.Mutex
	one  handles                  // one session of each user
	more map[uint64][]loop.Handle // the others, of the few users who have any

	_ [16]byte // a cache line of its own
}

// NewUsers makes an empty table.
func NewUsers() *Users { return &Users{seed: maphash.MakeSeed()} }

func (u *Users) stripe(user string) (*usersStripe, uint64) {
	hash := maphash.String(u.seed, user)
	return &u.stripes[hash%stripesCount], hash
}

// Reserve gives session h a place with user. It reports false, and does nothing, when the user has limit sessions already; 0 is
// no limit. Every place is given back with Release.
func (u *Users) Reserve(user string, h loop.Handle, limit int) bool {
	if user == "" {
		return true
	}
	st, hash := u.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.one.get(hash) == 0 {
		st.one.set(hash, h)
		return true
	}
	more := st.more[hash]
	if limit > 0 && 1+len(more) >= limit {
		return false
	}
	if st.more == nil {
		st.more = make(map[uint64][]loop.Handle)
	}
	st.more[hash] = append(more, h)
	return true
}

// Release gives the place of session h back. A session without one changes nothing.
func (u *Users) Release(user string, h loop.Handle) {
	if user == "" {
		return
	}
	st, hash := u.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	more := st.more[hash]
	if st.one.get(hash) == h {
		if len(more) == 0 {
			st.one.remove(hash)
			return
		}
		st.one.set(hash, more[len(more)-1])
		st.setMore(hash, more[:len(more)-1])
	} else if i := slices.Index(more, h); i >= 0 {
		more[i] = more[len(more)-1]
		st.setMore(hash, more[:len(more)-1])
	}
}

func (st *usersStripe) setMore(hash uint64, more []loop.Handle) {
	if len(more) > 0 {
		st.more[hash] = more
		return
	}
	delete(st.more, hash)
	if len(st.more) == 0 {
		st.more = nil
	}
}

// Sessions appends the handles of user to dst.
func (u *Users) Sessions(dst []loop.Handle, user string) []loop.Handle {
	if user == "" {
		return dst
	}
	st, hash := u.stripe(user)
	st.mu.Lock()
	defer st.mu.Unlock()
	if h := st.one.get(hash); h != 0 {
		dst = append(dst, h)
		dst = append(dst, st.more[hash]...)
	}
	return dst
}

// Count is how many users have sessions on this node.
func (u *Users) Count() (n int) {
	for i := range u.stripes {
		st := &u.stripes[i]
		st.mu.Lock()
		n += st.one.count
		st.mu.Unlock()
	}
	return n
}
