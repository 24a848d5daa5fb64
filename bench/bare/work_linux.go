package bare

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"stentor/bench/pipe"
)

const (
	backlog = 4096
	// writeTimeout is how long a full socket may hold up the loop.
	writeTimeout = 10 * time.Second
	// ThreadsMax is the number of threads that one writer may have.
	ThreadsMax = 256
)

// writer is the child's side. Questions are answered in turn, so that nothing here needs a lock.
type writer struct {
	listener int
	conns    int
	threads  []*thread
}

// thread owns a part of the sockets and writes to them on a thread of the kernel.
type thread struct {
	sockets []int32
	frames  chan [][]byte
	result  chan error
	sent    Sent
}

// Work runs a writer that does what comes over in, until in ends.
func Work(in io.Reader, out io.Writer) error {
	w := &writer{listener: -1}
	return pipe.Serve(in, out, func(op string, body json.RawMessage, reply pipe.Reply) {
		reply(w.obey(op, body))
	})
}

func (w *writer) obey(op string, body json.RawMessage) (any, error) {
	switch op {
	case opListen:
		var b listenBody
		if err := json.Unmarshal(body, &b); err != nil {
			return nil, err
		}
		return w.listen(b.Threads)
	case opAccept:
		var b acceptBody
		if err := json.Unmarshal(body, &b); err != nil {
			return nil, err
		}
		return nil, w.accept(b.Conns, b.Patience)
	case opSend:
		var b sendBody
		if err := json.Unmarshal(body, &b); err != nil {
			return nil, err
		}
		return w.send(b.Frames)
	}
	return nil, fmt.Errorf("unknown word %q", op)
}

func (w *writer) listen(threads int) (addr string, err error) {
	if threads < 1 || threads > ThreadsMax {
		return "", fmt.Errorf("the number of threads must be from 1 to %d", ThreadsMax)
	}
	if w.listener >= 0 {
		return "", fmt.Errorf("listening already")
	}
	for range threads {
		t := &thread{frames: make(chan [][]byte), result: make(chan error)}
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
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		t := w.threads[w.conns%len(w.threads)]
		t.sockets = append(t.sockets, int32(fd))
		w.conns++
	}
	return nil
}

// send lets all threads write and adds up what they did.
func (w *writer) send(frames [][]byte) (Sent, error) {
	for _, t := range w.threads {
		t.frames <- frames
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
	for frames := range t.frames {
		t.sent = Sent{}
		var err error
		for _, frame := range frames {
			if err = t.loop(frame); err != nil {
				break
			}
		}
		t.result <- err
	}
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
