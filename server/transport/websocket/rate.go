package websocket

import (
	"sync"
	"time"
)

// bucket is a token bucket with a burst, refilled by one token a second. The zero burst is no limit. Any goroutine may use it.
type bucket struct {
	burst float64
	state *bucketState
}

type bucketState struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func newBucket(burst int) bucket {
	return bucket{burst: float64(burst), state: &bucketState{tokens: float64(burst), at: time.Now()}}
}

func (b bucket) take() bool {
	if b.burst == 0 {
		return true
	}
	s := b.state
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.tokens = min(b.burst, s.tokens+now.Sub(s.at).Seconds())
	s.at = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}
