package bench

import (
	"context"
	"fmt"
	"time"

	"stentor/bench/swarm"
)

// Signs that the generator measures itself. They do not fail a run: its figures are then a floor of what the server can do.
const (
	busyWorker    = 0.9                    // share of the time that a worker is at work: it has no room left
	starvedWorker = 0.2                    // share of the time that it waits for a core
	fullMachine   = 0.95                   // share of all cores that are in use
	ownShare      = 0.5                    // share of a latency that may be the worker's own
	ownTurnMin    = time.Millisecond       // shorter turns are no matter
	spanMin       = 200 * time.Millisecond // shorter spans say nothing: clocks of the kernel tick in 10 ms
)

// span is what the processes used while something was measured.
type span struct {
	Took                       time.Duration
	Server, Generator, Machine time.Duration // CPU time
	Load                       swarm.Load    // of the hardest worked worker
}

// add makes one span of two.
func (s *span) add(o span) {
	s.Took += o.Took
	s.Server += o.Server
	s.Generator += o.Generator
	s.Machine += o.Machine
	s.Load.Worse(o.Load)
}

// measured runs work and says what it took.
func (r *rig) measured(ctx context.Context, work func() error) (span, error) {
	if _, err := r.load(ctx); err != nil { // begins a new account
		return span{}, err
	}
	before := r.watch.read()
	if err := work(); err != nil {
		return span{}, err
	}
	after := r.watch.read()
	load, err := r.load(ctx)
	return span{
		Took: after.at.Sub(before.at), Server: after.server - before.server, Generator: after.own - before.own,
		Machine: after.total - before.total, Load: load,
	}, err
}

// load is that of the hardest worked worker since it was last asked.
func (r *rig) load(ctx context.Context) (worst swarm.Load, err error) {
	for _, f := range r.fleets {
		l, err := f.Load(ctx)
		if err != nil {
			return worst, err
		}
		worst.Worse(l)
	}
	return worst, nil
}

// serverCores is the CPU that the server used, in cores.
func (s span) serverCores() float64 { return share(s.Server, s.Took) }

// perServer divides n by the server's CPU seconds; 0 if they are unknown.
func (s span) perServer(n float64) float64 { return per(n, s.Server.Seconds()) }

// judge notes what shows that the client was the limit, once for each kind of sign. p99 is the latency that was measured; 0: none.
func (r *rig) judge(s span, p99 time.Duration) {
	if s.Took < spanMin {
		return
	}
	for kind, text := range signs(s, p99, r.result.Machine.Cores) {
		if text == "" || r.signs[kind] {
			continue
		}
		r.signs[kind] = true
		r.sign(kind, text)
	}
}

// sign notes one.
func (r *rig) sign(kind int, text string) {
	if kind == signCrowded {
		r.result.Notes = append(r.result.Notes, text)
	} else {
		r.result.Client = append(r.result.Client, text)
	}
}

// Kinds of signs.
const (
	signBusy    = iota // a worker has no room left
	signStarved        // a worker gets no core
	signOwn            // latencies are the worker's own
	signFull           // the generator takes the cores that the server would need
	signCrowded        // neither does: others have the machine
	numSigns
)

// signs are the sentences that judge notes, by kind; empty: there is no such sign.
func signs(s span, p99 time.Duration, cores int) (all [numSigns]string) {
	if b := s.Load.Busyness(); b > busyWorker {
		all[signBusy] = fmt.Sprintf("a worker was at work %.0f %% of the time: latencies hold its own work too; use more --workers, if there are cores for them", 100*b)
	}
	if w := s.Load.Starved(); w > starvedWorker {
		all[signStarved] = fmt.Sprintf("a worker waited for a core %.0f %% of the time: too few cores for all that runs here", 100*w)
	}
	if s.Load.Turns != nil && p99 > 0 {
		if own := s.Load.Turns.Percentiles().P99; own > ownTurnMin && float64(own) > ownShare*float64(p99) {
			all[signOwn] = fmt.Sprintf("a worker took up to %v (p99) for one turn of its own loop, against a measured p99 of %v", own, p99)
		}
	}
	if share(s.Machine, s.Took) <= fullMachine*float64(cores) {
		return all
	}
	switch {
	case s.Generator+s.Server < s.Machine/2:
		all[signCrowded] = fmt.Sprintf("all %d cores were in use, most of them by other processes: the figures are those of a crowded machine", cores)
	case s.Generator > s.Server:
		all[signFull] = fmt.Sprintf("all %d cores were in use, and the generator had more of them (%.2f) than the server (%.2f)", cores, share(s.Generator, s.Took), s.serverCores())
	}
	return all
}

// per divides, 0 if there is no divisor.
func per(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
