package loop

import "testing"

// asker is mail that has a task and a flush done in the same turn, as a publication does.
type asker struct{ turns, flushes int }

func (a *asker) Take(l *Loop, _ any) { l.Ready(a); l.Dirty(a) }
func (a *asker) Turn(*Budget) bool   { a.turns++; return false }
func (a *asker) Flush()              { a.flushes++ }

// TestOneRingPerPublication: what a turn asks for and does by itself needs no other turn.
func TestOneRingPerPublication(t *testing.T) {
	rings := 0
	l, a := New(0, Config{Ring: func() { rings++ }}), new(asker)
	for n := 1; n <= 3; n++ {
		if l.Post(a, nil, 0) {
			l.Wake()
		}
		l.Turn(1)
		if rings != n || a.turns != n || a.flushes != n {
			t.Fatalf("after publication %d: %d rings, %d turns of the task, %d flushes", n, rings, a.turns, a.flushes)
		}
	}
	l.Ready(a) // outside of a turn it has to ring
	if rings != 4 {
		t.Errorf("%d rings, want 4", rings)
	}
}
