package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// Sizes of a memo.
const (
	memoShards = 64
	// memoEntriesMin and memoEntriesMax are how many signatures a shard has room for, at first and at most. All shards
	// together remember a million, in 16 MiB: as many as a node has clients, who all come back at once when their network does.
	memoEntriesMin = 64
	memoEntriesMax = 1 << 20 / memoShards
	// memoWays is how many places an entry may have. With four, a shard that is filled still finds most of its entries.
	memoWays = 4
)

// memo remembers signatures that were right. One of RSA or of an elliptic curve costs 40 µs to 3 ms, its hash half a
// microsecond, and clients that reconnect bring the token that they had.
//
// All that it says is that this key has made this signature of these bytes. Which keys are good, what the claims say and
// whether the token is in its time is looked at each time, so nothing in it ever becomes wrong. What was not right is never
// remembered, so strangers put nothing in, and its seed keeps those who have tokens from choosing places. A reload makes
// another memo. Safe for use by any goroutine.
type memo struct {
	seed   [32]byte
	shards [memoShards]memoShard
}

// memoEntry is the start of a SHA-256; zero: no entry.
type memoEntry [16]byte

type memoShard struct {
	mu      sync.Mutex
	entries []memoEntry // a power of two, in groups of memoWays; nil at first
	used    int
}

func newMemo() *memo {
	m := new(memo)
	_, _ = rand.Read(m.seed[:]) // never fails
	return m
}

// entry returns what stands for a signature by k. The length of the signature is in it, so that bytes cannot be moved from
// the signature to what is signed.
func (m *memo) entry(s *signature, k *key) (e memoEntry) {
	h := sha256.New()
	h.Write(m.seed[:])
	h.Write(k.print[:])
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(s.bytes)))
	h.Write(length[:])
	h.Write(s.bytes)
	h.Write([]byte(s.signed))
	copy(e[:], h.Sum(nil))
	return e
}

func (m *memo) shard(e memoEntry) *memoShard { return &m.shards[e[0]%memoShards] }

// has reports that e was added.
func (m *memo) has(e memoEntry) bool {
	s := m.shard(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.group(e) {
		if other == e {
			return true
		}
	}
	return false
}

// add remembers e, in place of another one if there is no room.
func (m *memo) add(e memoEntry) {
	s := m.shard(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= len(s.entries)*3/4 && len(s.entries) < memoEntriesMax {
		s.grow()
	}
	s.put(e)
}

func (s *memoShard) put(e memoEntry) {
	group := s.group(e)
	for i := range group {
		if group[i] == e {
			return
		}
		if group[i] == (memoEntry{}) {
			group[i] = e
			s.used++
			return
		}
	}
	group[e[1]%memoWays] = e
}

// group returns the places that e may have; none in an empty shard.
func (s *memoShard) group(e memoEntry) []memoEntry {
	if len(s.entries) == 0 {
		return nil
	}
	at := int(binary.LittleEndian.Uint32(e[2:])) & (len(s.entries) - 1) &^ (memoWays - 1)
	return s.entries[at : at+memoWays]
}

// grow doubles the room. The lock is held for the time that it takes to move at most 8,192 entries.
func (s *memoShard) grow() {
	old := s.entries
	s.entries, s.used = make([]memoEntry, max(memoEntriesMin, 2*len(old))), 0
	for _, e := range old {
		if e != (memoEntry{}) {
			s.put(e)
		}
	}
}
