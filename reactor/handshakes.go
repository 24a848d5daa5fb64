package reactor

import (
	"sync"
	"sync/atomic"
	"time"
)

// evictAfter is how long a handshake may wait for its client while others wait to begin. An honest client takes a round trip.
const evictAfter = time.Second

// handshakes are the TLS handshakes of a reactor. A handshake is queued, or has begun and a goroutine; then it computes, waits
// for a turn to compute, or waits for its client. That many may compute at a time (TLS.HandshakesAtOnce), and those that their
// clients have answered come first, so that what has begun ends. Memory is bounded by TLS.HandshakesMax and HandshakesQueuedMax.
// A crowd that begins handshakes and does not go on keeps nobody out: whoever has waited for the client longest, for evictAfter at
// least, makes room for the next in the queue.
type handshakes struct {
	reactor *Reactor
	limits  TLS

	mu       sync.Mutex
	stopped  bool
	begun    int          // have a goroutine
	leaving  int          // of them: evicted, not ended
	turns    int          // that nobody has
	answered []*handshake // wait for a turn, in their order
	fresh    []*handshake // wait for their first turn
	queued   []*handshake
	waiting  waiting // for their clients

	goroutines sync.WaitGroup
	crowded    atomic.Int64 // len(queued), to look at without the lock
}

func (s *handshakes) init(r *Reactor) {
	s.reactor = r
	if r.cfg.TLS != nil {
		s.limits = *r.cfg.TLS
		s.turns = s.limits.HandshakesAtOnce
	}
}

// begin takes h over, or refuses it.
func (s *handshakes) begin(h *handshake) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return false
	case s.begun < s.limits.HandshakesMax:
		s.start(h)
	case len(s.queued) < s.limits.HandshakesQueuedMax:
		s.queued = append(s.queued, h)
		s.evict()
	default:
		return false
	}
	return true
}

// start is called with mu held.
func (s *handshakes) start(h *handshake) {
	s.begun++
	s.reactor.stats.handshakes.Add(1)
	s.goroutines.Go(func() {
		defer s.end(h)
		h.run()
	})
}

// end lets the next one begin.
func (s *handshakes) end(h *handshake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun--
	if h.evicted {
		s.leaving--
	}
	if len(s.queued) > 0 {
		s.start(shift(&s.queued))
	}
	s.crowded.Store(int64(len(s.queued)))
}

// tick is called now and then: who was queued must not wait for others to come or go.
func (s *handshakes) tick() {
	if s.crowded.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict()
}

// evict ends as many handshakes as are queued, if they have waited for their clients for long. It is called with mu held.
func (s *handshakes) evict() {
	s.crowded.Store(int64(len(s.queued)))
	for s.leaving < len(s.queued) {
		h := s.waiting.oldest
		if h == nil || time.Since(h.waitsSince) < evictAfter {
			return
		}
		s.waiting.remove(h)
		h.evicted = true
		s.leaving++
		s.reactor.stats.handshakesEvicted.Add(1)
		h.interrupt()
	}
}

// take waits for a turn to compute.
func (s *handshakes) take(h *handshake, line *[]*handshake) {
	s.mu.Lock()
	if s.turns > 0 {
		s.turns--
		s.mu.Unlock()
		return
	}
	*line = append(*line, h)
	s.mu.Unlock()
	<-h.turn
}

// give passes the turn on. It is called with mu held.
func (s *handshakes) give() {
	switch {
	case len(s.answered) > 0:
		shift(&s.answered).turn <- struct{}{}
	case len(s.fresh) > 0:
		shift(&s.fresh).turn <- struct{}{}
	default:
		s.turns++
	}
}

func (s *handshakes) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give()
}

// pause lets others compute while wait waits for h's client, or for somebody else.
func (s *handshakes) pause(h *handshake, wait func()) {
	s.mu.Lock()
	s.give()
	switch {
	case s.stopped:
		h.interrupt()
	case !h.evicted:
		h.waitsSince = time.Now()
		s.waiting.add(h)
	}
	s.mu.Unlock()
	wait()
	s.mu.Lock()
	s.waiting.remove(h)
	s.mu.Unlock()
	s.take(h, &s.answered)
}

// stop ends all handshakes, those that begin later included.
func (s *handshakes) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, h := range s.queued {
		h.drop()
	}
	s.queued = nil
	for h := s.waiting.oldest; h != nil; h = h.next {
		h.interrupt()
	}
}

// wait is for the goroutines to end.
func (s *handshakes) wait() { s.goroutines.Wait() }

// underWay counts them all.
func (s *handshakes) underWay() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun + len(s.queued)
}

// shift takes the first of line.
func shift(line *[]*handshake) *handshake {
	h := (*line)[0]
	(*line)[0] = nil
	if *line = (*line)[1:]; len(*line) == 0 {
		*line = nil // else the array would only grow
	}
	return h
}

// waiting is a list of handshakes, the oldest first.
type waiting struct{ oldest, newest *handshake }

func (l *waiting) add(h *handshake) {
	h.listed, h.previous, h.next = true, l.newest, nil
	if l.newest != nil {
		l.newest.next = h
	} else {
		l.oldest = h
	}
	l.newest = h
}

func (l *waiting) remove(h *handshake) {
	if !h.listed {
		return
	}
	if h.previous != nil {
		h.previous.next = h.next
	} else {
		l.oldest = h.next
	}
	if h.next != nil {
		h.next.previous = h.previous
	} else {
		l.newest = h.previous
	}
	h.listed, h.previous, h.next = false, nil, nil
}
