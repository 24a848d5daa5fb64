package reactor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stentor/codec/ws"
)

// slowMix is what a client hears that pauses while frames of all kinds are written to it.
type slowMix struct {
	byKind map[string][]int // numbers, by the letter that frames begin with
	code   uint16
}

func (c *client) hearMix(size int) (m slowMix) {
	c.t.Helper()
	m.byKind = map[string][]int{}
	for {
		op, payload, err := c.hear()
		if err != nil {
			c.t.Fatal(err)
		}
		if op == ws.OpClose {
			m.code, _, _ = ws.ParseClose([]byte(payload))
			return m
		}
		var n int
		if _, err := fmt.Sscanf(payload[1:], "%08d", &n); err != nil || len(payload) != size {
			c.t.Fatalf("heard %.20q of %d bytes", payload, len(payload))
		}
		m.byKind[payload[:1]] = append(m.byKind[payload[:1]], n)
	}
}

func lettered(letter string, i, size int) []byte {
	n := fmt.Sprintf("%s%08d", letter, i)
	return frame(n + strings.Repeat(".", size-len(n)))
}

// What may be dropped is, oldest first or when it is stale, and nothing else; the client is not closed.
func TestDropBacklog(t *testing.T) {
	const limit, size, rounds = 256 << 10, 5000, 300
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: limit, SendBufferBytes: 8 << 10}, router)
	c := dialSlow(t, r)
	s := <-ch
	kept := 0
	for i := range rounds {
		onLoop(r, 0, func() {
			ok := s.WriteDroppable(lettered("o", i, size), DropOldest, 7) &&
				s.WriteDroppable(lettered("a", i, size), DropStale, 1) &&
				s.WriteDroppable(lettered("b", i, size), DropStale, 2)
			if i%20 == 0 {
				ok = ok && s.Write(lettered("k", i, size))
				kept++
			}
			if !ok {
				t.Errorf("closed in round %d", i)
			}
			if owed := s.owed(); owed > limit {
				t.Errorf("%d bytes owed in round %d", owed, i)
			}
			if i == rounds-1 {
				s.Close(3000, "end")
			}
		})
	}
	m := c.hearMix(size)
	if m.code != 3000 || r.Stats().Slow != 0 {
		t.Errorf("closed with %d, %d slow", m.code, r.Stats().Slow)
	}
	for letter, got := range m.byKind {
		if !slices.IsSorted(got) {
			t.Errorf("%s: out of order: %d", letter, got)
		}
		if letter != "k" && got[len(got)-1] != rounds-1 {
			t.Errorf("%s: the last one is %d", letter, got[len(got)-1])
		}
	}
	if got := m.byKind["k"]; len(got) != kept {
		t.Errorf("%d of %d frames that must not be dropped", len(got), kept)
	}
	st := r.Stats()
	if oldest, stale := rounds-len(m.byKind["o"]), 2*rounds-len(m.byKind["a"])-len(m.byKind["b"]); uint64(oldest) != st.DroppedOldest || uint64(stale) != st.DroppedStale || stale == 0 || oldest == 0 {
		t.Errorf("%d and %d counted, %d and %d missing", st.DroppedOldest, st.DroppedStale, oldest, stale)
	}
	c.say(clientClose(3000, ""))
	c.expectEnd()
}

// A client that is slow with what must not be dropped is closed, whatever else waits.
func TestDropIsNotEnough(t *testing.T) {
	const limit, size = 256 << 10, 5000
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: limit, SendBufferBytes: 8 << 10}, router)
	c := dialSlow(t, r)
	s := <-ch
	closed := false
	for i := 0; !closed; i++ {
		onLoop(r, 0, func() {
			closed = !s.WriteDroppable(lettered("o", i, size/10), DropOldest, 0) || !s.Write(lettered("k", i, size))
		})
		if i > 2*limit/size {
			t.Fatal("never closed")
		}
	}
	if st := r.Stats(); st.Slow != 1 {
		t.Errorf("%d slow", st.Slow)
	}
	c.Close()
}

// TestDropOfLargeFrames: a client that is in the middle of a frame that takes much of its queue misses others, and stays. What the loop
// holds for it is counted to the last byte.
func TestDropOfLargeFrames(t *testing.T) {
	const limit = 256 << 10
	for drop, size := range map[Drop]int{DropOldest: limit * 7 / 8, DropStale: limit * 7 / 16} { // of the latter one is begun, one waits
		router, ch := conns(silent)
		r := start(t, Config{QueueBytesMax: limit, SendBufferBytes: 8 << 10}, router)
		c := dialSlow(t, r)
		s := <-ch
		for i := range 100 {
			onLoop(r, 0, func() {
				if !s.WriteDroppable(lettered("o", i, size), drop, 1) || s.owed() > limit {
					t.Errorf("%d: closed, or %d bytes owed after frame %d", drop, s.owed(), i)
				}
			})
		}
		onLoop(r, 0, func() { s.Close(3000, "end") })
		if m := c.hearMix(size); m.code != 3000 || len(m.byKind["o"]) == 100 {
			t.Errorf("%d: closed with %d after %d frames", drop, m.code, len(m.byKind["o"]))
		}
		c.say(clientClose(3000, ""))
		c.expectEnd()
		onLoop(r, 0, func() {
			if a := &r.drivers[0].account; a.bytes != 0 || len(a.frames) != 0 {
				t.Errorf("%d: %d bytes in %d frames are counted for nobody", drop, a.bytes, len(a.frames))
			}
		})
	}
}

// TestQueueDrops drives a queue through random steps beside a plain list of what must be in it.
func TestQueueDrops(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m := queueModel{t: t, random: random}
		for range 200 {
			switch random.IntN(4) {
			case 0, 1:
				m.push()
			case 2:
				m.consume()
			default:
				m.drop()
			}
			m.check()
		}
	}
}

type queueModel struct {
	t      *testing.T
	random *rand.Rand
	q      queue
	want   []modelFrame
	next   byte
}

type modelFrame struct {
	bytes []byte
	fate  fate
	begun bool
}

func (m *queueModel) push() {
	m.next++
	f := []fate{0, DropOldest.fate(3), DropStale.fate(1), DropStale.fate(2), DropStale.fate(1<<30 - 1)}[m.random.IntN(5)]
	b := slices.Repeat([]byte{m.next}, 1+m.random.IntN(5))
	m.want = append(m.want, modelFrame{b, f, false})
	m.q.push(ref{p: &b[0], size: uint32(len(b)), at: uint32(f)})
}

func (m *queueModel) consume() {
	n := 0
	for _, b := range m.q.gather(nil, 1+m.random.IntN(12)) {
		n += len(b)
	}
	m.q.consume(n, nil)
	for n > 0 {
		f := &m.want[0]
		took := min(n, len(f.bytes))
		f.bytes, f.begun = f.bytes[took:], true
		if n -= took; len(f.bytes) == 0 {
			m.want = m.want[1:]
		}
	}
}

func (m *queueModel) drop() {
	spare := m.random.IntN(20)
	m.q.markStale(map[fate]struct{}{})
	m.q.markOldest(spare)
	m.q.removeMarked(nil)
	last := map[fate]int{}
	for i, f := range m.want {
		last[f.fate] = i
	}
	var kept []modelFrame
	for i, f := range m.want {
		if f.fate&fateStale != 0 && !f.begun && last[f.fate] > i {
			spare -= len(f.bytes)
			f.bytes = nil
		}
		kept = append(kept, f)
	}
	for i, f := range kept {
		if f.bytes != nil && f.fate == fateDroppable && !f.begun && spare > 0 {
			spare -= len(f.bytes)
			kept[i].bytes = nil
		}
	}
	m.want = slices.DeleteFunc(kept, func(f modelFrame) bool { return f.bytes == nil })
}

func (m *queueModel) check() {
	m.t.Helper()
	var got, want []byte
	for _, r := range m.q.refs[m.q.head:] {
		got = append(got, r.bytes()...)
	}
	for _, f := range m.want {
		want = append(want, f.bytes...)
	}
	if !slices.Equal(got, want) || m.q.bytes != len(want) {
		m.t.Fatalf("%v in the queue (%d bytes), want %v", got, m.q.bytes, want)
	}
	for _, r := range m.q.refs[len(m.q.refs):cap(m.q.refs)] {
		if r.p != nil {
			m.t.Fatal("what was dropped is kept alive")
		}
	}
}

// Writing a frame that may be dropped costs what any frame costs, also where it takes the place of others.
func TestDropAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	router, ch := conns(silent)
	r := start(t, Config{QueueBytesMax: 64 << 10, SendBufferBytes: 8 << 10}, router)
	dialSlow(t, r)
	s := <-ch
	old, stale := lettered("o", 1, 1000), lettered("a", 1, 1000)
	onLoop(r, 0, func() {
		write := func() {
			s.WriteDroppable(old, DropOldest, 0)
			s.WriteDroppable(stale, DropStale, 5)
		}
		for range 1000 {
			write()
		}
		if n := testing.AllocsPerRun(1000, write); n > 0 || s.state != stateOpen {
			t.Errorf("%v allocations, state %d", n, s.state)
		}
		if r.Stats().DroppedOldest == 0 {
			t.Error("nothing was dropped")
		}
	})
}
