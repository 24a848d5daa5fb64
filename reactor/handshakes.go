package reactor

import (
	"sync"
	"sync/atomic"
	"time"
)

// evictAfter is how long a handshake may wait for its client in any case: a round trip of an honest one.
const evictAfter = 250 * time.Millisecond

// handshakes are the TLS handshakes of a reactor. A handshake is queued until there is a turn to compute for it. Then it has begun
// and a goroutine, and computes, waits for its client, or waits for another turn, where those that their clients have answered come
// before new ones, so that what has begun ends. As many turns as TLS.HandshakesAtOnce, and places for TLS.HandshakesMax and
// HandshakesQueuedMax, bound processors and memory.
//
// A crowd that begins handshakes and does not go on keeps nobody out: when all places are taken, whoever has waited for the client
// longest, for evictAfter at least, makes room. As a handshake must be computed before it can wait, that is seldom less than half
// a second.
type handshakes struct {
	reactor *Reactor
	limits  TLS

	mu       sync.Mutex
	stopped  bool
	begun    int // have a goroutine
	leaving  int // of them: evicted, not ended
	turns    int // that nobody has
	queued   []*handshake
	answered []*handshake // have begun and wait for a turn
	waiting  waiting      // have begun and wait for their clients

	goroutines sync.WaitGroup
	crowded    atomic.Bool // somebody is queued: to look at without the lock
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
	if s.stopped || len(s.queued) == s.limits.HandshakesQueuedMax {
		return false
	}
	s.queued = append(s.queued, h)
	s.schedule()
	return true
}

// schedule gives turns to those that wait. It is called with mu held.
func (s *handshakes) schedule() {
	for s.turns > 0 {
		switch {
		case len(s.answered) > 0:
			shift(&s.answered).turn <- struct{}{}
		case len(s.queued) > 0 && s.begun < s.limits.HandshakesMax:
			s.start(shift(&s.queued))
		default:
			s.evict(min(s.turns, len(s.queued)))
			s.crowded.Store(len(s.queued) > 0)
			return
		}
		s.turns--
	}
	s.crowded.Store(len(s.queued) > 0)
}

// start gives h a goroutine, which has a turn.
func (s *handshakes) start(h *handshake) {
	s.begun++
	s.reactor.stats.handshakes.Add(1)
	s.goroutines.Go(func() {
		defer s.end(h)
		h.run()
	})
}

func (s *handshakes) end(h *handshake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun--
	if h.evicted {
		s.leaving--
	}
	s.schedule()
}

// tick is called now and then: who is queued must not wait for others to come or go.
func (s *handshakes) tick() {
	if s.crowded.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.schedule()
	}
}

// evict makes room for newcomers.
func (s *handshakes) evict(newcomers int) {
	for s.leaving < newcomers {
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

func (s *handshakes) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	s.schedule()
}

// pause lets others compute while wait waits for h's client.
func (s *handshakes) pause(h *handshake, wait func()) {
	s.mu.Lock()
	s.turns++
	s.schedule()
	switch {
	case s.stopped:
		h.interrupt()
	case !h.evicted:
		h.waitsSince = time.Now()
		s.waiting.add(h)
	}
	s.mu.Unlock()
	wait()
	s.goOn(h)
}

// goOn waits for another turn.
func (s *handshakes) goOn(h *handshake) {
	s.mu.Lock()
	s.waiting.remove(h)
	s.answered = append(s.answered, h)
	s.schedule()
	s.mu.Unlock()
	<-h.turn
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
