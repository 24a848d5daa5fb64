package gate

import "testing"

func TestSourceOf(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1000", "192.0.2.1:2000", true},
		{"192.0.2.1:1000", "192.0.2.2:1000", false},
		{"192.0.2.1:1000", "[::ffff:192.0.2.1]:1000", true},
		{"[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:2", true},
		{"[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
		{"192.0.2.1:1000", "[::192.0.2.1]:1000", false},
		{"[::1]:1", "127.0.0.1:1", false},
		{"", "nonsense", true},
		{"", "127.0.0.1:1", false},
	} {
		if same := sourceOf(tt.a) == sourceOf(tt.b); same != tt.same {
			t.Errorf("%q and %q: same %v, want %v", tt.a, tt.b, same, tt.same)
		}
	}
}

func TestSources(t *testing.T) {
	s := newSources(2)
	a, b := sourceOf("192.0.2.1:1"), sourceOf("192.0.2.2:1")
	for range 2 {
		if s.full(a) {
			t.Fatal("full too early")
		}
		s.take(a)
	}
	if !s.full(a) || s.full(b) {
		t.Errorf("full: %v and %v, want true and false", s.full(a), s.full(b))
	}
	s.give(a)
	if s.full(a) || s.known() != 1 {
		t.Errorf("full %v, %d known", s.full(a), s.known())
	}
	s.give(a)
	if s.known() != 0 {
		t.Errorf("%d sources without connections are remembered", s.known())
	}
}
