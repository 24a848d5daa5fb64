package bare

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"stentor/codec/ws"
)

// Limits of an upgrade.
const (
	headBytesMax = 4 << 10
	eventsMax    = 512
)

// upgrade takes conns until so many have got their 101. A request head comes in one piece, as the generator sends it.
func (w *writer) upgrade(conns int, patience time.Duration) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("bare server: epoll: %w", err)
	}
	defer unix.Close(ep)
	add := func(fd int) error {
		return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err := add(w.listener); err != nil {
		return fmt.Errorf("bare server: epoll: %w", err)
	}
	var events [eventsMax]unix.EpollEvent
	head, answer := make([]byte, headBytesMax), make([]byte, 0, headBytesMax)
	give, upgraded := time.Now().Add(patience), 0
	for upgraded < conns {
		left := time.Until(give)
		if left <= 0 {
			return fmt.Errorf("bare server: %d of %d clients are upgraded after %v", upgraded, conns, patience)
		}
		n, err := unix.EpollWait(ep, events[:], int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("bare server: epoll: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == w.listener {
				err = w.welcome(add)
			} else if answer, err = answerUpgrade(int(e.Fd), head, answer[:0]); err == nil {
				upgraded++
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// welcome takes one conn, as a server that is told of each of them.
func (w *writer) welcome(add func(fd int) error) error {
	fd, _, err := unix.Accept4(w.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	switch err {
	case nil:
	case unix.EAGAIN, unix.EINTR, unix.ECONNABORTED:
		return nil
	default:
		return fmt.Errorf("bare server: accept: %w (%d clients are connected; each needs one open file)", err, w.conns)
	}
	w.keep(fd)
	if err := add(fd); err != nil {
		return fmt.Errorf("bare server: epoll: %w", err)
	}
	return nil
}

// answerUpgrade reads a request head and writes the 101, which it makes in answer.
func answerUpgrade(fd int, head, answer []byte) ([]byte, error) {
	n, err := unix.Read(fd, head)
	if err != nil {
		return answer, fmt.Errorf("bare server: read: %w", err)
	}
	key, ok := FindKey(head[:n])
	if !ok {
		return answer, fmt.Errorf("bare server: %d bytes that are not a whole request for an upgrade", n)
	}
	answer = ws.AppendUpgradeResponse(answer, key, "", "")
	_, err = unix.Write(fd, answer)
	return answer, err
}
