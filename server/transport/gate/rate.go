package gate

import (
	"sync"
	"time"
)

// bucket is a token bucket: so many tokens at first and at most, and one more each second. Any goroutine may use it.
type bucket struct {
	burst float64
	now   func() time.Time

	mu     sync.Mutex
	tokens float64
	at     time.Time // when tokens was right
}

// newBucket makes a full bucket. A burst of 0 is no limit.
func newBucket(burst int, now func() time.Time) *bucket {
	return &bucket{burst: float64(burst), now: now, tokens: float64(burst), at: now()}
}

// take reports whether there was a token to take.
func (b *bucket) take() bool {
	if b.burst == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(b.burst, b.tokens+passed.Seconds())
		b.at = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
