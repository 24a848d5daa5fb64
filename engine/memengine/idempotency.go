package memengine

import (
	"encoding/binary"
	"time"

	"stentor/codec"
	"stentor/engine"
)

// IdempotencyBytesMax is how much memory remembered idempotency keys may take in all stripes: some 650,000 keys of 40 bytes on
// channels with names of 40, that is 2,000 such publishes per second. Beyond it a stripe forgets its oldest keys for a new one;
// the limit is passed by one key per stripe at most.
const IdempotencyBytesMax = 128 << 20

// keyOverhead is what a key costs besides its bytes: the result, its place in the map, rounding. In bytes.
const keyOverhead = 64 + 40 + 16

// keys are the idempotency keys of a stripe. Each lives engine.IdempotencyTTL, so the list is in order of expiry.
type keys struct {
	results        map[string]*keyResult // by keyName
	oldest, newest *keyResult            // newest says nothing while there is no oldest
}

// keyResult is where the publication of a key went. 56 bytes, 64 as allocated.
type keyResult struct {
	name     string
	at       codec.StreamPosition
	next     *keyResult // newer
	forgetAt second
}

// appendKeyName appends the map key of a channel and its idempotency key, unambiguous whatever bytes they have.
func appendKeyName(dst []byte, channel, key string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(channel)))
	dst = append(dst, channel...)
	return append(dst, key...)
}

// recall finds the result of an earlier publish with this key. The stripe is locked.
func (e *Engine) recall(st *stripe, now time.Duration, channel, key string) (codec.StreamPosition, bool) {
	e.forget(st, secondOf(now))
	if st.keys == nil {
		return codec.StreamPosition{}, false
	}
	var room [256]byte // long names go to the heap
	r, ok := st.keys.results[string(appendKeyName(room[:0], channel, key))]
	if !ok {
		return codec.StreamPosition{}, false
	}
	return r.at, true
}

// remember notes the result of a publish with a key that is not known yet. The stripe is locked.
func (e *Engine) remember(st *stripe, now time.Duration, channel, key string, at codec.StreamPosition) {
	if st.keys == nil {
		st.keys = &keys{results: make(map[string]*keyResult)}
	}
	k := st.keys
	name := make([]byte, 0, binary.MaxVarintLen32+len(channel)+len(key))
	r := &keyResult{name: string(appendKeyName(name, channel, key)), at: at, forgetAt: deadline(now, engine.IdempotencyTTL)}
	e.keyBytes.Add(r.bytes())
	for e.keyBytes.Load() > e.keyBytesMax && k.oldest != nil {
		e.forgetOldest(k)
	}
	k.results[r.name] = r
	if k.oldest == nil {
		k.oldest = r
	} else {
		k.newest.next = r
	}
	k.newest = r
}

func (r *keyResult) bytes() int64 { return keyOverhead + int64(len(r.name)) }

// forget drops the keys whose time is over, and the map with the last one. The stripe is locked.
func (e *Engine) forget(st *stripe, now second) {
	k := st.keys
	if k == nil {
		return
	}
	for k.oldest != nil && now >= k.oldest.forgetAt {
		e.forgetOldest(k)
	}
	if k.oldest == nil {
		st.keys = nil
	}
}

func (e *Engine) forgetOldest(k *keys) {
	r := k.oldest
	delete(k.results, r.name)
	e.keyBytes.Add(-r.bytes())
	k.oldest = r.next
}
