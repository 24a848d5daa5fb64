package bench

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/probe"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// rig is what every scenario works with.
type rig struct {
	*Streams
	*progress
	*node                   // that the scenario measures
	ctx     context.Context // of the run; ends with a server that we started
	cancel  context.CancelCauseFunc
	nodes   []*node // all of them, those that stand beside it too
	machine probe.Machine
	watch   *watch
	result  result.Result
	signs   [numSigns]bool // noted

	mu     sync.Mutex
	fleets []*fleet.Fleet
}

// newRig finds the target, or starts it. clients is the most that will be connected at the same time.
func newRig(ctx context.Context, sc *scenario, s *Streams, clients int) (*rig, error) {
	r := &rig{Streams: s, progress: newProgress(s.Log), node: &node{target: sc.target}, machine: probe.OpenMachine()}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.nodes = []*node{r.node}
	if err := r.reach(r.ctx, r.progress, clients, r.cancel); err != nil {
		r.watch = newWatch(nil, r.machine, ownCPU)
		r.close()
		return nil, err
	}
	r.watch = newWatch(r.server, r.machine, r.ownCPU)
	files, _ := fleet.FilesMax()
	r.result = result.Result{
		Scenario: sc.name, Title: sc.short, Command: strings.Join(s.CommandLine, " "), Target: r.place.url, Over: r.target.over(r.place), Started: time.Now(),
		Machine: result.Machine{
			OS: runtime.GOOS + "/" + runtime.GOARCH, Kernel: r.machine.Kernel, CPU: r.machine.CPU, Cores: runtime.NumCPU(),
			Memory: r.machine.Memory, Files: files,
		},
	}
	return r, nil
}

// beside starts another server with the options of the target, and watches it under its name. It ends with close.
func (r *rig) beside(name, command string, clients int) (*node, error) {
	t := *r.target
	t.Server, t.PID = command, 0
	n := &node{target: &t}
	r.nodes = append(r.nodes, n)
	err := n.reach(r.ctx, r.progress, clients, func(err error) { r.cancel(fmt.Errorf("%s: %w", name, err)) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.watch.also(name, *n.server)
	return n, nil
}

// fleet starts worker processes for so many conns. They end with close.
func (r *rig) fleet(conns, workers int) (*fleet.Fleet, error) {
	if r.place.tls != nil {
		conns += swarm.ShakesMax * max(1, workers)
	}
	n, err := fleet.Size(conns, workers)
	if err != nil {
		return nil, err
	}
	f, err := fleet.Start(r.Worker, n)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fleets = append(r.fleets, f)
	return f, nil
}

// open connects a group and says so.
func (r *rig) open(ctx context.Context, f *fleet.Fleet, g swarm.Group) (swarm.Opened, error) {
	var planned time.Duration
	if g.ConnectRate > 0 {
		planned = time.Duration(float64(g.Count) / g.ConnectRate * float64(time.Second))
	}
	r.phase(planned, "opening %d %s with %d workers", g.Count, g.Name, f.Size())
	return f.Open(ctx, g)
}

// close ends all that was started: workers first, so that a server which drains has nobody to wait for.
func (r *rig) close() {
	r.watch.stop()
	for _, f := range r.fleets {
		f.Close()
	}
	var all sync.WaitGroup
	for _, n := range r.nodes {
		all.Go(n.stop)
	}
	all.Wait()
	r.cancel(nil)
	r.progress.close()
}

// ownCPU is the CPU time of the generator: this process and its workers.
func (r *rig) ownCPU() time.Duration {
	r.mu.Lock()
	fleets := r.fleets
	r.mu.Unlock()
	sum := ownCPU()
	for _, f := range fleets {
		sum += f.CPU()
	}
	return sum
}

// pause waits for d, or returns why ctx has ended.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
