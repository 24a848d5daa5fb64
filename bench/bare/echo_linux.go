package bare

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// pongPatience is how long pongs may take after the last ping.
const pongPatience = 5 * time.Second

// Echo writes pings to the conns in turn and reads their pongs, on one thread.
func (w *writer) Echo(e Echo) error {
	sockets := w.sockets()
	if len(sockets) == 0 || e.Pings < 1 || e.Span <= 0 || e.Tick <= 0 || e.PongBytes < 1 {
		return errors.New("bare server: pings need conns, a span, a tick and the length of a pong")
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("bare server: epoll: %w", err)
	}
	defer unix.Close(ep)
	for _, fd := range sockets {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: fd}); err != nil {
			return fmt.Errorf("bare server: epoll: %w", err)
		}
	}
	start, pinged, owed := time.Now(), 0, e.Pings*e.PongBytes
	for tick := 1; owed > 0; tick++ {
		until := start.Add(time.Duration(tick) * e.Tick)
		due := min(e.Pings, int(float64(e.Pings)*float64(time.Duration(tick)*e.Tick)/float64(e.Span)))
		for ; pinged < due; pinged++ {
			if _, err := unix.Write(int(sockets[w.turn%len(sockets)]), e.Ping); err != nil {
				return fmt.Errorf("bare server: write: %w", err)
			}
			w.turn++
		}
		n, err := readUntil(ep, until, owed)
		if err != nil {
			return err
		}
		if owed -= n; time.Since(start) > e.Span+pongPatience {
			return fmt.Errorf("bare server: %d bytes of pongs are missing %v after the last ping", owed, pongPatience)
		}
	}
	return nil
}

// sockets are those of all threads.
func (w *writer) sockets() (all []int32) {
	for _, t := range w.threads {
		all = append(all, t.sockets...)
	}
	return all
}

// readUntil reads what comes until a moment, or until so many bytes are there.
func readUntil(ep int, until time.Time, most int) (sum int, err error) {
	var events [eventsMax]unix.EpollEvent
	buf := make([]byte, headBytesMax)
	for sum < most {
		left := time.Until(until)
		if left <= 0 {
			break
		}
		n, err := unix.EpollWait(ep, events[:], int((left+time.Millisecond-1)/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return sum, fmt.Errorf("bare server: epoll: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			got, err := unix.Read(int(e.Fd), buf)
			if err != nil || got == 0 {
				return sum, fmt.Errorf("bare server: a client left while it was to answer pings: %w", errors.Join(err, errLeft))
			}
			sum += got
		}
	}
	return sum, nil
}

var errLeft = errors.New("end of stream")
