package redisnats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/engine/enginetest"
)

// sorting is a sorter at work, in a bubble with a clock of its own.
type sorting struct {
	*Sorter
	t   *testing.T
	rec *enginetest.Recorder
}

func sort(t *testing.T, test func(s sorting)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rec := enginetest.NewRecorder()
		s := sorting{NewSorter(rec), t, rec}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.run(ctx) }()
		s.begin("news")
		test(s)
		time.Sleep(2 * HoldTime)
		synctest.Wait()
		rec.WaitWoken(t, 0)
		if n := s.held.Load(); n != 0 {
			t.Errorf("%d publications are counted as waiting", n)
		}
		cancel()
		<-done
	})
}

// come has publications arrive: "e5" is offset 5 of epoch e, "-" one without a position.
func (s sorting) come(channel, list string) {
	for word := range strings.FieldsSeq(list) {
		var at codec.StreamPosition
		if word != "-" {
			at.Epoch = word[:1]
			if _, err := fmt.Sscan(word[1:], &at.Offset); err != nil {
				s.t.Fatal(err)
			}
		}
		s.Wake(s.Publication(channel, &codec.Publication{Offset: at.Offset, Data: []byte(word)}, nil, at))
	}
}

// expect compares what was delivered so far.
func (s sorting) expect(channel, want string) {
	s.t.Helper()
	synctest.Wait()
	var got []string
	for _, d := range s.rec.Of(channel) {
		got = append(got, string(d.Publication.Data))
	}
	if list := strings.Join(got, " "); list != want {
		s.t.Errorf("%s: delivered %q, want %q", channel, list, want)
	}
}

func TestSorted(t *testing.T) {
	for _, tt := range []struct{ come, now, later string }{
		{"a1 a2 a3", "a1 a2 a3", "a1 a2 a3"},
		{"a8 a7", "", "a7 a8"}, // where does it stand?
		{"a8 a7 a6", "", "a6 a7 a8"},
		{"a1 a2 a1", "a1 a2 a1", "a1 a2 a1"}, // what is late is for the node to judge
		{"a1 a3 a2 a4", "a1 a2 a3 a4", "a1 a2 a3 a4"},
		{"a1 a5 a3 a4 a2", "a1 a2 a3 a4 a5", "a1 a2 a3 a4 a5"},
		{"a1 a3 - a2", "a1 - a2 a3", "a1 - a2 a3"},
		{"a1 a3", "a1", "a1 a3"}, // what is missing never comes
		{"a1 a4 a3 a7", "a1", "a1 a3 a4 a7"},
		{"a2 a1 a2", "a1 a2 a2", "a1 a2 a2"},
		{"a1 a3 b1 b2 b1", "a1 a3 b1 b2 b1", "a1 a3 b1 b2 b1"}, // another epoch: nothing fills the gap any more
		{"a5 b9 b11", "a5", "a5 b9 b11"},
	} {
		t.Run(tt.come, func(t *testing.T) {
			sort(t, func(s sorting) {
				s.come("news", tt.come)
				s.expect("news", tt.now)
				time.Sleep(HoldTime - 2*sweepEvery)
				s.expect("news", tt.now)
				time.Sleep(4 * sweepEvery)
				s.expect("news", tt.later)
			})
		})
	}
}

// TestLearned: who reads where a stream stands tells the sorter, too.
func TestLearned(t *testing.T) {
	top := func(epoch string, offset uint64) codec.StreamPosition {
		return codec.StreamPosition{Offset: offset, Epoch: epoch}
	}
	sort(t, func(s sorting) {
		s.come("news", "a8 a7")
		s.learn("news", top("a", 6))
		s.expect("news", "a7 a8")
		s.learn("news", top("a", 6)) // an old answer
		s.learn("news", top("b", 99))
		s.come("news", "a9 a11")
		s.expect("news", "a7 a8 a9")
		s.learn("news", top("a", 11))
		s.expect("news", "a7 a8 a9 a11")
		s.come("news", "a10") // for the node to judge
		s.expect("news", "a7 a8 a9 a11 a10")
	})
	sort(t, func(s sorting) {
		s.learn("news", top("a", 6))
		s.learn("other", top("a", 6))
		s.come("news", "a7 a9")
		s.expect("news", "a7")
	})
}

func TestSorterForgets(t *testing.T) {
	sort(t, func(s sorting) {
		s.come("other", "a1 a3") // not subscribed to
		s.expect("other", "a1 a3")
		s.come("news", "a1 a3")
		s.end("news")
		s.come("news", "a5")
		s.expect("news", "a1 a5")
		s.begin("news")
		s.learn("news", codec.StreamPosition{Offset: 8, Epoch: "a"})
		s.come("news", "a9 a11")
		s.Resumed([]string{"news"})
		s.expect("news", "a1 a5 a9 a11")
		s.learn("news", codec.StreamPosition{Offset: 19, Epoch: "a"})
		s.come("news", "a20 a22")
		s.expect("news", "a1 a5 a9 a11 a20")
		s.Subscribed("news", errors.New("refused"))
		if err := s.rec.WaitSubscribed(t, "news"); err == nil {
			t.Error("the outcome of subscribing was not passed on")
		}
		s.rec.WaitResumed(t, "news", 1)
		if len(s.stripe("news").places) > 0 {
			t.Error("a channel that was refused is still followed")
		}
	})
}

// TestSorterBounded: what waits is bounded, and beyond that it is delivered as it is.
func TestSorterBounded(t *testing.T) {
	sort(t, func(s sorting) {
		list := []string{"a1"}
		for i := range HeldMax {
			list = append(list, fmt.Sprint("a", i+3))
		}
		s.come("news", strings.Join(list, " "))
		s.expect("news", "a1")
		s.come("news", "a999")
		s.expect("news", strings.Join(list, " ")+" a999")
	})
}
