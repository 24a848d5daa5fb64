package hub

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// diary is a Life that remembers.
type diary struct {
	occupied, vacated map[string]int
	dropped           map[string]int
	loops             []int // that told
}

func newDiary() *diary {
	return &diary{map[string]int{}, map[string]int{}, map[string]int{}, nil}
}

func (d *diary) Occupied(loop int, channel string) {
	d.occupied[channel]++
	d.loops = append(d.loops, loop)
}

func (d *diary) Vacated(loop int, channel string) {
	d.vacated[channel]++
	d.loops = append(d.loops, loop)
}

func (d *diary) FilteredOut(_ int, channel string, publications int) {
	d.dropped[channel] += publications
}

// TestLife: only the first and the last subscriber of the whole node are told, by their loops.
func TestLife(t *testing.T) {
	r, d := newRig(t, 3), newDiary()
	r.table.Watch(d)
	a, b, c := r.join(1, "news"), r.join(2, "news"), r.join(0, "other")
	a.leave()
	b.leave()
	again := r.join(0, "news")
	if d.occupied["news"] != 2 || d.vacated["news"] != 1 || d.occupied["other"] != 1 || d.vacated["other"] != 0 {
		t.Errorf("occupied %v, vacated %v", d.occupied, d.vacated)
	}
	if got, want := fmt.Sprint(d.loops), "[1 0 2 0]"; got != want {
		t.Errorf("loops %s told, want %s", got, want)
	}
	again.leave()
	c.leave()
}

// TestLifeAddsUp: whoever comes and goes, channels occupied less channels vacated are those that are there.
func TestLifeAddsUp(t *testing.T) {
	r, d := newRig(t, 4), newDiary()
	r.table.Watch(d)
	random := rand.New(rand.NewPCG(1, 2))
	var here []*listener
	for range 5000 {
		if n := len(here); n > 0 && random.IntN(2) == 0 {
			i := random.IntN(n)
			here[i].leave()
			here[i], here = here[n-1], here[:n-1]
		} else {
			here = append(here, r.join(random.IntN(4), fmt.Sprint("c", random.IntN(20))))
		}
		occupied := 0
		for _, n := range d.occupied {
			occupied += n
		}
		for _, n := range d.vacated {
			occupied -= n
		}
		if channels, _ := r.table.Count(); channels != occupied {
			t.Fatalf("%d channels, told of %d", channels, occupied)
		}
	}
}

// TestLifeOfFilters: what filters keep from subscribers is told once per walk, with the number of all of them.
func TestLifeOfFilters(t *testing.T) {
	r, d := newRig(t, 1), newDiary()
	r.table.Watch(d)
	for range 3 {
		r.joinFiltered(0, "news", leaf("t", "eq", "a"), Options{})
	}
	r.join(0, "news")
	r.tagged("news", 0, "a", "b", "c")
	r.settle()
	if d.dropped["news"] != 6 || r.table.FilteredOut() != 6 {
		t.Errorf("told of %d, counted %d", d.dropped["news"], r.table.FilteredOut())
	}
}

// TestSubscribingWithLife: being watched costs no allocation.
func TestSubscribingWithLife(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	perSubscription := func(watched bool) float64 {
		r := newRig(t, 1)
		if watched {
			r.table.Watch(silence{})
		}
		return testing.AllocsPerRun(100, func() { r.join(0, "news").leave() })
	}
	if without, with := perSubscription(false), perSubscription(true); with != without {
		t.Errorf("%v allocations, %v when watched", without, with)
	}
}

type silence struct{}

func (silence) Occupied(int, string)         {}
func (silence) Vacated(int, string)          {}
func (silence) FilteredOut(int, string, int) {}
