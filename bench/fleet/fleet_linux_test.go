package fleet

import (
	"math"
	"strings"
	"testing"

	"stentor/bench/pipe"
	"stentor/bench/swarm"
)

func TestSize(t *testing.T) {
	for _, c := range []struct {
		conns, asked, files int
		want                int
		says                string
	}{
		{10000, 0, 20000, 1, ""},
		{20000, 0, 20000, 2, ""},
		{40000, 4, 20000, 4, ""},
		{1, 0, 1024, 1, ""},
		{40000, 1, 20000, 0, "--workers 3"},
		{1000000, 0, 1024, 0, "ulimit -n"},
		{10, WorkersMax + 1, 20000, 0, "--workers"},
		{10, 0, 64, 0, "ulimit -n"},
	} {
		n, err := size(c.conns, c.asked, c.files)
		if n != c.want || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("size(%d, %d, %d) = %d, %v", c.conns, c.asked, c.files, n, err)
		}
	}
}

func TestSplit(t *testing.T) {
	workers := []*pipe.Child{new(pipe.Child), new(pipe.Child), new(pipe.Child)}
	for _, count := range []int{1, 2, 3, 10, 1000} {
		next, rate := 7, 0.0
		for _, s := range split(workers, swarm.Group{First: 7, Count: count, ConnectRate: 100}) {
			if s.Count < 1 || s.First != next {
				t.Errorf("%d: %d clients from %d, want some from %d", count, s.Count, s.First, next)
			}
			next += s.Count
			rate += s.ConnectRate
		}
		if next != 7+count || math.Abs(rate-100) > 1e-9 {
			t.Errorf("%d clients became %d at %v per second", count, next-7, rate)
		}
	}
}
