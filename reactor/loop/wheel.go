package loop

// wheelBuckets spreads deadlines over the wheel: one revolution is 102 s, longer than every usual deadline, so that a bucket
// rarely holds an entry that is not due.
const wheelBuckets = 1024

// wheel is a hashed timing wheel over the slots of a loop: one deadline per slot, linked by slot number.
type wheel struct {
	buckets [wheelBuckets]uint32
	now     Time // every bucket up to here has been emptied of what was due
}

func (w *wheel) arm(s *slots, n uint32, at Time) {
	w.disarm(s, n)
	if at == 0 {
		return
	}
	at = max(at, w.now+1)
	p, head := s.at(n), &w.buckets[at%wheelBuckets]
	p.at, p.prev, p.next = at, 0, *head
	if p.next != 0 {
		s.at(p.next).prev = n
	}
	*head = n
}

func (w *wheel) disarm(s *slots, n uint32) {
	p := s.at(n)
	if p.at == 0 {
		return
	}
	if p.prev != 0 {
		s.at(p.prev).next = p.next
	} else {
		w.buckets[p.at%wheelBuckets] = p.next
	}
	if p.next != 0 {
		s.at(p.next).prev = p.prev
	}
	p.at, p.next, p.prev = 0, 0, 0
}

// due takes one slot whose deadline has passed off the wheel. It returns 0 when nothing is due up to now.
func (w *wheel) due(s *slots, now Time) uint32 {
	for w.now < now {
		t := w.now + 1
		for n := w.buckets[t%wheelBuckets]; n != 0; n = s.at(n).next {
			if s.at(n).at <= t {
				w.disarm(s, n)
				return n
			}
		}
		w.now = t
	}
	return 0
}

// next is a time before which nothing is due; 0 if nothing ever is. When no deadline is within a revolution of the wheel, it may be
// that of an earlier revolution.
func (w *wheel) next() Time {
	for t := w.now + 1; t <= w.now+wheelBuckets; t++ {
		if w.buckets[t%wheelBuckets] != 0 {
			return t
		}
	}
	return 0
}
