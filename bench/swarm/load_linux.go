package swarm

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"stentor/bench/measure"
)

// schedstat tells of the thread that reads it: nanoseconds on a core, nanoseconds in wait for one (sched-stats.rst of the kernel).
const schedstat = "/proc/thread-self/schedstat"

// work is the account that Load is made of.
type work struct {
	since       int64 // when the account began
	busy        time.Duration
	turns       *measure.Latency
	ran, waited time.Duration // of the thread, when the account began
}

func newWork(now int64) work {
	w := work{since: now, turns: measure.NewLatency()}
	w.ran, w.waited = threadTimes()
	return w
}

// turn notes one turn of the loop.
func (w *work) turn(from, to int64) {
	w.busy += time.Duration(to - from)
	w.turns.Record(time.Duration(to - from))
}

// Load closes the account and begins the next.
func (s *Swarm) Load() Load {
	before, now := s.work, s.now()
	s.work = newWork(now)
	return Load{
		Span: time.Duration(now - before.since), Busy: before.busy, Turns: before.turns,
		Ran: s.work.ran - before.ran, Waited: s.work.waited - before.waited,
	}
}

// threadTimes are zero where the kernel does not tell.
func threadTimes() (ran, waited time.Duration) {
	b, err := os.ReadFile(schedstat)
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0, 0
	}
	r, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	w, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return time.Duration(r), time.Duration(w)
}
