package swarm

import (
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Epoll gives back two numbers that we chose for a descriptor: the group and the client's place in it. Descriptors of the swarm
// itself have these groups.
const (
	groupBell  = -1
	groupTimer = -2
)

const (
	eventsMax = 512 // per wait
	never     = int64(math.MaxInt64)
)

// clock tells nanoseconds of CLOCK_MONOTONIC without a system call each time.
type clock struct {
	start time.Time
	base  int64
}

func newClock() clock {
	return clock{start: time.Now(), base: Monotonic()}
}

func (c clock) now() int64 { return c.base + int64(time.Since(c.start)) }

// poll waits for sockets, for the bell that other goroutines ring, and for one moment.
type poll struct {
	epoll, bell, timer int
	armed              int64 // the moment that the timer is set to
	events             [eventsMax]unix.EpollEvent

	mu   sync.Mutex
	left []func() // by other goroutines
}

func newPoll() (*poll, error) {
	p := &poll{epoll: -1, bell: -1, timer: -1, armed: never}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		p.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	// A timer of its own, because epoll waits in milliseconds only and a request is to go out when it is due.
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		p.close()
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	for fd, group := range map[int]int32{p.bell: groupBell, p.timer: groupTimer} {
		if err := p.add(fd, group, 0, unix.EPOLLIN); err != nil {
			p.close()
			return nil, fmt.Errorf("epoll: %w", err)
		}
	}
	return p, nil
}

func (p *poll) close() {
	for _, fd := range []int{p.epoll, p.bell, p.timer} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func (p *poll) add(fd int, group, place int32, events uint32) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: place, Pad: group})
}

func (p *poll) change(fd int, group, place int32, events uint32) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: events, Fd: place, Pad: group})
}

func (p *poll) remove(fd int) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

// do leaves f for the goroutine that waits. Any goroutine may call it.
func (p *poll) do(f func()) {
	p.mu.Lock()
	p.left = append(p.left, f)
	p.mu.Unlock()
	one := [8]byte{1}
	_, _ = unix.Write(p.bell, one[:]) // EAGAIN: rung already
}

// take answers the bell and takes what was left.
func (p *poll) take() []func() {
	var count [8]byte
	_, _ = unix.Read(p.bell, count[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.left
	p.left = nil
	return left
}

// wait blocks until something happens or at has come.
func (p *poll) wait(at int64) ([]unix.EpollEvent, error) {
	if at != p.armed {
		p.armed = at
		spec := unix.ItimerSpec{} // zero disarms
		if at != never {
			spec.Value = unix.NsecToTimespec(max(at, 1))
		}
		if err := unix.TimerfdSettime(p.timer, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
			return nil, fmt.Errorf("timerfd: %w", err)
		}
	}
	for {
		n, err := unix.EpollWait(p.epoll, p.events[:], -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("epoll: %w", err)
		}
		return p.events[:n], nil
	}
}

// rang notes that the timer has fired.
func (p *poll) rang() {
	var count [8]byte
	_, _ = unix.Read(p.timer, count[:])
	p.armed = never
}
