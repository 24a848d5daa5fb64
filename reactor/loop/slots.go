package loop

// Resident is what lives in a slot of a loop: one conn with its session. All its methods run on the loop.
type Resident interface {
	// Expire is called once when the deadline given to Arm has passed.
	Expire(now Time)
	// Order hands over a value that another goroutine left with Loop.Order.
	Order(what any)
}

// Handle names a resident from anywhere. It stays safe after the resident has gone, for good: the generation tells that the slot has
// moved on, and no two residents of a loop ever have the same. The zero Handle names nobody.
//
// Layout: 6 bits loop, 26 bits generation, 32 bits slot.
type Handle uint64

// LoopsMax is how many loops one node can have: the channel tables name loops by bits of one uint64.
const LoopsMax = 64

const (
	generationBits = 26
	generationMask = 1<<generationBits - 1
)

func makeHandle(loop int, generation, slot uint32) Handle {
	return Handle(loop)<<58 | Handle(generation&generationMask)<<32 | Handle(slot)
}

// Loop is the number of the loop that the resident lives on.
func (h Handle) Loop() int { return int(h >> 58) }

func (h Handle) generation() uint32 { return uint32(h>>32) & generationMask }
func (h Handle) slot() uint32       { return uint32(h) }

// slot is one place of a loop. The links are slot numbers, of the wheel's bucket while occupied and of the free list after;
// number 0 is never given out and means "none".
type slot struct {
	resident   Resident
	generation uint32
	next, prev uint32
	at         Time
}

// slotsPerChunk is how far the table grows at once: 32 KB, so that growth neither copies nor doubles.
const slotsPerChunk = 1024

type slots struct {
	chunks []*[slotsPerChunk]slot
	free   uint32
	used   uint32 // numbers given out so far, 0 included
	live   int
}

func (s *slots) at(n uint32) *slot { return &s.chunks[n/slotsPerChunk][n%slotsPerChunk] }

func (s *slots) take(r Resident) (n uint32) {
	if s.free != 0 {
		n = s.free
		s.free = s.at(n).next
	} else {
		if s.used == 0 {
			s.used = 1
		}
		n = s.used
		s.used++
		if int(n/slotsPerChunk) >= len(s.chunks) {
			s.chunks = append(s.chunks, new([slotsPerChunk]slot))
		}
	}
	p := s.at(n)
	p.resident, p.next, p.prev, p.at = r, 0, 0, 0
	p.generation++ // never 0, so that no handle is zero
	s.live++
	return n
}

// give frees slot n. One that has had all of its generations is not used again: its next resident would have the handle of the first
// one, which somebody may have kept. That costs a slot for every 67 million conns.
func (s *slots) give(n uint32) {
	p := s.at(n)
	p.resident = nil
	s.live--
	if p.generation < generationMask {
		p.next, s.free = s.free, n
	}
}

// find returns the slot that h names, or nil if its resident has gone.
func (s *slots) find(h Handle) *slot {
	n := h.slot()
	if n == 0 || n >= s.used {
		return nil
	}
	if p := s.at(n); p.resident != nil && p.generation == h.generation() {
		return p
	}
	return nil
}
