package memengine

import (
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"sync"

	"stentor/engine"
	"stentor/engine/ring"
)

// stripe is one lock and the channels under it. 64 bytes, a cache line of its own.
type stripe struct {
	mu    sync.Mutex
	due   second // nothing in table expires before; it may be earlier than what does
	table table[stream]
	keys  *keys // nil until a publish brings an idempotency key
	_     [8]byte
}

func (e *Engine) hash(channel string) uint64 { return maphash.String(e.seed, channel) }

func (e *Engine) stripe(hash uint64) *stripe { return &e.stripes[hash&e.mask] }

func (e *Engine) hall(hash uint64) *hall { return &e.halls[hash&e.mask] }

// find looks the channel up and lets what expired go first. nil: nobody used the channel yet, or it was forgotten.
func (st *stripe) find(hash uint64, channel string, now second) *stream {
	rec := st.table.find(hash, channel)
	if rec == nil {
		return nil
	}
	s := &rec.of
	if now < s.due() {
		return s
	}
	s.clear()
	if now >= s.dropAt {
		st.table.remove(hash, rec)
		return nil
	}
	return s
}

// stream is a channel with history. Positions given out point into it. 80 bytes with its record.
type stream struct {
	ring            ring.Ring
	version         *version // nil until a publication has one
	clearAt, dropAt second   // when the publications go, when the stream goes
}

// version is what the last versioned publication of a channel said.
type version struct {
	number uint64
	epoch  string
}

// due is when the stream has to be looked at.
func (s *stream) due() second { return min(s.clearAt, s.dropAt) }

func (s *stream) clear() {
	s.ring.Clear()
	s.clearAt = never
}

// supersedes reports that the channel already has what o brings, or something newer.
func (s *stream) supersedes(o engine.PublishOptions) bool {
	v := s.version
	return o.Version != 0 && v != nil && v.epoch == o.VersionEpoch && o.Version <= v.number
}

func (s *stream) setVersion(o engine.PublishOptions) {
	if o.Version == 0 {
		return
	}
	if s.version == nil {
		s.version = new(version)
	}
	s.version.number = o.Version
	if s.version.epoch != o.VersionEpoch {
		s.version.epoch = strings.Clone(o.VersionEpoch)
	}
}

// read selects publications; the epoch of f.Since was checked.
func (s *stream) read(f engine.HistoryFilter) ring.Excerpt {
	switch {
	case f.Reverse && f.Since != nil:
		return s.ring.Before(f.Since.Offset, f.Limit)
	case f.Reverse:
		return s.ring.Before(s.ring.Position().Offset+1, f.Limit)
	case f.Since != nil:
		return s.ring.Since(f.Since.Offset, f.Limit)
	}
	return s.ring.Since(0, f.Limit)
}

// epochDigits keep an epoch free of anything that JSON, a URL or a frame of another engine would have to quote.
const epochDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newEpoch draws the epoch of a stream: two of the same channel must differ, nothing else is asked of it.
func newEpoch() (epoch [ring.EpochSize]byte) {
	const base = uint64(len(epochDigits))
	n := rand.Uint64() // 62^8 is 2^47.6, so the digits come out even to 1 in 80,000
	for i := range epoch {
		epoch[i] = epochDigits[n%base]
		n /= base
	}
	return epoch
}
