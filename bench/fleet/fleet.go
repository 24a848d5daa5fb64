package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stentor/bench/pipe"
	"stentor/bench/probe"
	"stentor/bench/swarm"
)

// Limits of a fleet.
const (
	// WorkersMax is the number of worker processes that one run may have.
	WorkersMax = 256
	// filesSpare are the descriptors that a process needs for itself.
	filesSpare = 64
)

// Size is how many workers hold conns sockets. asked is what the user wants, 0: as few as the descriptor limit allows.
func Size(conns, asked int) (int, error) {
	files, err := FilesMax()
	if err != nil {
		return 0, err
	}
	return size(conns, asked, files)
}

func size(conns, asked, files int) (int, error) {
	each := files - filesSpare
	if each < 1 {
		return 0, fmt.Errorf("the limit of open files is %d, a worker needs more than %d: raise it with ulimit -n", files, filesSpare)
	}
	need := (conns + each - 1) / each
	switch {
	case need > WorkersMax:
		return 0, fmt.Errorf("%d conns with %d open files per process need %d worker processes, more than %d: raise the limit of open files (ulimit -n) to at least %d",
			conns, files, need, WorkersMax, (conns+WorkersMax-1)/WorkersMax+filesSpare)
	case asked == 0:
		return max(need, 1), nil
	case asked > WorkersMax:
		return 0, fmt.Errorf("--workers %d is above the most, %d", asked, WorkersMax)
	case asked < need:
		return 0, fmt.Errorf("%d conns in %d workers need %d open files per process, the limit is %d: use --workers %d, or raise the limit with ulimit -n",
			conns, asked, (conns+asked-1)/asked+filesSpare, files, need)
	}
	return asked, nil
}

// Fleet is a number of worker processes that act alike. Make it with Start. Nothing may be called while Open or Shut is under way; the
// rest is safe for concurrent use.
type Fleet struct {
	workers []*pipe.Child
	groups  map[string][]share
}

// share is the part of a group that one worker has: clients First to First+Count−1.
type share struct {
	worker *pipe.Child
	swarm.Group
}

// Start runs n worker processes.
func Start(worker pipe.Command, n int) (*Fleet, error) {
	f := &Fleet{groups: map[string][]share{}}
	for range n {
		w, err := pipe.Start(worker)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.workers = append(f.workers, w)
	}
	return f, nil
}

// Close ends all workers.
func (f *Fleet) Close() {
	var all sync.WaitGroup
	for _, w := range f.workers {
		all.Go(w.Close)
	}
	all.Wait()
}

// Size is the number of workers.
func (f *Fleet) Size() int { return len(f.workers) }

// CPU is the CPU time that the workers have used.
func (f *Fleet) CPU() (sum time.Duration) {
	for _, w := range f.workers {
		if p, err := probe.Open(w.PID()); err == nil {
			if cpu, err := p.CPU(); err == nil {
				sum += cpu
			}
		}
	}
	return sum
}

// Open connects the clients of g, spread over the workers, and returns when all of them are live. Otherwise it says what went wrong; the
// group must be closed either way.
func (f *Fleet) Open(ctx context.Context, g swarm.Group) (swarm.Opened, error) {
	shares := split(f.workers, g)
	f.groups[g.Name] = shares
	return opened(ctx, shares, opOpen, func(s share) any { return s.Group })
}

// opened asks the workers for conns, with a body for each of them, and adds up what they say.
func opened(ctx context.Context, shares []share, op string, body func(share) any) (swarm.Opened, error) {
	var mu sync.Mutex
	var sum swarm.Opened
	err := each(shares, func(s share) error {
		var part swarm.Opened
		if err := s.worker.Call(ctx, op, body(s), &part); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sum.Merge(part)
		return nil
	})
	if err == nil {
		err = sum.Err()
	}
	return sum, err
}

// split gives each worker its share of the clients, and of the rate at which they connect; with fewer clients than workers, some have none.
func split(workers []*pipe.Child, g swarm.Group) []share {
	var shares []share
	for k, w := range workers {
		from, to := g.Count*k/len(workers), g.Count*(k+1)/len(workers)
		if from == to {
			continue
		}
		part := g
		part.First, part.Count = g.First+from, to-from
		part.ConnectRate = g.ConnectRate * float64(part.Count) / float64(g.Count)
		shares = append(shares, share{w, part})
	}
	return shares
}

// each runs f for all shares at once and joins the errors.
func each(shares []share, f func(share) error) error {
	errs := make([]error, len(shares))
	var all sync.WaitGroup
	for i, s := range shares {
		all.Go(func() { errs[i] = f(s) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Await returns true as soon as the clients of the group have received all publications of their channels since it was opened, false after
// patience. last is how many there were, as swarm.Group.Last says.
func (f *Fleet) Await(ctx context.Context, group string, patience time.Duration, last ...int) (bool, error) {
	var mu sync.Mutex
	all := true
	err := each(f.groups[group], func(s share) error {
		deliveries, err := s.Deliveries(last)
		if err != nil {
			return err
		}
		var reached bool
		body := awaitBody{Name: group, Deliveries: deliveries, Patience: patience}
		if err := s.worker.Call(ctx, opAwait, body, &reached); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all = all && reached
		return nil
	})
	return all, err
}

// Stats adds up what the clients of the groups have seen. reset makes the next latencies a series of their own.
func (f *Fleet) Stats(ctx context.Context, reset bool, groups ...string) (swarm.Stats, error) {
	var mu sync.Mutex
	var sum swarm.Stats
	for _, group := range groups {
		err := each(f.groups[group], func(s share) error {
			var st swarm.Stats
			if err := s.worker.Call(ctx, opStats, statsBody{Name: group, Reset: reset}, &st); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Merge(st)
			return nil
		})
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// Tally adds up what the clients of a group lack of publications 1 to the last of their channels, as swarm.Group.Last says.
func (f *Fleet) Tally(ctx context.Context, group string, last ...int) (swarm.Tally, error) {
	var mu sync.Mutex
	var sum swarm.Tally
	err := each(f.groups[group], func(s share) error {
		var t swarm.Tally
		if err := s.worker.Call(ctx, opTally, tallyBody{Name: group, Last: last}, &t); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sum.Merge(t)
		return nil
	})
	return sum, err
}

// Ask lets the requesters of a group send perSecond requests a second in all.
func (f *Fleet) Ask(ctx context.Context, group string, perSecond float64) error {
	return f.atRate(ctx, opAsk, group, perSecond)
}

// Hush ends what Ask began and returns when all requests are answered, or after patience.
func (f *Fleet) Hush(ctx context.Context, group string, patience time.Duration) error {
	return each(f.groups[group], func(s share) error {
		return s.worker.Call(ctx, opHush, hushBody{Name: group, Patience: patience}, nil)
	})
}

// Churn lets perSecond clients a second of a group of churners go and come back, in all; 0 ends it.
func (f *Fleet) Churn(ctx context.Context, group string, perSecond float64) error {
	return f.atRate(ctx, opChurn, group, perSecond)
}

// Shake lets a group of handshakers secure perSecond conns a second, in all; 0 ends it.
func (f *Fleet) Shake(ctx context.Context, group string, perSecond float64) error {
	return f.atRate(ctx, opShake, group, perSecond)
}

// atRate gives each worker its share of perSecond.
func (f *Fleet) atRate(ctx context.Context, op, group string, perSecond float64) error {
	shares := f.groups[group]
	total := 0
	for _, s := range shares {
		total += s.Count
	}
	return each(shares, func(s share) error {
		return s.worker.Call(ctx, op, askBody{Name: group, PerSecond: perSecond * float64(s.Count) / float64(total)}, nil)
	})
}

// Stall makes the clients of a group stop reading, or read again.
func (f *Fleet) Stall(ctx context.Context, group string, stalled bool) error {
	return each(f.groups[group], func(s share) error {
		return s.worker.Call(ctx, opStall, stallBody{Name: group, Stalled: stalled}, nil)
	})
}

// Leave ends all conns of a group at once. What its clients have received stays known.
func (f *Fleet) Leave(ctx context.Context, group string) error {
	return each(f.groups[group], func(s share) error { return s.worker.Call(ctx, opLeave, nameBody{Name: group}, nil) })
}

// Back connects the clients of a group anew and returns as Open does.
func (f *Fleet) Back(ctx context.Context, group string) (swarm.Opened, error) {
	return opened(ctx, f.groups[group], opBack, func(share) any { return nameBody{Name: group} })
}

// Shut closes the conns of a group.
func (f *Fleet) Shut(ctx context.Context, group string) error {
	shares := f.groups[group]
	delete(f.groups, group)
	return each(shares, func(s share) error { return s.worker.Call(ctx, opShut, nameBody{Name: group}, nil) })
}

// Yield makes the workers take no more of the cores than others leave, for the rest of their lives.
func (f *Fleet) Yield(ctx context.Context) error {
	return each(f.all(), func(s share) error { return s.worker.Call(ctx, opYield, nil, nil) })
}

// Load is that of the hardest worked worker since it was last asked.
func (f *Fleet) Load(ctx context.Context) (swarm.Load, error) {
	var mu sync.Mutex
	var worst swarm.Load
	err := each(f.all(), func(s share) error {
		var l swarm.Load
		if err := s.worker.Call(ctx, opLoad, nil, &l); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		worst.Worse(l)
		return nil
	})
	return worst, err
}

// Heap adds up what is alive in the workers after a collection, in bytes.
func (f *Fleet) Heap(ctx context.Context) (int64, error) {
	var sum atomic.Int64
	err := each(f.all(), func(s share) error {
		var n int64
		if err := s.worker.Call(ctx, opHeap, nil, &n); err != nil {
			return err
		}
		sum.Add(n)
		return nil
	})
	return sum.Load(), err
}

// all is every worker, whatever it has of any group.
func (f *Fleet) all() (shares []share) {
	for _, w := range f.workers {
		shares = append(shares, share{worker: w})
	}
	return shares
}
