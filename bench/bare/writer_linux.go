package bare

import (
	"fmt"
	"io"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	backlog = 4096
	// writeTimeout is how long a full socket may hold up the loop.
	writeTimeout = 10 * time.Second
)

// writer is the child's side. Questions are answered in turn, so that nothing here needs a lock.
type writer struct {
	listener int
	conns    int
	turn     int // of Echo: pings so far
	threads  []*thread
}

// thread owns a part of the sockets and writes to them on a thread of the kernel.
type thread struct {
	sockets []int32
	ring    *ring // nil before the first order for it
	orders  chan order
	result  chan error
	sent    Sent
}

// order is one Send.
type order struct {
	via    Via
	frames [][]byte
}

// Work runs a writer that does what comes over in, until in ends.
func Work(in io.Reader, out io.Writer) error {
	return Serve(in, out, &writer{listener: -1})
}

func (w *writer) Listen(threads int) (addr string, err error) {
	if threads < 1 || threads > ThreadsMax {
		return "", fmt.Errorf("the number of threads must be from 1 to %d", ThreadsMax)
	}
	w.drop()
	for range threads {
		t := &thread{orders: make(chan order), result: make(chan error)}
		w.threads = append(w.threads, t)
		go t.run()
	}
	if w.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return "", fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(w.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(w.listener, backlog); err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	sa, err := unix.Getsockname(w.listener)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port), nil
}

// drop ends all conns and threads.
func (w *writer) drop() {
	for _, t := range w.threads {
		close(t.orders)
		for _, fd := range t.sockets {
			_ = unix.Close(int(fd))
		}
	}
	if w.listener >= 0 {
		_ = unix.Close(w.listener)
	}
	*w = writer{listener: -1}
}

// Accept takes conns until there are so many.
func (w *writer) Accept(conns int, upgrade bool, patience time.Duration) error {
	if upgrade {
		return w.upgrade(conns, patience)
	}
	return w.accept(conns, patience)
}

// keep gives a new conn to a thread.
func (w *writer) keep(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	t := w.threads[w.conns%len(w.threads)]
	t.sockets = append(t.sockets, int32(fd))
	w.conns++
}

// accept takes conns until there are so many, each as a server would have it: non-blocking, without Nagle's delay.
func (w *writer) accept(conns int, patience time.Duration) error {
	give := time.Now().Add(patience)
	for w.conns < conns {
		fd, _, err := unix.Accept4(w.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EINTR, unix.ECONNABORTED:
			continue
		case unix.EAGAIN:
			left := time.Until(give)
			if left <= 0 {
				return fmt.Errorf("bare writer: %d of %d receivers have connected in %v", w.conns, conns, patience)
			}
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(w.listener), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
			continue
		default:
			return fmt.Errorf("bare writer: accept: %w (%d receivers are connected; each needs one open file)", err, w.conns)
		}
		w.keep(fd)
	}
	return nil
}

// Send lets all threads write and adds up what they did.
func (w *writer) Send(via Via, frames [][]byte) (Sent, error) {
	for _, t := range w.threads {
		t.orders <- order{via, frames}
	}
	var sum Sent
	var failed error
	for _, t := range w.threads {
		if err := <-t.result; err != nil {
			failed = err
		}
		sum.Writes += t.sent.Writes
		sum.Waits += t.sent.Waits
	}
	return sum, failed
}

func (t *thread) run() {
	runtime.LockOSThread()
	defer t.closeRing()
	for o := range t.orders {
		t.sent = Sent{}
		t.result <- t.obey(o)
	}
}

func (t *thread) obey(o order) error {
	write := t.loop
	switch o.via {
	case Write:
	case Uring:
		if err := t.openRing(); err != nil {
			return err
		}
		write = t.submit
	default:
		return fmt.Errorf("bare writer: unknown way to write %q", o.via)
	}
	for _, frame := range o.frames {
		if err := write(frame); err != nil {
			return err
		}
	}
	return nil
}

// loop is what all this is about.
func (t *thread) loop(frame []byte) error {
	for _, fd := range t.sockets {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(frame))), uintptr(len(frame)))
		if errno != 0 || int(n) < len(frame) {
			if errno != 0 {
				n = 0
			}
			if err := t.insist(fd, frame[n:], errno); err != nil {
				return err
			}
		}
	}
	t.sent.Writes += len(t.sockets)
	return nil
}

// insist writes what a full socket did not take.
func (t *thread) insist(fd int32, b []byte, errno unix.Errno) error {
	give := time.Now().Add(writeTimeout)
	for {
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
			return fmt.Errorf("bare writer: write: %w", errno)
		}
		t.sent.Waits++
		left := time.Until(give)
		if left <= 0 {
			return fmt.Errorf("bare writer: a receiver took nothing for %v", writeTimeout)
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: fd, Events: unix.POLLOUT}}, int(left.Milliseconds())+1)
		n, err := unix.Write(int(fd), b)
		errno = 0
		if err != nil {
			n, errno = 0, err.(unix.Errno)
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
}
