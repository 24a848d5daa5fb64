package swarm

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// readBytes is the one read buffer of a swarm.
const readBytes = 64 << 10

// Swarm is any number of groups on one epoll descriptor. Make it with New and turn it with Run. All other methods but Do and Stop
// belong to the goroutine in Run: call them through Do, or before Run.
type Swarm struct {
	clock
	poll *poll

	groups []*group // by number; nil: closed
	buf    []byte
	cipher []byte           // likewise, of what TLS has yet to read; nil without any
	shakes shakes           // TLS handshakes that are under way
	halves map[place][]byte // what came of a message that is not whole yet
	unsent map[place][]byte // what a full socket did not take
	waits  []wait           // callers of Await
	stop   bool
	readAt int64 // when the bytes being looked at were read
	work   work
}

// place is a client: its group and its index there.
type place struct{ group, index int32 }

// wait is one caller of Await.
type wait struct {
	group    *group
	target   uint64
	deadline int64
	done     func(reached bool)
}

// New makes a swarm without clients.
func New() (*Swarm, error) {
	p, err := newPoll()
	if err != nil {
		return nil, err
	}
	return &Swarm{
		clock: newClock(), poll: p, buf: make([]byte, readBytes),
		halves: map[place][]byte{}, unsent: map[place][]byte{},
	}, nil
}

// Do leaves f for the swarm's goroutine. Any goroutine may call it.
func (s *Swarm) Do(f func()) { s.poll.do(f) }

// Stop ends Run. Any goroutine may call it.
func (s *Swarm) Stop() { s.Do(func() { s.stop = true }) }

// Run turns the swarm until Stop, then closes all conns. It keeps its thread: system calls are made without telling the scheduler,
// since none of them can block.
func (s *Swarm) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer s.shut()
	s.work = newWork(s.now()) // on this thread
	for !s.stop {
		events, err := s.poll.wait(s.due())
		if err != nil {
			return err
		}
		woken := s.now()
		for i := range events {
			s.event(&events[i])
		}
		now := s.now()
		for _, g := range s.groups {
			if g != nil && g.due <= now {
				g.turn(now)
			}
		}
		s.settle(now)
		s.work.turn(woken, s.now())
	}
	return nil
}

func (s *Swarm) shut() {
	for _, g := range s.groups {
		if g != nil {
			g.close()
		}
	}
	s.poll.close()
}

// due is the next moment at which something must happen without an event.
func (s *Swarm) due() int64 {
	due := never
	for _, g := range s.groups {
		if g != nil {
			due = min(due, g.due)
		}
	}
	for _, w := range s.waits {
		due = min(due, w.deadline)
	}
	return due
}

func (s *Swarm) event(e *unix.EpollEvent) {
	switch e.Pad {
	case groupBell:
		for _, f := range s.poll.take() {
			f()
		}
	case groupTimer:
		s.poll.rang()
	default:
		// Conns that a function closed a moment ago may still have an event in this batch.
		g := s.groups[e.Pad]
		switch {
		case g == nil:
		case int(e.Fd) >= len(g.conns):
			g.posts.event(int(e.Fd)-len(g.conns), e.Events)
		case g.conns[e.Fd].fd >= 0:
			g.event(e.Fd, e.Events)
		}
	}
}

// settle answers the callers of Await whose number has been reached, or whose time has passed.
func (s *Swarm) settle(now int64) {
	s.waits = slices.DeleteFunc(s.waits, func(w wait) bool {
		reached := w.group.stats.Deliveries >= w.target
		if reached || now >= w.deadline {
			w.done(reached)
			return true
		}
		return false
	})
}

// Open starts to connect a group and calls done once, when each of its clients is live or has failed, or when the group's
// Patience ran out.
func (s *Swarm) Open(cfg Group, done func(Opened)) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	if s.find(cfg.Name) != nil {
		return fmt.Errorf("group %s is open already", cfg.Name)
	}
	g, err := newGroup(s, cfg, done)
	if err != nil {
		return err
	}
	g.number = int32(len(s.groups))
	if free := slices.Index(s.groups, nil); free >= 0 {
		g.number = int32(free)
		s.groups[free] = g
		return nil
	}
	s.groups = append(s.groups, g)
	return nil
}

func (s *Swarm) find(name string) *group {
	for _, g := range s.groups {
		if g != nil && g.cfg.Name == name {
			return g
		}
	}
	return nil
}

// known finds a group that must be there.
func (s *Swarm) known(name string) (*group, error) {
	if g := s.find(name); g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("there is no group %s", name)
}

// Await calls done(true) as soon as the group has received deliveries publications since it was opened, or done(false) after
// patience.
func (s *Swarm) Await(name string, deliveries uint64, patience time.Duration, done func(reached bool)) error {
	g, err := s.known(name)
	if err != nil {
		return err
	}
	s.waits = append(s.waits, wait{group: g, target: deliveries, deadline: s.now() + int64(patience), done: done})
	return nil
}

// Stats reads what the group has seen. reset makes the next latencies a series of their own.
func (s *Swarm) Stats(name string, reset bool) (Stats, error) {
	g, err := s.known(name)
	if err != nil {
		return Stats{}, err
	}
	st := g.stats
	st.Live = g.live()
	st.Closes, st.Faults, st.Secured = addCounts(nil, st.Closes), addCounts(nil, st.Faults), addCounts(nil, st.Secured)
	st.Latency, st.Opening = mergeLatency(nil, g.stats.Latency), mergeLatency(nil, g.stats.Opening)
	if reset {
		g.stats.Latency.Reset()
		g.stats.Opening.Reset()
	}
	return st, nil
}

// Tally looks for what each subscriber lacks of publications 1 to the last of its channel, as Group.Last says.
func (s *Swarm) Tally(name string, last ...int) (Tally, error) {
	g, err := s.known(name)
	if err != nil {
		return Tally{}, err
	}
	return g.tally(last)
}

// Close ends all conns of a group and forgets it.
func (s *Swarm) Close(name string) error {
	g, err := s.known(name)
	if err != nil {
		return err
	}
	g.close()
	s.groups[g.number] = nil
	s.waits = slices.DeleteFunc(s.waits, func(w wait) bool {
		if w.group == g {
			w.done(false)
		}
		return w.group == g
	})
	return nil
}
