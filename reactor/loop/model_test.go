package loop

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// named is a resident of the model test: it knows the handle it was given.
type named struct {
	m *model
	h Handle
}

func (r *named) Expire(now Time) { r.m.expired(r, now) }
func (r *named) Order(what any)  { r.m.ordered = append(r.m.ordered, what.(string)) }

// model is what a loop's slots and wheel should do, done naively: a map of deadlines.
type model struct {
	t        *testing.T
	rng      *rand.Rand
	l        *Loop
	rings    int
	now      Time
	live     map[Handle]*named
	deadline map[Handle]Time
	armed    map[Handle]Time // when a deadline was set
	dead     []Handle
	fired    []Handle
	ordered  []string
}

func (m *model) expired(r *named, now Time) {
	want, armed := m.deadline[r.h]
	if !armed || want > now {
		m.t.Fatalf("%x expired at %d, its deadline is %d (armed: %v)", r.h, now, want, armed)
	}
	delete(m.deadline, r.h)
	m.fired = append(m.fired, r.h)
	switch m.rng.IntN(4) { // what handlers do: arm again, end themselves, end another
	case 0:
		m.arm(r.h)
	case 1:
		m.remove(r.h)
	case 2:
		m.remove(m.any())
	}
}

func (m *model) any() Handle {
	for h := range m.live { // Go's random order would break the seed: take the smallest of the map's
		low := h
		for h := range m.live {
			low = min(low, h)
		}
		return low
	}
	return 0
}

// pick is a live handle chosen by the seed.
func (m *model) pick() Handle {
	if len(m.live) == 0 {
		return 0
	}
	all := make([]Handle, 0, len(m.live))
	for h := range m.live {
		all = append(all, h)
	}
	slices.Sort(all)
	return all[m.rng.IntN(len(all))]
}

func (m *model) add() {
	r := &named{m: m}
	r.h = m.l.Add(r)
	if r.h == 0 || m.live[r.h] != nil || slices.Contains(m.dead, r.h) {
		m.t.Fatalf("handle %x was given before", r.h)
	}
	m.live[r.h] = r
}

func (m *model) remove(h Handle) {
	m.l.Remove(h)
	if m.live[h] != nil {
		m.dead = append(m.dead, h)
	}
	delete(m.live, h)
	delete(m.deadline, h)
}

// arm sets a deadline: usually near, at times in the past, beyond a revolution of the wheel, or none.
func (m *model) arm(h Handle) {
	if m.live[h] == nil {
		return
	}
	var at Time
	switch m.rng.IntN(8) {
	case 0:
		at = m.now - min(m.now-1, Time(m.rng.IntN(50)))
	case 1:
		at = m.now + Time(m.rng.IntN(3*wheelBuckets))
	case 2: // none
	default:
		at = m.now + Time(m.rng.IntN(40))
	}
	m.l.Arm(h, at)
	if at == 0 {
		delete(m.deadline, h)
	} else {
		m.deadline[h] = at
		m.armed[h] = m.now
	}
}

// turn lets time pass, with turns only where the loop rings for them, and compares what fired with what should have.
func (m *model) turn() {
	m.now += Time(m.rng.IntN(4))
	if m.rng.IntN(100) == 0 {
		m.now += Time(m.rng.IntN(2 * wheelBuckets)) // a long stall
	}
	m.l.SetNow(m.now)
	for m.l.TickDue(m.now); m.rings > 0; {
		m.rings = 0
		m.l.Turn(m.now)
	}
	for h, at := range m.deadline {
		// What was past already when it was armed is due with the next tick.
		if max(at, m.armed[h]+1) <= m.now {
			m.t.Fatalf("%x, due at %d, has not fired at %d", h, at, m.now)
		}
	}
}

func (m *model) compare() {
	if m.l.Residents() != len(m.live) {
		m.t.Fatalf("%d residents, want %d", m.l.Residents(), len(m.live))
	}
	for h, r := range m.live {
		if m.l.Find(h) != Resident(r) {
			m.t.Fatalf("%x is not found", h)
		}
	}
	for _, h := range m.dead {
		if m.l.Find(h) != nil {
			m.t.Fatalf("%x is found after its end", h)
		}
	}
}

func TestSlotsAndWheelAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 1)), live: map[Handle]*named{}, deadline: map[Handle]Time{}, armed: map[Handle]Time{}, now: 1 + Time(seed)*1000}
			m.l = New(int(seed)%LoopsMax, Config{Ring: func() { m.rings++ }})
			m.turn()
			for step := range 4000 {
				switch m.rng.IntN(10) {
				case 0, 1:
					m.add()
				case 2:
					m.remove(m.pick())
				case 3, 4, 5:
					m.arm(m.pick())
				case 6:
					m.order(step)
				default:
					m.turn()
				}
				if step%100 == 0 {
					m.compare()
				}
			}
			m.compare()
			if len(m.fired) == 0 || len(m.dead) == 0 {
				t.Error("the model was never put to work")
			}
		})
	}
}

// order leaves a value for someone who may have gone, and checks that it arrives only if they have not.
func (m *model) order(step int) {
	h := m.pick()
	alive := h != 0
	if m.rng.IntN(2) == 0 && len(m.dead) > 0 {
		h, alive = m.dead[m.rng.IntN(len(m.dead))], false
	}
	if h == 0 {
		return
	}
	// Expire handlers run before mail in a turn and may end h: keep them out of this one.
	saved := m.deadline
	for h := range saved {
		m.l.Arm(h, 0)
	}
	m.ordered = nil
	m.l.Order(h, fmt.Sprint(step))
	m.l.Turn(m.now)
	if got := len(m.ordered) == 1 && m.ordered[0] == fmt.Sprint(step); got != alive {
		m.t.Fatalf("order for %x arrived: %v, alive: %v", h, got, alive)
	}
	for h, at := range saved {
		m.l.Arm(h, at)
		m.armed[h] = m.now
	}
}
