package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// Recipient takes mail on the loop, for example a channel that takes a publication.
type Recipient interface {
	Take(l *Loop, what any)
}

// mail is one value on its way to a recipient or, when that is nil, to the resident that handle names.
type mail struct {
	to     Recipient
	what   any
	handle Handle
}

// Limits of a mailbox. They bound what waits for a loop; producers ask with Admit before they commit to anything.
const (
	MailboxItemsMax = 64 << 10
	MailboxBytesMax = 64 << 20
)

// mailKeptMax is the largest slice that an emptied mailbox keeps for its next fill, in items.
const mailKeptMax = 4096

// mailbox is a queue with many producers and one consumer, who takes all there is at once.
type mailbox struct {
	mu    sync.Mutex
	items []mail
	bytes int

	// Read without the lock by Admit.
	itemsWaiting, bytesWaiting atomic.Int64

	rung   atomic.Bool  // a ring is on its way, or a turn is due anyway
	rungAt atomic.Int64 // nanoseconds on the monotonic clock
}

func (m *mailbox) put(x mail, bytes int) {
	m.mu.Lock()
	m.items = append(m.items, x)
	m.bytes += bytes
	m.itemsWaiting.Store(int64(len(m.items)))
	m.bytesWaiting.Store(int64(m.bytes))
	m.mu.Unlock()
}

// swap takes everything and leaves empty for the next fill.
func (m *mailbox) swap(empty []mail) []mail {
	m.mu.Lock()
	full := m.items
	m.items, m.bytes = empty[:0], 0
	m.itemsWaiting.Store(0)
	m.bytesWaiting.Store(0)
	m.mu.Unlock()
	return full
}

// ring reports whether the caller has to wake the driver; a burst of mail costs one wake-up.
func (m *mailbox) ring() bool {
	if m.rung.Load() || !m.rung.CompareAndSwap(false, true) {
		return false
	}
	m.rungAt.Store(nanotime())
	return true
}

var processStart = time.Now()

// nanotime is the monotonic clock in nanoseconds since the process started.
func nanotime() int64 { return int64(time.Since(processStart)) }
