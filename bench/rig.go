package bench

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/launch"
	"stentor/bench/probe"
	"stentor/bench/publish"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// serverFilesSpare are the descriptors that a server needs beside its clients: its listeners, its logs, HTTP conns.
const serverFilesSpare = 256

// rig is what every scenario works with.
type rig struct {
	*Streams
	*progress
	ctx      context.Context // of the run; ends with the server that we started
	cancel   context.CancelCauseFunc
	target   *Target
	place    place
	api      *publish.Client
	launched *launch.Server // nil: somebody else runs the server
	server   *probe.Process // nil without a process id
	machine  probe.Machine
	watch    *watch
	result   result.Result
	signs    [numSigns]bool // noted

	mu     sync.Mutex
	fleets []*fleet.Fleet
}

// newRig finds the target, or starts it. clients is the most that will be connected at the same time.
func newRig(ctx context.Context, sc *scenario, s *Streams, clients int) (*rig, error) {
	r := &rig{Streams: s, progress: newProgress(s.Log), target: sc.target, machine: probe.OpenMachine()}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if err := r.reach(clients); err != nil {
		if r.watch == nil {
			r.watch = newWatch(nil, r.machine, ownCPU)
		}
		r.close()
		return nil, err
	}
	files, _ := fleet.FilesMax()
	r.result = result.Result{
		Scenario: sc.name, Title: sc.short, Command: strings.Join(s.CommandLine, " "), Target: r.place.url, Started: time.Now(),
		Machine: result.Machine{
			OS: runtime.GOOS + "/" + runtime.GOARCH, Kernel: r.machine.Kernel, CPU: r.machine.CPU, Cores: runtime.NumCPU(),
			Memory: r.machine.Memory, Files: files,
		},
	}
	return r, nil
}

// reach locates the server, starts it if we are to, and begins to watch it.
func (r *rig) reach(clients int) error {
	t := r.target
	if t.Server != "" {
		if err := r.launch(); err != nil {
			return err
		}
	}
	p, err := t.locate(r.ctx)
	if err != nil {
		return err
	}
	r.place, r.api = p, publish.New(p.api, t.APIKey)
	if r.launched != nil {
		r.phase(launch.ReadyTimeout, "waiting for the server on %s", p.addr)
		if err := r.launched.Await(r.ctx, p.addr.String()); err != nil {
			return err
		}
	}
	if pid := r.pid(); pid != 0 {
		server, err := probe.Open(pid)
		if err != nil {
			return err
		}
		r.server = &server
		if err := checkFiles(server, clients); err != nil {
			return err
		}
	}
	r.watch = newWatch(r.server, r.machine, r.ownCPU)
	return nil
}

// pid is the server's process id, 0 if it is unknown.
func (r *rig) pid() int {
	if r.launched != nil {
		return r.launched.PID()
	}
	return r.target.PID
}

// launch starts the server. With a mark for the port in its command, a free one is chosen for it and for the target.
func (r *rig) launch() error {
	port := 0
	if strings.Contains(r.target.Server, launch.PortMark) {
		var err error
		if port, err = launch.FreePort(); err != nil {
			return err
		}
		if err := r.target.moveTo(port); err != nil {
			return err
		}
	}
	s, err := launch.Start(r.target.Server, port)
	if err != nil {
		return err
	}
	r.launched = s
	go func() {
		<-s.Done()
		r.cancel(s.Err())
	}()
	return nil
}

// checkFiles refuses more clients than the server can have.
func checkFiles(server probe.Process, clients int) error {
	files, limited, err := server.FilesMax()
	if err != nil {
		return err
	}
	if need := int64(clients + serverFilesSpare); limited && files < need {
		return fmt.Errorf("process %d may have %d files open, %d clients need at least %d: restart the server under a higher limit (ulimit -n), or measure with fewer clients",
			server.PID(), files, clients, need)
	}
	return nil
}

// fleet starts worker processes for so many conns. They end with close.
func (r *rig) fleet(conns, workers int) (*fleet.Fleet, error) {
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
	if r.launched != nil {
		r.launched.Stop()
	}
	r.cancel(nil)
	r.progress.close()
}

// cpu is the CPU time that the server has used; zero if its process is unknown.
func (r *rig) cpu() (time.Duration, error) {
	if r.server == nil {
		return 0, nil
	}
	return r.server.CPU()
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

// page is the address of a page of the server: address itself, or on the target's host if it is only a path.
func (r *rig) page(address string) string {
	if strings.HasPrefix(address, "/") {
		return "http://" + r.place.host + address
	}
	return address
}
