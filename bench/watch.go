package bench

import (
	"os"
	"sync"
	"time"

	"stentor/bench/probe"
	"stentor/bench/result"
)

// How often the processes are looked at: more rarely the longer a run lasts, so that it never has more samples than fit a chart.
const (
	watchEvery = 250 * time.Millisecond
	samplesMax = 600
)

// watch looks at the processes of a run for as long as it lasts.
type watch struct {
	began   time.Time
	machine probe.Machine
	server  *probe.Process // nil: unknown
	own     func() time.Duration

	mu      sync.Mutex
	others  []*watched
	samples []result.Sample
	end     chan struct{}
	ended   sync.WaitGroup
}

// watched is a process beside the server.
type watched struct {
	name    string
	process probe.Process
	cpu     time.Duration // when it was last looked at
}

// newWatch begins to look. own is the CPU time of the generator's processes.
func newWatch(server *probe.Process, machine probe.Machine, own func() time.Duration) *watch {
	w := &watch{began: time.Now(), machine: machine, server: server, own: own, end: make(chan struct{})}
	w.ended.Go(w.run)
	return w
}

// also looks at one more process from now on.
func (w *watch) also(name string, p probe.Process) {
	cpu, _ := p.CPU() // one that is gone is noticed by the run
	w.mu.Lock()
	defer w.mu.Unlock()
	w.others = append(w.others, &watched{name, p, cpu})
}

// spent is what was used up to one moment.
type spent struct {
	at                 time.Time
	server, own, total time.Duration
}

func (w *watch) read() (s spent) {
	s.at, s.own = time.Now(), w.own()
	s.total, _ = w.machine.Busy() // stays 0 where the kernel does not tell
	if w.server != nil {
		s.server, _ = w.server.CPU() // a server that is gone is noticed by the run
	}
	return s
}

func (w *watch) run() {
	every, pause := watchEvery, time.NewTimer(watchEvery)
	defer pause.Stop()
	last := w.read()
	for {
		select {
		case <-w.end:
			return
		case <-pause.C:
		}
		now := w.read()
		w.note(last, now)
		last = now
		if w.thin() {
			every *= 2
		}
		pause.Reset(every)
	}
}

func (w *watch) note(last, now spent) {
	took := now.at.Sub(last.at)
	s := result.Sample{
		At: now.at.Sub(w.began).Seconds(), Server: share(now.server-last.server, took),
		Generator: share(now.own-last.own, took), Machine: share(now.total-last.total, took),
	}
	if w.server != nil {
		if status, err := w.server.Status(); err == nil {
			s.RSS = status.RSS
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.others {
		if s.Others == nil {
			s.Others = map[string]result.Use{}
		}
		s.Others[o.name] = o.used(took)
	}
	w.samples = append(w.samples, s)
}

// used looks at the process, and says what it used of the time that has passed.
func (o *watched) used(passed time.Duration) (u result.Use) {
	if cpu, err := o.process.CPU(); err == nil {
		u.Cores = share(cpu-o.cpu, passed)
		o.cpu = cpu
	}
	if status, err := o.process.Status(); err == nil {
		u.RSS = status.RSS
	}
	return u
}

// thin joins neighbours once there are too many samples.
func (w *watch) thin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.samples) < samplesMax {
		return false
	}
	half := w.samples[:0]
	for i := 1; i < len(w.samples); i += 2 {
		a, b := w.samples[i-1], w.samples[i]
		b.RSS = max(a.RSS, b.RSS)
		b.Server, b.Generator, b.Machine = (a.Server+b.Server)/2, (a.Generator+b.Generator)/2, (a.Machine+b.Machine)/2
		for name, use := range b.Others {
			before, ok := a.Others[name]
			if !ok {
				before = use
			}
			b.Others[name] = result.Use{RSS: max(before.RSS, use.RSS), Cores: (before.Cores + use.Cores) / 2}
		}
		half = append(half, b)
	}
	w.samples = half
	return true
}

// stop ends the watch and returns what it saw.
func (w *watch) stop() []result.Sample {
	select {
	case <-w.end:
	default:
		close(w.end)
	}
	w.ended.Wait()
	return w.samples
}

// since are the samples from a moment on.
func (w *watch) since(from time.Time) (part []result.Sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.samples {
		if w.began.Add(time.Duration(s.At * float64(time.Second))).After(from) {
			part = append(part, s)
		}
	}
	return part
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	p, err := probe.Open(os.Getpid())
	if err != nil {
		return 0
	}
	cpu, _ := p.CPU()
	return cpu
}

// share is part per whole, 0 if there is no whole.
func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return max(0, float64(part)/float64(whole))
}
