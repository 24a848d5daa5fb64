package redisengine

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPatience: a line waits for room, but half of the time at most, however often it is asked.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Second
		p := newPatience(4 * limit)
		start := time.Now()
		if !p.wait(func() bool { return time.Since(start) >= limit/2 }) {
			t.Error("there was room in time, but it was not waited for")
		}
		never := func() bool { return false }
		if p.wait(never) {
			t.Error("there is no room")
		}
		if waited := time.Since(start); waited < limit || waited > limit+2*admitPoll {
			t.Errorf("waited for %v, want %v", waited, limit)
		}
		for range 1000 {
			p.wait(never)
		}
		if waited := time.Since(start); waited > limit+2*admitPoll {
			t.Errorf("waited for %v in all, want %v", waited, limit)
		}
		time.Sleep(2 * limit)
		again := time.Now()
		if p.wait(never) || time.Since(again) < limit {
			t.Errorf("in the next window it waited for %v, want %v", time.Since(again), limit)
		}
		if long, short := newPatience(time.Hour).limit, newPatience(time.Second).limit; long != admitPatienceMax || short != time.Second/4 {
			t.Errorf("limits %v and %v", long, short)
		}
	})
}

func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s seldom
		through := 0
		for range 35 {
			for range 100 {
				if s.due() {
					through++
				}
			}
			time.Sleep(time.Second)
		}
		if through != 4 {
			t.Errorf("%d came through in 35 s, want one every %v", through, seldomInterval)
		}
	})
}
