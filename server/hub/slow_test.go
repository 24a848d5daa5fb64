package hub

import (
	"strings"
	"testing"

	"stentor/codec"
)

// slowListener remembers what was said about the frames it got.
type slowListener struct {
	policies []codec.SlowPolicy
	channels []uint32
}

func (s *slowListener) Send(f *codec.Frame) {
	p, channel := f.Slow()
	s.policies = append(s.policies, p)
	s.channels = append(s.channels, channel)
}

func (s *slowListener) Fail(*Subscription, Failure) {}

// TestSlow: each frame says what may become of it, joined or not, with a number that tells channels apart.
func TestSlow(t *testing.T) {
	r := newRig(t, 2)
	listen := func(id int, channel string) *slowListener {
		s := new(slowListener)
		r.table.Subscribe(new(Subscription), r.loops[id], channel, codec.JSON, s, Options{})
		return s
	}
	latest, elsewhere, oldest, safe := listen(0, "latest:a"), listen(1, "latest:a"), listen(0, "oldest:b"), listen(0, "c")
	r.table.SetSlow(func(channel string) codec.SlowPolicy {
		switch namespace, _, _ := strings.Cut(channel, ":"); namespace {
		case "latest":
			return codec.SlowLatest
		case "oldest":
			return codec.SlowDropOldest
		default:
			return codec.SlowDisconnect
		}
	})
	for _, n := range []int{1, 3} { // alone, then joined
		for _, channel := range []string{"latest:a", "oldest:b", "c"} {
			r.publish(channel, n)
		}
		r.settle()
	}
	for _, want := range []struct {
		got    *slowListener
		policy codec.SlowPolicy
	}{{latest, codec.SlowLatest}, {elsewhere, codec.SlowLatest}, {oldest, codec.SlowDropOldest}, {safe, codec.SlowDisconnect}} {
		if p := want.got.policies; len(p) != 2 || p[0] != want.policy || p[1] != want.policy {
			t.Errorf("policies %v, want %v twice", p, want.policy)
		}
		if c := want.got.channels; c[0] != c[1] {
			t.Errorf("one channel has the numbers %d", c)
		}
	}
	if latest.channels[0] != elsewhere.channels[0] || latest.channels[0] == oldest.channels[0] || oldest.channels[0] == safe.channels[0] {
		t.Errorf("numbers of channels: %d, %d, %d", latest.channels[0], oldest.channels[0], safe.channels[0])
	}
	r.table.SetSlow(nil)
	r.publish("latest:a", 1)
	r.settle()
	if p := latest.policies[2]; p != codec.SlowDisconnect {
		t.Errorf("policy %v after they were taken away", p)
	}
}
